# SPDX-License-Identifier: Apache-2.0
"""The scenes of bench-sched: which guests compete on how many CPUs, what each should get, and how what they said is
judged. A new scene is a line in SCENES; a new kind of figure is a function that takes a Run and gives Figures."""
import dataclasses
import re

MHZ = 50                  # of the emulated TSC: a tick is an instruction
HEAD = 20 * MHZ // 100    # millions of ticks before and after the measured time
POLICIES = ("bvt", "credit", "rr")
SPINNER, HOSTILE, LINUX = "bench-sched.elf", "bench-hostile.elf", "linux"


@dataclasses.dataclass
class Vm:
    """share: of all rounds that the spinners went, what it should get; None: it is no spinner that is counted.
    words: for the guest; keys: lines for socle.conf."""
    name: str
    share: float = None
    keys: str = ""
    words: str = ""
    kernel: str = SPINNER
    mib: int = 8


@dataclasses.dataclass
class Figure:
    """ok None: it has no aim, it is shown."""
    name: str
    aim: str
    got: str
    ok: bool = None


@dataclasses.dataclass
class Run:
    """What the guests of one scene under one policy said. counts: name -> (rounds, ticks of a round, ticks of the
    measured time); late: the sleeper's p50, p99, most in microseconds. results: other runs by (scene, policy)."""
    scene: str
    policy: str
    counts: dict
    late: tuple = None
    more: dict = dataclasses.field(default_factory=dict)
    results: dict = dataclasses.field(default_factory=dict)

    def shares(self):
        """(VM, part of all rounds, part it should get) of those that have one."""
        vms = [vm for vm in SCENES[self.scene].vms if vm.share is not None]
        total = sum(self.counts[vm.name][0] for vm in vms)
        return [(vm, self.counts[vm.name][0] / total, vm.share) for vm in vms]

    def cpu(self, name):
        """CPUs that it had, in its own rounds, as a part of one. On one CPU: of several the TSC is no clock of each."""
        rounds, least, ticks = self.counts[name]
        return rounds * least / ticks


@dataclasses.dataclass
class Scene:
    """figures: functions of a Run. windows: the spinner reports each simulated second, those are counted that come
    after the line that matches. least: simulated seconds that it takes at least, for slices are counted. head: as HEAD;
    all guests are made in that time. stop: the run ends as soon as enough has been said, not when all guests have ended."""
    what: str
    cpus: int
    vms: list
    figures: list
    policies: tuple = POLICIES
    windows: str = None
    memory: int = 1024
    least: int = 0
    head: int = HEAD


# ---- figures ----
def percent(x):
    return "%.2f %%" % (100 * x)


def jain(values):
    return sum(values) ** 2 / (len(values) * sum(v * v for v in values))


def shares(margin):
    """Each within the margin, in parts of what it should get; the one that is farthest is named."""
    def figures(run):
        vm, got, want = max(run.shares(), key=lambda row: abs(row[1] / row[2] - 1))
        error = abs(got / want - 1)
        return [Figure("farthest from its share", "<= " + percent(margin),
                       "%s (%s: %s of %s)" % (percent(error), vm.name, percent(got), percent(want)), error <= margin)]
    return figures


def evenness(least):
    def figures(run):
        index = jain([run.counts[vm.name][0] for vm in SCENES[run.scene].vms])
        return [Figure("Jain's index", ">= %.3f" % least, "%.5f" % index, index >= least)]
    return figures


def cpu_is(name, wanted, points):
    """A VM's part of a CPU, within so many percent of a CPU."""
    def figures(run):
        got = run.cpu(name)
        return [Figure("CPU of " + name, "%s +- %.1f" % (percent(wanted), points), percent(got),
                       abs(got - wanted) * 100 <= points)]
    return figures


def lateness(most=None):
    """Of the guest that sleeps; most: of the 99th percentile, in microseconds."""
    def figures(run):
        p50, p99, worst = run.late
        return [Figure("wakes late, p99", "<= %d us" % most if most else "-",
                       "%.0f us (p50 %.0f, most %.0f)" % (p99, p50, worst), p99 <= most if most else None)]
    return figures


def same_as(scene, policy, margin):
    """The spinners have as much of the CPU as in another run."""
    def figures(run):
        other = run.results.get((scene, policy))
        if not other:
            return [Figure("hogs' CPU against %s" % scene, "<= " + percent(margin), "run %s too" % scene)]
        name, change = max(((vm.name, run.cpu(vm.name) / other.cpu(vm.name) - 1) for vm, _, _ in run.shares()),
                           key=lambda row: abs(row[1]))
        return [Figure("hogs' CPU against %s" % scene, "<= " + percent(margin),
                       "%s (%s)" % (percent(abs(change)), name), abs(change) <= margin)]
    return figures


