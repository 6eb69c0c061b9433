# SPDX-License-Identifier: Apache-2.0
"""The bare guests: each directory in guests/bare is a program that tests the machine it runs on and counts
(M1 to M7, M9, M14, M15, M16 to M19, M24, M43, M44, M46, M66, M67, M70 to M74, M84; their sources name the rows)."""
import glob
import os
import re
import struct

import pytest
from conftest import TOP

GUESTS = sorted(os.path.basename(os.path.dirname(d)) for d in glob.glob(os.path.join(TOP, "guests/bare/*/"))
                if not d.endswith("/lib/"))
# What the command line tells a guest to leave out, because Bochs itself gets it wrong.
BOCHS = "bochs"
MIB = 1 << 20


# More that a guest's configuration needs.
KEYS = {"smp": "vcpus = 4\n",
        "pvring": "disk1 = boot/pv.img, socle\ndisk2 = null:64M, socle\ndisk3 = boot/pv.ro, socle, ro\n"
                  "net1 = bridge=pv, model=socle\nnet2 = bridge=pv, model=socle\n"}
# And more files. Word i of these disks is i.
NUMBERS = struct.pack("<%dI" % MIB, *range(MIB))
FILES = {"pvring": {"boot/pv.img": NUMBERS, "boot/pv.ro": NUMBERS[:MIB]}}


def vm(name, kernel, words):
    return ("[vm %s]\nmemory = 64\nkernel = %s.elf\ncmdline = %s\ntestdev = yes\n" % (name, kernel, words) +
            KEYS.get(kernel, ""))


def passes(machine):
    """The guest's own count, and that it left by the debug exit port with 0."""
    assert machine.status == 0, machine
    counts = re.findall(r"^(?:\S+\| )?(\d+) passed, (\d+) failed, (\d+) skipped$", machine.socle, re.M)
    assert len(counts) == 1, machine
    passed, failed, skipped = map(int, counts[0])
    assert passed > skipped and failed == 0, machine
    assert machine.lines("left through the debug exit port, value 0"), machine


@pytest.mark.parametrize("name", GUESTS)
def test_guest(boot, guest, name):
    passes(boot("[socle]\n" + vm(name, name, BOCHS), {name + ".elf": guest(name), **FILES.get(name, {})}))


@pytest.mark.parametrize("cpus", [2, 4])
def test_smp_guest(boot, guest, cpus):
    """Four virtual CPUs on several CPUs; above, they shared one."""
    m = boot(vm("smp", "smp", BOCHS), {"smp.elf": guest("smp")}, cpus=cpus)
    passes(m)
    assert re.search(r"Socle: %d CPUs" % cpus, m.socle), m


def test_rings_are_polled(boot, guest):
    """A second CPU looks at the rings (M27, M84): data, order and errors are the same, for a guest that sleeps until an
    event; and one that looks at its ring as well reads without an exit. More CPUs are asked for than there are: one is
    left to the guests, and a line says so."""
    kernel = [line if "disk" not in line else line + ", polled" for line in KEYS["pvring"].split("\n")]
    m = boot("[socle]\npoll = 3\n[vm pvring]\nmemory = 64\nkernel = pvring.elf\ntestdev = yes\n" + "\n".join(kernel) +
             "cmdline = %s read write segments ids barrier bad-requests teardown\n" % BOCHS +
             "[vm disk]\nmemory = 64\nkernel = disk.elf\ntestdev = yes\ndisk1 = null:8M, socle, polled\n"
             "cmdline = mode=polled op=read,write size=4096 depth=1,8 n=1000\n",
             {"pvring.elf": guest("pvring"), "disk.elf": guest("bench-disk"), **FILES["pvring"]}, cpus=2)
    assert m.lines("CPU 1 polls rings and runs no guests"), m
    assert m.lines("error: poll: 3 CPUs to poll, but the machine has 2: expected at most 1; 1 poll"), m
    assert re.search(r"7 passed, 0 failed, 0 skipped", m.socle), m
    lines = re.findall(r"DISK mode=polled op=(?:read|write) size=4096 depth=[18] ops=1000 .*exits=\d+(.*)", m.socle)
    assert len(lines) == 4, m
    for reasons in lines:
        names = {word.split("=")[0] for word in reasons.split()}
        assert names <= {"interrupt", "preemption-timer"}, m


@pytest.mark.parametrize("mode, model", [("virtio", "split"), ("socle", "socle")])
def test_bytes_are_shared(boot, guest, mode, model):
    """Two send all they can, frames of 64 and of 1,500 bytes, and a CPU of its own forwards them (M75, M84): each gets
    the same bytes through, within 3 %."""
    m = boot("[socle]\npoll = 1\n" + "".join(
        "[vm %s]\nmemory = 64\nkernel = net.elf\ntestdev = yes\npin = %d\ncmdline = mode=%s %s\nnet1 = model=%s, polled=yes\n"
        % (name, cpu, mode, words, model) for cpu, (name, words) in enumerate([
            ("judge", "role=judge ticks=8000000"), ("small", "role=flood size=64"), ("big", "role=flood size=1500")])),
             {"net.elf": guest("bench-net")}, cpus=4)
    said = re.search(r"SHARES ticks \d+ size (\d+) frames (\d+) size (\d+) frames (\d+)", m.socle)
    assert said, m
    size, frames, other_size, other_frames = map(int, said.groups())
    assert {size, other_size} == {64, 1500} and min(frames, other_frames) > 200
    assert 0.97 < size * frames / (other_size * other_frames) < 1.03, said.group()


@pytest.mark.parametrize("policy, most", [("bvt", 140), ("rr", 420)])
def test_spinners_give_their_place(boot, guest, policy, most):
    """Four virtual CPUs on one CPU take turns under a lock that is held for as long as a turn. Where spinners let
    anybody run, it takes 228 and 838 exits at PAUSE; 81 and 231 where they let each other run."""
    m = boot("[socle]\nsched = %s\n" % policy + vm("smp", "smp", BOCHS + " holders-xapic"), {"smp.elf": guest("smp")})
    passes(m)
    exits = re.search(r"^locks held for \d+ ticks in all took \d+ and (\d+) exits at PAUSE$", m.socle, re.M)
    assert 10 < int(exits.group(1)) <= most, m


def test_timers_without_preemption_timer(boot, guest):
    """test_features.py turns every feature off, with guests side by side; what measures time runs alone."""
    m = boot("[socle]\npreemption_timer = off\n" + vm("irqchip", "irqchip", BOCHS),
             {"irqchip.elf": guest("irqchip")})
    passes(m)
    assert re.search(r"VT-x: .*preemption timer off", m.socle), m
