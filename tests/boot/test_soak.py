# SPDX-License-Identifier: Apache-2.0
"""Random life-cycle verbs over eight guests, and after each the monitor's check of memory, tasks and clocks
(M87). Two minutes here; `make soak` takes 30. The seed is printed; SOCLE_SEED=N does the same again."""
import os
import random
import re
import time

from test_monitor import Monitor

SECONDS = int(os.environ.get("SOCLE_SOAK", "120"))
SEED = int(os.environ.get("SOCLE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
CYCLES = int(os.environ.get("SOCLE_CYCLES", "100"))
READS = int(os.environ.get("SOCLE_READS", "10000000"))
CPUS = int(os.environ.get("SOCLE_SOAK_CPUS", "1"))
# What each guest does, and what its configuration says besides.
GUESTS = {
    "ticks": "ticks",
    "spin": "spin",
    "flood": "flood\nconsole = none",
    "touch": "touch\npages = 4k",
    "exits": "exits",
    "idle": "idle\nautostart = no",
    "crash": "crash\non_crash = preserve\nautostart = no",
    "triple": "triple\non_reboot = preserve\nautostart = no",
}
VERBS = ["pause", "unpause", "reset", "destroy", "destroy -n", "shutdown", "create", "create -p", "debug-dump", "trace -e", "trace",
         "trace -d", "stats", "list", "vcpu-list", "info"]


def config():
    return "[socle]\non_idle = wait\n" + "".join(
        "[vm %s]\nmemory = 24M\nkernel = life.elf\ncmdline = %s\n" % row for row in GUESTS.items())


class Soak:
    def __init__(self, monitor, seed):
        self.monitor, self.random, self.steps = monitor, random.Random(seed), 0

    def check(self, what):
        answer = self.monitor.ask("check")
        assert answer.startswith("check: all is well"), (SEED, self.steps, what, answer)
        return answer

    def step(self):
        self.steps += 1
        verb = self.random.choice(VERBS)
        if verb in ("info", "list", "vcpu-list"):
            line = verb
        else:   # VMs that are not there, too: an error, and nothing else
            line = "%s %s" % (verb, self.random.choice(list(GUESTS)))
        self.monitor.ask(line, timeout=120)
        self.check(line)

    def quiet(self):
        """Everybody goes; as many pages are free as the last time."""
        for row in self.monitor.json("list -j"):
            self.monitor.ask("destroy %s" % row["name"], timeout=120)
        assert self.monitor.json("list -j") == []
        return int(re.search(r"(\d+) free", self.check("quiet"))[1])

    def all(self):
        for name in self.random.sample(list(GUESTS), len(GUESTS)):
            self.monitor.ask("create %s" % name)


def test_soak(console, guest):
    print("soak: seed %d, %d s, %d CPU" % (SEED, SECONDS, CPUS))
    m = Monitor(console(config(), {"life.elf": guest("life")}, timeout=SECONDS + 600, cpus=CPUS))
    m.open()
    soak = Soak(m, SEED)
    soak.quiet()   # the first life of each may leave what is kept for good, such as page tables of stacks
    soak.all()
    free = soak.quiet()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        soak.all()
        for _ in range(30):
            soak.step()
        assert soak.quiet() == free, (SEED, soak.steps)
    print("soak: %d steps" % soak.steps)
    assert soak.steps >= 30


def test_create_and_destroy(console, guest):
    """A hundred times, in make soak a thousand; then as many pages are free as before."""
    m = Monitor(console("[socle]\non_idle = wait\n[vm a]\nmemory = 24M\nkernel = life.elf\ncmdline = idle\n",
                        {"life.elf": guest("life")}, timeout=3000))
    m.open()
    soak = Soak(m, 1)
    free = soak.quiet()
    for _ in range(CYCLES // 3):   # three on a line, which the terminal shows whole
        m.ask("; ".join(["create a; destroy a"] * 3), timeout=120)
    assert soak.quiet() == free
    assert m.ask("create -p a") == "" and int(m.json("list -j")[0]["id"]) == CYCLES // 3 * 3 + 2


def test_clocks_are_monotonic(boot, guest):
    """Four virtual CPUs on four CPUs read real time in turn, and none reads less than another has read before, nor
    its virtual time less than before. Ten million readings; in make soak a hundred (M36, M37)."""
    m = boot("[vm smp]\nmemory = 64\nkernel = smp.elf\nvcpus = 4\ntestdev = yes\ncmdline = bochs monotonic-x2apic "
             "reads=%d\n" % READS, {"smp.elf": guest("smp")}, cpus=4, timeout=60 + READS // 100000)
    assert m.status == 0 and m.lines("1 passed, 0 failed, 0 skipped"), m
    assert int(re.search(r"(\d+) readings of real and of virtual time", m.socle)[1]) >= READS, m