def throughput(scene, cpus, margin):
    """Rounds of all in a tick, against those that a guest has alone on one of the CPUs, in another scene."""
    def figures(run):
        def rate(r):
            return sum(rounds / ticks for rounds, _, ticks in r.counts.values())
        other = run.results.get((scene, run.policy))
        if not other:
            return [Figure("throughput lost", "<= " + percent(margin), "run %s too" % scene)]
        loss = 1 - rate(run) / (cpus * rate(other))
        return [Figure("throughput lost", "<= " + percent(margin), "%s (against %s)" % (percent(loss), scene),
                       loss <= margin)]
    return figures


def victim_loses(most):
    """Of its part of the CPU beside so many others of its weight."""
    def figures(run):
        entitled = 1 / len(SCENES[run.scene].vms)
        loss = 1 - run.cpu("victim") / entitled
        return [Figure("victim loses", "<= " + percent(most),
                       "%s (%s of %s)" % (percent(max(loss, 0)), percent(run.cpu("victim")), percent(entitled)),
                       loss <= most)]
    return figures


# ---- guests ----
def spinners(n, prefix="vm"):
    return [Vm("%s%d" % (prefix, i), 1 / n) for i in range(n)]


def weighted(weights):
    return [Vm("w%d%s" % (w, "abcd"[weights[:i].count(w)] if weights.count(w) > 1 else ""), w / sum(weights),
               "weight = %d\n" % (256 * w)) for i, w in enumerate(weights)]


def latency(keys=""):
    return [Vm("late", keys=keys, words="wake=%d" % (10 * MHZ))] + spinners(3, "hog")


def smp(ones):
    """A VM of four vCPUs beside VMs of one."""
    return [Vm("four", 1 / (ones + 1), "vcpus = 4\n", "cpus=4")] + [
        Vm("one%d" % i, 1 / (ones + 1)) for i in range(ones)]


def hostile(*words):
    vcpus = {"flood": "vcpus = 2\n"}
    return [Vm("victim", 1)] + [Vm(word, keys=vcpus.get(word, ""), words=word + (" cpus=2" if word in vcpus else ""),
                                   kernel=HOSTILE) for word in words]


def crowd(n):
    return [Vm("vm%d" % i, 1 / n, mib=3) for i in range(n)]


FORKS = Vm("forks", kernel=LINUX, words="socle.test=forks")
BOMB = r"forks: as many as there can be"

LOSS = [victim_loses(0.04)]
SCENES = {
    "equal": Scene("four equal spinners on one CPU", 1, spinners(4), [shares(0.01), evenness(0.999)]),
    "weights": Scene("weights 1:2:4:8 on one CPU", 1, weighted([1, 2, 4, 8]), [shares(0.01)]),
    "cap": Scene("a cap of 30 % beside a spinner", 1, [Vm("capped", 0.3, "cap = 30\n"), Vm("free", 0.7)],
                 [cpu_is("capped", 0.3, 1), cpu_is("free", 0.7, 1)]),
    "equal-4": Scene("eight equal spinners on four CPUs", 4, spinners(8), [shares(0.02), evenness(0.999)]),
    "weights-4": Scene("weights 1:1:2:2:3:3:4:4 on four CPUs", 4, weighted([1, 1, 2, 2, 3, 3, 4, 4]), [shares(0.02)]),
    "cap-4": Scene("a cap of 30 % beside seven spinners on four CPUs", 4,
                   [Vm("capped", 0.3 / 4, "cap = 30\n")] + [Vm("free%d" % i, 3.7 / 4 / 7) for i in range(7)],
                   [shares(0.02)]),
    "smp": Scene("a VM of four vCPUs beside one of one, on one CPU", 1, smp(1), [shares(0.01)]),
    "smp-4": Scene("a VM of four vCPUs beside four of one, on four CPUs", 4, smp(4), [shares(0.02)]),
    "alone-1": Scene("a spinner alone on one CPU", 1, crowd(1), [cpu_is("vm0", 1, 1)], ("bvt",)),
    "many-1": Scene("128 equal spinners on one CPU", 1, crowd(128),
                    [shares(0.02), evenness(0.999), throughput("alone-1", 1, 0.02)], ("bvt",), least=80, head=2 * MHZ),
    "alone-4": Scene("a spinner alone on four CPUs", 4, crowd(1), [], ("bvt",)),
    "many-4": Scene("256 equal spinners on four CPUs", 4, crowd(256),
                    [shares(0.02), evenness(0.999), throughput("alone-4", 4, 0.02)], ("bvt",), least=80, head=2 * MHZ),
    "latency": Scene("a guest that wakes every 10 ms beside three hogs, without warp", 1, latency(),
                     [lateness(), shares(0.01)]),
    "warp": Scene("the same, the guest with warp = 20000", 1, latency("warp = 20000\n"),
                  [lateness(1000), shares(0.01), same_as("latency", "bvt", 0.01)], ("bvt",)),
    "cli": Scene("a victim beside one that spins with interrupts off", 1, hostile("cli"), LOSS),
    "flood": Scene("a victim beside one whose two vCPUs flood each other with IPIs and timers", 1, hostile("flood"),
                   LOSS),
    "sleeper": Scene("a victim beside one that sleeps and wakes every 20 us", 1, hostile("sleeper"), LOSS),
    "faults": Scene("a victim beside one that makes address spaces and faults without end", 1, hostile("faults"),
                    LOSS),
    "forks": Scene("a victim beside a Linux that forks without end", 1, [Vm("victim", 1), FORKS], LOSS,
                   windows=BOMB),
    "hostile": Scene("a victim beside all of them", 1, hostile("cli", "flood", "sleeper", "faults") + [FORKS], LOSS,
                     windows=BOMB),
}


