# SPDX-License-Identifier: Apache-2.0
"""The same requests by different ways, in one boot, and what leaves the guest for them: the block queue and the switch
behind exits of emulated devices and behind doorbells of rings (M68), interrupts of 1,000 requests (M84), what is faster than
what, with CPUs that poll in test_guests.py (M27), and no byte copied where data is read into the guest's own memory (M69,
M80)."""
import re
import types

import pytest
from conftest import BUILD, Booter, Console, emulator_slot

pytestmark = pytest.mark.xdist_group("ways")
N = 500
DISK = "[vm %s]\nmemory = 24\nkernel = disk.elf\ntestdev = yes\ndisk1 = null:8M, %s\ncmdline = mode=%s op=read size=4096 depth=%s n=%d\n"
NET = "[vm %s]\nmemory = 24\nkernel = net.elf\ntestdev = yes\nnet1 = bridge=%s, model=%s\ncmdline = mode=%s role=%s op=bulk,rr size=1500 n=%d burst=32\n"
DISKS = {"pio": ("pio", "1"), "virtio": ("split", "1,32"), "packed": ("packed", "1,32"), "socle": ("socle", "1,32")}
NETS = {"e1000": "e1000", "virtio": "split", "socle": "socle"}
SAID = re.compile(r"^(?:\S+\| )?DISK mode=(\w+) op=read size=4096 depth=(\d+) ops=(\d+) (.*)$", re.M)
FRAMES = re.compile(r"^(\w+)-first\| FRAMES first (\w+) size 1500 count (\d+) ticks \d+ (.*)$", re.M)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    config = "".join(DISK % ("disk-" + mode, word, mode, depths, N if mode != "pio" else 20)
                     for mode, (word, depths) in DISKS.items())
    config += "".join(NET % ("%s-%s" % (mode, role), mode, model, mode, role, N)
                      for mode, model in NETS.items() for role in ("first", "second"))
    booter, told = Booter(tmp_path_factory.mktemp("ways")), types.SimpleNamespace(disks={}, nets={})
    img = booter.image(config, {"disk.elf": BUILD + "/guests/bench-disk.elf", "net.elf": BUILD + "/guests/bench-net.elf"})
    with emulator_slot():
        console = Console(booter.argv(img, 1024, 1, 240, "bochs", None, ()), 240)
        try:
            told.machine = console.wait(240)
        finally:
            console.close()
    for mode, depth, n, rest in SAID.findall(told.machine.socle):
        told.disks[mode, int(depth)] = {k: int(v) / int(n) for k, v in re.findall(r"([\w-]+)=(\d+)", rest)}
    for mode, op, n, rest in FRAMES.findall(told.machine.socle):
        words = rest.split()
        told.nets[mode, op] = {k: int(v) / int(n) for k, v in zip(words[::2], words[1::2])}
    print("\n".join("%s: %s" % (way, m) for ways in (told.disks, told.nets) for way, m in ways.items()))
    return told


def test_all_are_there(told):
    assert told.machine.status == 0, told.machine
    assert set(told.disks) == {("pio", 1)} | {(mode, depth) for mode in DISKS if mode != "pio" for depth in (1, 32)}
    assert set(told.nets) == {(mode, op) for mode in NETS for op in ("bulk", "rr")}


def test_exits_of_a_read(told):
    """4 KiB: an exit for each word of PIO, one and the interrupt's end by virtio, one by a ring; few where many are told of
    together."""
    exits = {way: m["exits"] for way, m in told.disks.items()}
    assert exits["socle", 1] < 1.1, exits
    assert exits["virtio", 1] < 2.2 and exits["packed", 1] < 2.2, exits
    assert exits["pio", 1] > 1000 and exits["pio", 1] > 50 * exits["virtio", 1], exits
    assert all(n <= 0.2 for (_mode, depth), n in exits.items() if depth == 32), exits


def test_exits_of_a_frame(told):
    """To tell of one and to hear of the answer: an emulated card has its interrupt's cause read in addition."""
    exits = {way: m["exits"] for way, m in told.nets.items()}
    for ring in ("virtio", "socle"):
        assert exits[ring, "rr"] + 0.9 < exits["e1000", "rr"] < 6, exits
        assert exits[ring, "bulk"] < 0.1, exits
        assert told.nets[ring, "bulk"]["hypervisor"] < 0.8 * told.nets["e1000", "bulk"]["hypervisor"], told.nets


def test_interrupts_of_a_thousand_requests(told):
    """At depth 1 each, at depth 32 one for those that are done together."""
    for mode in ("virtio", "packed"):
        assert 990 <= 1000 * told.disks[mode, 1]["interrupts"] <= 1000, told.disks
        assert 25 <= 1000 * told.disks[mode, 32]["interrupts"] <= 40, told.disks


def test_what_is_copied(told):
    """Rings are of pointers: the disk gets the guest's own pages; PIO goes through the device's buffer. A frame is copied
    once, and what was looked at once more."""
    assert all(m["copied"] == (4096 if mode == "pio" else 0) for (mode, _depth), m in told.disks.items()), told.disks
    for mode in NETS:
        assert 1500 <= told.nets[mode, "bulk"]["copied"] <= 1500 + 64 + 12, told.nets
