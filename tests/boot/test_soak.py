# SPDX-License-Identifier: Apache-2.0
"""Random life-cycle verbs over eight guests, and after each the monitor's check of memory, run queues, timers and
clocks (M87). Two minutes here, on two CPUs; `make soak` takes 30 minutes. The seed is printed; SOCLE_SEED=N does
the same again."""
import os
import random
import re
import time

import pytest
from test_monitor import ESCAPE, PROMPT, Monitor

SECONDS = int(os.environ.get("SOCLE_SOAK", "120"))
SEED = int(os.environ.get("SOCLE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
CYCLES = int(os.environ.get("SOCLE_CYCLES", "100"))
READS = int(os.environ.get("SOCLE_READS", "10000000"))
CPUS = int(os.environ.get("SOCLE_SOAK_CPUS", "2"))
# What each guest does, and what its configuration says besides.
GUESTS = {
    "ticks": "life.elf\ncmdline = ticks",
    "spin": "life.elf\ncmdline = spin",
    "flood": "life.elf\ncmdline = flood\nconsole = none",
    "touch": "life.elf\ncmdline = touch\npages = 4k",
    "exits": "life.elf\ncmdline = exits\nvcpus = 3\ncap = 60",
    "smp": "smp.elf\ncmdline = hammer-x2apic locks-x2apic clocks-x2apic bochs\ntestdev = yes\nvcpus = 4\non_poweroff = restart",
    "crash": "life.elf\ncmdline = crash\non_crash = preserve\nautostart = no",
    "triple": "life.elf\ncmdline = triple\non_reboot = preserve\nautostart = no",
}
ALONE = ["info", "list", "vcpu-list", "sched", "top -n", "dmesg 5"]
OF_A_VM = ["pause", "unpause", "reset", "destroy", "destroy -n", "shutdown", "create", "create -p", "debug-dump",
           "trace -e", "trace", "trace -d", "stats"]


def config():
    return "[socle]\non_idle = wait\n" + "".join(
        "[vm %s]\nmemory = 24M\nkernel = %s\n" % row for row in GUESTS.items())


class Soak:
    def __init__(self, monitor, seed, cpus):
        self.monitor, self.random, self.cpus, self.steps = monitor, random.Random(seed), cpus, 0

    def check(self, what):
        answer = self.monitor.ask("check", timeout=120)
        assert answer.startswith("check: all is well"), (SEED, self.steps, what, answer)
        return answer

    def ask(self, line):
        self.monitor.ask(line, timeout=120)
        return line

    # ---- verbs with words of their own ----

    def sched(self, name):
        key, value = self.random.choice([("weight", self.random.choice([1, 100, 256, 5000, 65535])),
                                         ("cap", self.random.choice([0, 0, 5, 50, 150])),
                                         ("warp", self.random.choice([0, 20000])),
                                         ("warp_limit", self.random.choice([0, 2000])),
                                         ("unwarp", self.random.choice([0, 50000]))])
        return self.ask("sched %s %s=%d" % (name, key, value))

    def pin(self, name):
        cpus = self.random.sample(range(self.cpus), self.random.randint(1, self.cpus))
        where = self.random.choice(["all", ",".join(str(n) for n in sorted(cpus))])
        return self.ask("vcpu-pin %s %s %s" % (name, self.random.choice(["all", "0"]), where))

    def console(self, name):
        """There, something typed, and back."""
        line = "console %s" % name
        self.monitor.send(line)
        said = self.monitor.console.expect(r"console of %s\r?\n|console: [^\n]*\n" % name, timeout=60)
        if "console of" in said:
            self.monitor.console.send("x\r" + ESCAPE + "m")
            self.monitor.console.expect(PROMPT, timeout=60)
        self.monitor.ask("")
        return line

    def top(self, _name):
        self.monitor.send("top")
        self.monitor.console.expect("any key ends top", timeout=120)
        self.monitor.console.send("x")
        self.monitor.ask("")
        return "top"

    def step(self):
        self.steps += 1
        name = self.random.choice(list(GUESTS))   # some are not there: an error, and nothing else
        verb = self.random.choice(ALONE + 2 * OF_A_VM + 3 * [self.sched, self.pin] + [self.console, self.top])
        if verb in ALONE:
            what = self.ask(verb)
        elif verb in OF_A_VM:
            what = self.ask("%s %s" % (verb, name))
        else:
            what = verb(name)
        self.check(what)

    def quiet(self):
        """Everybody goes; as many pages are free as the last time."""
        for row in self.monitor.json("list -j"):
            self.ask("destroy %s" % row["name"])
        assert self.monitor.json("list -j") == []
        return int(re.search(r"(\d+) free", self.check("quiet"))[1])

    def all(self):
        for name in self.random.sample(list(GUESTS), len(GUESTS)):
            self.ask("create %s" % name)


def test_soak(console, guest):
    print("soak: seed %d, %d s, %d CPUs" % (SEED, SECONDS, CPUS))
    m = Monitor(console(config(), {"life.elf": guest("life"), "smp.elf": guest("smp")}, timeout=SECONDS + 600, cpus=CPUS))
    m.open()
    soak = Soak(m, SEED, CPUS)
    soak.quiet()   # the first life of each may leave what is kept for good, such as page tables of stacks
    soak.all()
    free = soak.quiet()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        soak.all()
        for _ in range(30):
            if time.monotonic() < end:
                soak.step()
        assert soak.quiet() == free, (SEED, soak.steps)
        print("soak: %d steps, %d of %d s" % (soak.steps, SECONDS - (end - time.monotonic()), SECONDS), flush=True)
    print("soak: %d steps; %s" % (soak.steps, soak.check("the end")))
    assert soak.steps >= 30


@pytest.mark.parametrize("cpus", sorted({1, 4, CPUS}) if CYCLES > 100 else [CPUS])
def test_create_and_destroy(console, guest, cpus):
    """A hundred times, in make soak a thousand; then as many pages are free as before."""
    m = Monitor(console("[socle]\non_idle = wait\n[vm a]\nmemory = 24M\nkernel = life.elf\ncmdline = idle\n",
                        {"life.elf": guest("life")}, timeout=3000, cpus=cpus))
    m.open()
    soak = Soak(m, 1, cpus)
    soak.quiet()
    m.ask("create a")
    free = soak.quiet()
    for _ in range(CYCLES // 3 + 1):   # three on a line, which the terminal shows whole
        m.ask("; ".join(["create a; destroy a"] * 3), timeout=120)
    assert soak.quiet() == free
    assert m.ask("create -p a") == "" and int(m.json("list -j")[0]["id"]) == (CYCLES // 3 + 1) * 3 + 3
    print("create and destroy: %d times on %d CPUs, then %d pages free, as before" % (
        (CYCLES // 3 + 1) * 3, cpus, free))


def test_clocks_are_monotonic(boot, guest):
    """Four virtual CPUs on four CPUs read real time in turn, and none reads less than another has read before, nor
    its virtual time less than before. Ten million readings; in make soak a hundred (M36, M37)."""
    m = boot("[vm smp]\nmemory = 64\nkernel = smp.elf\nvcpus = 4\ntestdev = yes\ncmdline = bochs monotonic-x2apic "
             "reads=%d\n" % READS, {"smp.elf": guest("smp")}, cpus=4, timeout=60 + READS // 100000)
    assert m.status == 0 and m.lines("1 passed, 0 failed, 0 skipped"), m
    assert int(re.search(r"(\d+) readings of real and of virtual time", m.socle)[1]) >= READS, m