# ---- to the machine and back ----
def configuration(policy, scene, seconds):
    """Text of socle.conf."""
    text = "[socle]\nsched = %s\n" % policy
    # With windows, what comes before them takes a time that nobody knows; the run is ended when they are complete.
    measured = 1000 if scene.windows else seconds
    for vm in scene.vms:
        if vm.kernel == LINUX:
            text += ("[vm %s]\nmemory = 256\nkernel = linux\ninitrd = initrd\n"
                     "cmdline = console=ttyS0 quiet loglevel=3 nokaslr mitigations=off %s\n%s" %
                     (vm.name, vm.words, vm.keys))
            continue
        if vm.kernel == HOSTILE:
            words = "for=%d %s" % (measured * MHZ + 2 * scene.head, vm.words)
        else:
            words = "name=%s from=%d for=%d %s" % (vm.name, scene.head, measured * MHZ, vm.words)
            words += " every=%d" % MHZ if scene.windows else ""
        text += "[vm %s]\nmemory = %d\npages = 4k\nkernel = %s\ncmdline = %s\n%s" % (
            vm.name, vm.mib, vm.kernel, words.strip(), vm.keys)
    return text


def files(scene, build):
    """Pairs of a file here and its name on the boot volume."""
    known = {SPINNER: [(build + "/guests/" + SPINNER, SPINNER)], HOSTILE: [(build + "/guests/" + HOSTILE, HOSTILE)],
             LINUX: [(build + "/guests/linux/bzImage", "linux"), (build + "/guests/linux/initrd", "initrd")]}
    return [pair for kernel in sorted({vm.kernel for vm in scene.vms}) for pair in known[kernel]]


WINDOW = re.compile(r"SCHED (\S+) at (\d+) rounds (\d+) of (\d+)")


def windows(scene, text):
    """name -> its reports (ticks, rounds, ticks of a round), from the first one after the line."""
    begin = re.search(scene.windows, text)
    found = {}
    for name, at, rounds, least in WINDOW.findall(text[begin.end():] if begin else ""):
        found.setdefault(name, []).append((int(at), int(rounds), int(least)))
    return found


def parse(scene, text):
    """counts, late: as in Run. A guest that has not said it all is not in counts."""
    counts = {}
    if scene.windows:
        for name, reports in windows(scene, text).items():
            (first, before, _), (last, after, least) = reports[0], reports[-1]
            if last > first:
                counts[name] = (after - before, least, last - first)
    for name, *numbers in re.findall(r"SCHED (\S+) rounds (\d+) of (\d+) in (\d+)", text):
        counts[name] = tuple(int(n) for n in numbers)
    found = re.search(r"SCHED \S+ wakes \d+ p50 (\d+) p99 (\d+) most (\d+)", text)
    return counts, tuple(int(x) / MHZ for x in found.groups()) if found else None


def complete(scene, text, seconds):
    """Whether the guests have said what is to be measured, and the hostile ones are, or were to the end, at it."""
    counted = [vm for vm in scene.vms if vm.share is not None]
    bad = [vm for vm in scene.vms if vm.kernel == HOSTILE]
    if scene.windows:
        found = windows(scene, text)
        return all(len(found.get(vm.name, ())) > seconds for vm in counted) and not any(
            re.search(r"\] %s: (?!starts)" % vm.name, text) for vm in scene.vms) and all(
            "HOSTILE %s begins" % vm.name in text for vm in bad)
    counts, late = parse(scene, text)
    return all(vm.name in counts for vm in counted) and (
        late is not None or not any("wake=" in vm.words for vm in scene.vms)) and all(
        "HOSTILE %s rounds" % vm.name in text for vm in bad)


def judge(run):
    return [figure for make in SCENES[run.scene].figures for figure in make(run)]
