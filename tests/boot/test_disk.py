# SPDX-License-Identifier: Apache-2.0
"""Debian's unmodified kernel and its own virtio modules on our disks (M12, M40, M42, M69, M80): one with split rings, one
with packed ones, one that is read-only, each with a queue for each of two vCPUs. What is on them is read, written, read back, discarded, and there
after a reboot."""
import hashlib
import os
import re
import types

import pytest
from conftest import Booter, Console, emulator_slot
from linux_machine import FILES, TROUBLE, Shell, vm
from test_monitor import ESCAPE, PROMPT, Monitor

MIB = 1 << 20
pytestmark = pytest.mark.xdist_group("disk")
MODULES = "virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk"
LOAD = "for m in %s; do insmod /lib/modules/$m.ko || echo failed: $m; done" % MODULES
DISKS = "disk1 = boot/one.img\ndisk2 = boot/two.img, packed\ndisk3 = boot/one.ro, ro\nvcpus = 2\non_reboot = restart\n"

# For each disk that can be written. 300 KiB behind the first MiB, from 4 KiB requests and from large ones.
WRITES = {
    "written": "dd if=/dev/urandom of=/tmp/x bs=4k count=75 2>/dev/null; dd if=/tmp/x of=/dev/%s bs=4k seek=256 conv=fsync "
               "2>&1 | tail -n 1",
    "direct": "dd if=/dev/%s of=/tmp/y bs=4k skip=256 count=75 iflag=direct 2>/dev/null; cmp /tmp/x /tmp/y && echo same",
    "large": "echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/%s bs=1M count=4 2>/dev/null | dd bs=4k skip=256 count=75 "
             "iflag=fullblock 2>/dev/null | cmp - /tmp/x && echo same",
    "neighbours": "(dd if=/dev/%s bs=1M count=1; dd if=/dev/%s bs=4k skip=331) 2>/dev/null | sha256sum",
    "discarded": "blkdiscard -o 3145728 -l 65536 /dev/%s; echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/%s bs=64k skip=48 "
                 "count=1 2>/dev/null | tr -d '\\0' | wc -c",
}


