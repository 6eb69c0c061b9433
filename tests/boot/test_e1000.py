# SPDX-License-Identifier: Apache-2.0
"""Debian's unmodified kernel for PCs on two 82540EMs of one bridge, with its own e1000 module (M11, M66, M69, M77, M84):
they ping each other and fetch files over TCP, whose checksums are right; each is reset, and goes. The cloud kernel of the
other tests has no such module."""
import os
import re
import subprocess
import types

import pytest
from conftest import BUILD, Booter, Machine, emulator_slot
from linux_machine import vm

pytestmark = pytest.mark.xdist_group("e1000")
LINUX = os.path.join(BUILD, "guests/linux")
FILES = {"boot/vmlinuz": os.path.join(LINUX, "bzImage-pc"), "boot/initrd": os.path.join(LINUX, "initrd-pc")}
NETS = "net1 = model=e1000\nnet2 = model=e1000, mac=52:54:00:12:34:56\n"
SIZE = 2 << 20


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    booter = Booter(tmp_path_factory.mktemp("e1000"))
    img = booter.image(vm("linux", "e1000", NETS), FILES)
    with emulator_slot():
        done = subprocess.run(booter.argv(img, 1024, 1, 600, "bochs", None, ()), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    os.unlink(img)
    machine = Machine(done.returncode, done.stdout, done.stderr.decode(errors="replace"))
    said = [line.partition("net: ")[2] for line in machine.socle.splitlines() if "net: " in line]
    return types.SimpleNamespace(machine=machine, said=said)


def of(told, word):
    return [line.partition(word)[2].strip() for line in told.said if line.startswith(word)]


def test_it_ends(told):
    assert told.machine.status == 0, told.machine
    assert told.said[-1] == "end" and "removed" in told.said, told.machine
    assert not of(told, "trouble") and not of(told, "failed"), told.machine


def test_addresses(told):
    """From the EEPROM, whose checksum the driver has checked."""
    one, two = of(told, "addresses")[0].split()
    assert two == "52:54:00:12:34:56"
    assert re.fullmatch("[0-9a-f][26ae](:[0-9a-f]{2}){5}", one) and one != two


def test_ping(told):
    pings = of(told, "ping")
    assert len(pings) == 5
    assert all("3 packets received, 0% packet loss" in ping for ping in pings), pings


def test_files(told):
    has = {side: of(told, side + " has")[0] for side in ("one", "two")}
    assert of(told, "one got") == [has["two"]]
    assert of(told, "two got") == [has["one"]]
    assert has["one"] != has["two"]


@pytest.mark.parametrize("side", ["one", "two"])
def test_nothing_was_lost(told, side):
    counts = {line.split()[0]: line for line in of(told, side) if "packets:" in line}
    for way in ("RX", "TX"):
        assert "errors:0 dropped:0 overruns:0" in counts[way], counts
        packets = int(re.search(r"packets:(\d+)", counts[way]).group(1))
        assert packets > SIZE / 65536


def test_moderation(told):
    """One interrupt tells of several frames."""
    lines = [line.split() for line in of(told, "interrupts")]
    packets = sum(int(n) for side in ("one", "two") for n in re.findall(r"packets:(\d+)", " ".join(of(told, side))))
    assert len(lines) == 2
    assert all(10 < int(line[1]) for line in lines) and sum(int(line[1]) for line in lines) < packets / 2, lines
