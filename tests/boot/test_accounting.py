# SPDX-License-Identifier: Apache-2.0
"""Whose time it is: all of it is somebody's (M40), and who is interrupted for another does not pay (M31)."""
import json
import re

import pytest
from test_monitor import Monitor

TIME = re.compile(r"check: time of ([\d.]+) s on (\d+) CPUs?: VMs ([\d.]+) s, hypervisor ([\d.]+) s, idle ([\d.]+) s, "
                  r"nobody's or counted twice ([\d.]+) s")


def vm(name, words, more=""):
    return "[vm %s]\nmemory = 20M\nkernel = life.elf\ncmdline = %s\n%s" % (name, words, more)


@pytest.fixture
def monitor(console, guest):
    def start(config, cpus):
        m = Monitor(console("[socle]\non_idle = wait\n" + config,
                            {"life.elf": guest("life"), "sched.elf": guest("bench-sched")}, cpus=cpus, timeout=550))
        m.open()
        return m
    return start


class Accounts:
    """What check, list and info say at one moment. Of all CPUs together, in seconds: everything, of VMs, of the hypervisor,
    idle; used: of each VM that there is; up: the machine's uptime."""

    def __init__(self, m):
        said = m.ask("check; list -j; info -j")
        print(said)
        assert said.startswith("check: all is well"), said
        found = TIME.search(said)
        assert found, said
        self.everything, _cpus, self.vms, self.hypervisor, self.idle, left_over = (float(x) for x in found.groups())
        assert left_over < 0.001 * self.everything
        assert abs(self.vms + self.hypervisor + self.idle - self.everything) < 0.001 * self.everything
        rows = [json.loads(line) for line in said.splitlines() if line[0] in "[{"]
        self.used = {row["name"]: row["time_s"] for row in rows[0]}
        self.up = rows[1]["uptime_s"]


@pytest.mark.parametrize("cpus", [1, 4])
def test_all_time_is_somebodys(monitor, cpus):
    """Guests that are busy, that exit without end, that print, sleep and idle; with fewer and with more than CPUs."""
    m = monitor(vm("spin", "spin") + vm("exits", "exits") + vm("flood", "flood\nconsole = none") +
                vm("ticks", "ticks") + vm("idle", "idle") + vm("late", "spin", "autostart = no\n"), cpus)
    before = Accounts(m)
    m.ask("top -n; top -n")
    after = Accounts(m)
    # The sum is the wall time of all CPUs, by another clock of it, and that of the VMs is theirs.
    took, wall = after.everything - before.everything, after.up - before.up
    assert abs(took - wall * cpus) < 0.01 * took, (took, wall)
    used = {name: after.used[name] - before.used[name] for name in after.used}
    assert abs(sum(used.values()) - (after.vms - before.vms)) < 0.02 * took, (used, after.vms - before.vms)
    busy = wall if cpus == 4 else wall / 3
    for name in ("spin", "exits", "flood"):
        assert 0.9 * busy < used[name] < 1.02 * busy, (name, used, wall)
    assert used["idle"] < 0.01 * wall
    assert 0 < used["ticks"] < 0.05 * wall
    if cpus == 4:   # one CPU has nothing to do but the monitor
        assert after.idle - before.idle > 0.5 * wall
    else:
        assert after.idle - before.idle < 0.1 * wall
    # What VMs had that are gone is still accounted for.
    m.ask("destroy spin; destroy exits; create -p late; pause flood; top -n")
    gone = Accounts(m)
    assert gone.vms >= after.vms and gone.idle - after.idle > 0.5 * cpus


def rounds_of(m):
    """Waits until VM a has counted its rounds; how many those were, and in what time by Socle's account."""
    said = m.console.expect(r"SCHED a rounds \d+ of \d+ in \d+\r?\n", timeout=300)
    m.console.expect(r"a: left through the debug exit port", timeout=60)
    return int(re.search(r"SCHED a rounds (\d+)", said)[1])


A = ("[vm a]\nmemory = 8\npages = 4k\nkernel = sched.elf\ntestdev = yes\non_poweroff = preserve\nautostart = no\n"
     "cmdline = name=a for=200\n")   # 200 million ticks: four seconds


def measure(m, beside):
    """VM a computes beside another one: its rounds, how many in a second by its account, and what the other has used."""
    m.ask("create %s" % beside)
    m.console.send("create a\r")
    m.log("a: starts")
    rounds = rounds_of(m)
    used = Accounts(m).used
    m.ask("destroy a; destroy %s" % beside)
    return rounds, rounds / used["a"], used[beside]


@pytest.mark.parametrize("case", ["timer", "output"])
def test_interrupts_are_for_somebody(monitor, case):
    """M31. VM a computes beside a VM that makes none, or many interrupts while a runs: timers of its own go off, or the serial line
    wants more of what it has printed. Then a has less of the CPU, and pays only for what it has."""
    other = "autostart = no\n"
    m = monitor(vm("idle", "idle", other) + vm("timer", "timer", other) + vm("flood", "flood\nconsole = none", other) +
                vm("output", "flood", other) + A, 1)
    rounds, rate, quiet = measure(m, "idle" if case == "timer" else "flood")
    other_rounds, other_rate, loud = measure(m, case)
    print("%s: a %d rounds, %.0f a second; then %d, %.0f; the other used %.3f s, then %.3f" % (
        case, rounds, rate, other_rounds, other_rate, quiet, loud))
    assert abs(other_rate / rate - 1) < 0.01   # a second of a's is worth as much as before
    if case == "timer":
        taken = 1 - other_rounds / rounds
        assert taken > 0.015                   # so much of the CPU was taken from a,
        assert loud - quiet > 0.5 * taken * 4  # and the other has it on its account, but for exit and entry themselves