def content(seed):
    return b"".join(hashlib.sha256(b"%d %d" % (seed, i)).digest() for i in range(4 * MIB // 32))


def disks_of(console):
    """What the monitor's stats say of the disks."""
    console.send(ESCAPE + "m")
    console.expect(PROMPT, timeout=60)
    disks = Monitor(console).json("stats -j linux")["disks"]
    console.send("quit\r")
    console.expect("console of linux", timeout=60)   # what is typed before is the monitor's
    return disks


@pytest.fixture(scope="module")
def linux(tmp_path_factory):
    booter, told = Booter(tmp_path_factory.mktemp("disk")), types.SimpleNamespace()
    told.images = [content(i) for i in range(3)]
    files = dict(FILES, **{"boot/one.img": told.images[0], "boot/two.img": told.images[1],
                           "boot/one.ro": told.images[2]})
    img = booter.image(vm(more=DISKS), files)
    with emulator_slot():
        console = Console(booter.argv(img, 1024, 1, 500, "bochs", None, ()), 240)
        try:
            shell = Shell(console)
            shell.ready()
            ask = shell.ask
            told.load = ask(LOAD)
            told.sizes = ask("cat /sys/block/vd?/size /sys/block/vd?/ro")
            told.serials = ask("cat /sys/block/vd?/serial")
            told.features = ask("cat /sys/block/vd?/device/features").split()
            told.sums = [ask("sha256sum /dev/" + d).split()[0] for d in ("vda", "vdb", "vdc")]
            told.writes = {d: {k: ask(c.replace("%s", d)) for k, c in WRITES.items()} for d in ("vda", "vdb")}
            told.queues = ask("echo /sys/block/vd?/mq/*")
            told.before = disks_of(console)
            ask("dd if=/dev/vda of=/dev/null bs=4k count=500 iflag=direct")
            told.meters = disks_of(console)
            ask("for i in 1 2 3 4; do dd if=/dev/vdc of=/dev/null bs=4k iflag=direct & done 2>/dev/null; wait")
            told.refused = ask("dd if=/tmp/x of=/dev/vdc bs=4k count=1; echo status $?")
            told.after = [ask("sha256sum /dev/" + d).split()[0] for d in ("vda", "vdb", "vdc")]
            told.interrupts = ask("cat /proc/interrupts")
            told.dmesg = ask("dmesg")
            console.send("reboot\r")
            shell.ready()
            ask(LOAD)
            told.again = [ask("sha256sum /dev/" + d).split()[0] for d in ("vda", "vdb", "vdc")]
            told.end = shell.power_off()
        finally:
            console.close()
    os.unlink(img)
    return told


def test_modules_load(linux):
    assert "failed" not in linux.load
    assert not TROUBLE.search(linux.dmesg), linux.dmesg


def test_what_they_are(linux):
    assert linux.sizes.split() == ["8192"] * 3 + ["0", "0", "1"]
    assert re.findall("disk[0-9]", linux.serials) == ["disk1", "disk2", "disk3"]


def test_what_was_negotiated(linux):
    def has(disk, bit):
        return linux.features[disk][bit] == "1"
    for disk in range(3):
        assert has(disk, 32) and has(disk, 28) and has(disk, 29)   # VERSION_1, INDIRECT_DESC, EVENT_IDX
        assert has(disk, 34) == (disk == 1)                        # RING_PACKED
        assert has(disk, 9)                                        # FLUSH
        assert has(disk, 5) == (disk == 2)                         # RO
        assert has(disk, 13) and has(disk, 14) or disk == 2        # DISCARD, WRITE_ZEROES


def test_content(linux):
    assert linux.sums == [hashlib.sha256(i).hexdigest() for i in linux.images]


@pytest.mark.parametrize("disk", ["vda", "vdb"])
def test_writes(linux, disk):
    told = linux.writes[disk]
    assert "75+0 records out" in told["written"], told
    assert "same" in told["direct"] and "same" in told["large"], told
    old = linux.images["vda vdb".split().index(disk)]
    rest = old[:MIB] + old[331 * 4096:]
    assert hashlib.sha256(rest).hexdigest() in told["neighbours"]
    assert told["discarded"].split()[-1] == "0", told


def test_read_only(linux):
    assert "status 1" in linux.refused
    assert linux.after[2] == linux.sums[2]


def test_kept_over_a_reboot(linux):
    assert linux.again == linux.after
    assert linux.after[0] != linux.sums[0] and linux.after[1] != linux.sums[1]


def test_interrupts(linux):
    """Messages, at most one for each request; more than none."""
    lines = [line.split() for line in linux.interrupts.splitlines() if "virtio" in line and "req" in line]
    assert len(lines) == 6 and all("MSI" in " ".join(line) for line in lines), linux.interrupts
    for disk in range(3):
        of_disk = [int(line[1]) + int(line[2]) for line in lines[2 * disk:2 * disk + 2]]
        assert sum(of_disk) > 10, linux.interrupts
    assert all(sum(int(n) for line in lines[q::2] for n in line[1:3]) > 10 for q in (0, 1)), linux.interrupts


def test_queues(linux):
    """One for each vCPU: two directories of each disk."""
    assert linux.queues.split() == ["/sys/block/vd%s/mq/%d" % (disk, q) for disk in "abc" for q in (0, 1)]
    assert all(f[12] == "1" for f in linux.features)   # MQ


def test_meters(linux):
    """500 reads of 4 KiB are 500 reads, and each tells the device once at most; the others' disks did nothing."""
    before, after = linux.before, linux.meters
    assert [d["disk"] for d in after] == [1, 2, 3]
    grown = {key: after[0][key] - before[0][key] for key in after[0]}
    assert grown["reads"] == 500 and grown["bytes_read"] == 500 * 4096, grown
    assert 0 < grown["doorbells"] <= 500 and 0 < grown["interrupts"] <= 500 and grown["time_us"] > 0, grown
    assert grown["writes"] == grown["errors"] == grown["barriers"] == 0, grown
    assert before[0]["writes"] > 0 and before[0]["flushes"] > 0 and before[0]["discards"] > 0, before
    assert before[0]["bytes_written"] >= 300 << 10 and before[2]["writes"] == 0, before
    assert after[1:] == before[1:], after


def test_end(linux):
    assert linux.end.status == 0
