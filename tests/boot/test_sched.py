# SPDX-License-Identifier: Apache-2.0
"""Who gets the CPU, under each policy: equal shares, weights, caps, VMs rather than virtual CPUs, and what a victim
keeps beside guests that mean ill (M29, M30, M34, M35). `make bench-sched` has the same for longer, and more exactly."""
import os
import re
import sys

import pytest
from conftest import BUILD, TOP

sys.path.insert(0, os.path.join(TOP, "scripts"))
from sched_scenes import HOSTILE, MHZ, POLICIES, Scene, Vm, configuration, files, hostile, parse   # noqa: E402

SECONDS = 2
# A turn is at most 10 ms long (credit; 5 to 10 ms under bvt, 5 ms under rr): each guest has what it should have to
# within a turn at the beginning of the measured time and one at its end.
TURNS = 2 * 0.010 / SECONDS


def cpus_of(boot, policy, vms, cpus=1):
    """name -> CPUs that it had. On several CPUs, a part of all rounds: there the TSC is no clock of each."""
    scene = Scene("", cpus, vms, [])
    m = boot(configuration(policy, scene, SECONDS), {there: here for here, there in files(scene, BUILD)}, cpus=cpus,
             timeout=120)
    assert m.status == 0 and "scheduler: " + policy in m.socle, m
    counts, _late = parse(scene, m.socle)
    assert sorted(counts) == sorted(vm.name for vm in vms if vm.kernel != HOSTILE), m
    total = sum(rounds for rounds, _least, _ticks in counts.values())
    got = {name: cpus * rounds / total if cpus > 1 else rounds * least / ticks
           for name, (rounds, least, ticks) in counts.items()}
    print(policy, ", ".join("%s %.4f" % pair for pair in got.items()))
    return got


@pytest.mark.parametrize("policy", POLICIES)
def test_shares(boot, policy):
    """One is capped at a tenth, and two of one tenant together (M90); eight tenths go to the others by weight, however
    many virtual CPUs they have."""
    got = cpus_of(boot, policy, [
        Vm("one"), Vm("other"), Vm("double", keys="weight = 512\n"), Vm("four", keys="vcpus = 4\n", words="cpus=4"),
        Vm("capped", keys="cap = 10\n"), Vm("quarter", keys="tenant = small\n"),
        Vm("rest", keys="tenant = small\nweight = 768\n[tenant small]\ncap = 10\n")])
    for name, want in (("one", 0.16), ("other", 0.16), ("double", 0.32), ("four", 0.16), ("capped", 0.10),
                       ("quarter", 0.025), ("rest", 0.075)):
        assert abs(got[name] - want) < TURNS, (name, got)


def test_four_cpus(boot):
    """One of double weight has a CPU of its own; the others share three."""
    got = cpus_of(boot, "bvt", [Vm("double", keys="weight = 512\n")] + [Vm("vm%d" % i) for i in range(6)], 4)
    for name, want in [("double", 1)] + [("vm%d" % i, 0.5) for i in range(6)]:
        assert abs(got[name] - want) < 2 * TURNS, (name, got)


@pytest.mark.parametrize("policy, others", [("bvt", ("cli", "flood")), ("credit", ("cli", "sleeper"))])
def test_victim(boot, policy, others):
    """Beside one that spins with interrupts off, and one whose two virtual CPUs flood each other with interrupts and
    timers, or one that sleeps and wakes every 20 us."""
    got = cpus_of(boot, policy, hostile(*others))
    assert got["victim"] >= 0.96 / 3, got


@pytest.mark.parametrize("policy", POLICIES)
def test_one_that_starts_again(console, guest, policy):
    """M35. Beside one of 16 virtual CPUs that does nothing but crash, and starts again each time, as any VM does that
    says nothing of on_reboot. To make and to free it takes the boot CPU, and it pays for that."""
    m = console("[socle]\nsched = %s\n[vm victim]\nmemory = 8\npages = 4k\nkernel = sched.elf\ntestdev = yes\n"
                "cmdline = name=victim from=20 for=%d\n[vm loop]\nmemory = 64\nvcpus = 16\nkernel = life.elf\n"
                "cmdline = triple\n" % (policy, SECONDS * MHZ), {"sched.elf": guest("bench-sched"),
                                                                 "life.elf": guest("life")})
    said = m.expect(r"SCHED victim rounds \d+ of \d+ in \d+\r?\n")
    rounds, least, ticks = map(int, re.search(r"rounds (\d+) of (\d+) in (\d+)", said).groups())
    print(policy, "victim %.4f, %d times started" % (rounds * least / ticks, said.count("loop: starts")))
    assert said.count("loop: starts") > 10
    assert rounds * least / ticks >= 0.96 / 2
