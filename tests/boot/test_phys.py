# SPDX-License-Identifier: Apache-2.0
"""The machine's own IDE disks, by Socle's driver, under an unmodified Debian kernel with its virtio disks (M80): a
partition, a range of sectors, all sectors of a disk on the other channel, and the disk that Socle was started from, to
read only. What the guest wrote is in the files behind the disks, and nothing else has changed. VMs that ask for what is
not there, or is another's, do not start and say why."""
import hashlib
import os
import random
import struct
import types

import pytest
from conftest import BUILD, Booter, Console, emulator_slot
from linux_machine import FILES, TROUBLE, Shell, vm

MIB = 1 << 20
SIZE = 16 * 516096
pytestmark = pytest.mark.xdist_group("phys")
MODULES = "virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk"
LOAD = "for m in %s; do insmod /lib/modules/$m.ko || echo failed: $m; done" % MODULES

# Of hdb: its second partition, and sectors behind it.
PARTITION = (63, 4095)
EXTENT = (4158, 4096)
DISKS = ("disk1 = phys:hdb2, rw\ndisk2 = phys:hdb@%d+%d, packed\ndisk3 = phys:hdc@0+%d\ndisk4 = phys:hda@0+2048, ro\n" %
         (*EXTENT, SIZE // 512))
WRONG = {
    "gone": ("phys:hdd", "this machine has no such disk, or no driver for it"),
    "unknown": ("phys:hdb3", "there is no such partition"),
    "blank": ("phys:hdc1, ro", "its partition table is damaged, or there is none"),
    "behind": ("phys:hdb@%d+2" % (SIZE // 512 - 1), "it ends behind the last sector of the disk"),
    "boots": ("phys:hda@4000+1", "Socle was started from this disk: expected ro"),
    "greedy": ("phys:hdb@4157+1, ro", "overlaps disk1 of linux: expected ro, or another part"),
}
COMMANDS = {
    "small": "dd if=/dev/urandom of=/tmp/%s bs=4k count=80 2>/dev/null; dd if=/tmp/%s of=/dev/%s bs=4k seek=16 conv=fsync "
             "2>&1 | tail -n 1; sha256sum </tmp/%s",
    "direct": "dd if=/dev/%s of=/tmp/y bs=4k skip=16 count=80 iflag=direct 2>/dev/null; cmp /tmp/%s /tmp/y && echo same",
    "large": "dd if=/dev/zero of=/dev/%s bs=1M seek=1 count=1 oflag=direct 2>/dev/null; dd if=/tmp/%s of=/dev/%s bs=512k seek=2 "
             "conv=fsync 2>/dev/null; sync; echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/%s bs=1M skip=1 count=1 iflag=direct "
             "2>/dev/null | head -c 327680 | cmp - /tmp/%s && echo same",
}


def noise(seed, size):
    return random.Random(seed).randbytes(size)


def make_disks(folder):
    hdb = bytearray(noise(1, SIZE))
    hdb[446:512] = bytes(66)
    hdb[462:478] = struct.pack("<4B4B2I", 0, 0, 0, 0, 0x83, 0, 0, 0, *PARTITION)
    hdb[510:512] = b"\x55\xaa"
    disks = {"hdb": bytes(hdb), "hdc": bytes(512) + noise(2, SIZE - 512)}
    for name, content in disks.items():
        (folder / name).write_bytes(content)
    return disks


@pytest.fixture(scope="module")
def linux(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phys")
    booter, told = Booter(folder), types.SimpleNamespace()
    told.before = make_disks(folder)
    config = vm(more=DISKS) + "".join("[vm %s]\nmemory = 16M\nkernel = hello.elf\nconsole = none\ndisk1 = %s\n" % (name, disk)
                                      for name, (disk, _) in WRONG.items())
    img = booter.image(config, dict(FILES, **{"hello.elf": os.path.join(BUILD, "guests/hello.elf")}))
    told.image = open(img, "rb").read(MIB)
    argv = booter.argv(img, 1024, 1, 240, "bochs", None,
                       [word for name in told.before for word in ("-d", "%s=%s" % (name, folder / name))])
    with emulator_slot():
        console = Console(argv, 200)
        try:
            shell = Shell(console)
            told.boot = shell.ready(110)
            ask = shell.ask
            told.load = ask(LOAD)
            told.sizes = ask("cat /sys/block/vd?/size /sys/block/vd?/ro").split()
            told.sums = [ask("sha256sum /dev/" + d).split()[0] for d in ("vda", "vdb", "vdc")]
            told.head = ask("head -c 1048576 /dev/vdd | sha256sum").split()[0]
            told.writes = {d: {k: ask(c.replace("%s", d)) for k, c in COMMANDS.items()} for d in ("vda", "vdb", "vdc")}
            # Three at once, on two channels.
            told.together = ask("for d in vda vdb vdc; do dd if=/dev/$d bs=64k iflag=direct 2>/dev/null | sha256sum >/tmp/s.$d & "
                                "done; wait; cat /tmp/s.vda /tmp/s.vdb /tmp/s.vdc")
            told.refused = ask("dd if=/tmp/vda of=/dev/vdd bs=4k count=1; echo status $?")
            told.dmesg = ask("dmesg")
            told.end = shell.power_off()
        finally:
            console.close()
    told.after = {name: (folder / name).read_bytes() for name in told.before}
    os.unlink(img)
    return told


def sha(data):
    return hashlib.sha256(data).hexdigest()


def part(content, extent):
    return content[extent[0] * 512:(extent[0] + extent[1]) * 512]


PLACES = {"vda": ("hdb", PARTITION), "vdb": ("hdb", EXTENT), "vdc": ("hdc", (0, SIZE // 512))}


def test_found(linux):
    assert "hdb: " in linux.boot and "hdc: " in linux.boot
    assert "failed" not in linux.load and not TROUBLE.search(linux.dmesg), linux.dmesg
    assert linux.sizes[:3] == [str(PARTITION[1]), str(EXTENT[1]), str(SIZE // 512)]
    assert linux.sizes[4:] == ["0", "0", "0", "1"]


def test_content(linux):
    assert linux.sums == [sha(part(linux.before[disk], extent)) for disk, extent in PLACES.values()]
    assert linux.head == sha(linux.image)


@pytest.mark.parametrize("name", PLACES)
def test_writes(linux, name):
    told, (disk, extent) = linux.writes[name], PLACES[name]
    assert "80+0 records out" in told["small"] and "same" in told["direct"] and "same" in told["large"], told
    now = part(linux.after[disk], extent)
    written = now[65536:65536 + 327680]
    assert sha(written) in told["small"]
    assert now[MIB:MIB + 327680] == written and now[MIB + 327680:2 * MIB] == bytes(MIB - 327680)
    old = part(linux.before[disk], extent)
    assert now[:65536] == old[:65536] and now[65536 + 327680:MIB] == old[65536 + 327680:MIB]
    assert now[2 * MIB:] == old[2 * MIB:]
    assert sha(now) in linux.together


def test_neighbours(linux):
    before, after = linux.before["hdb"], linux.after["hdb"]
    end = (EXTENT[0] + EXTENT[1]) * 512
    assert PARTITION[0] + PARTITION[1] == EXTENT[0]
    assert after[:PARTITION[0] * 512] == before[:PARTITION[0] * 512] and after[end:] == before[end:]


def test_boot_disk_is_read_only(linux):
    assert "status 1" in linux.refused


@pytest.mark.parametrize("name", WRONG)
def test_refused(linux, name):
    disk, why = WRONG[name]
    line = [text for text in linux.boot.splitlines() if " %s: disk1: %s" % (name, disk.split(",")[0]) in text]
    assert len(line) == 1 and why in line[0], linux.boot


def test_end(linux):
    assert linux.end.status == 0
