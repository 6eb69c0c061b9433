# SPDX-License-Identifier: Apache-2.0
"""Debian's unmodified kernel and its own ata_piix on our IDE controller (M11, M66): a disk with DMA, one
without on the same channel, one that is read-only on the other, and a virtio disk beside them with the same image as
the first: by either way, a word of the configuration apart. What is on them is read, written, flushed, read
back, and there after a reboot."""
import hashlib
import os
import re
import types

import pytest
from conftest import BUILD, Booter, Console, emulator_slot
from linux_machine import FILES, TROUBLE, Shell, vm
from test_disk import LOAD as LOAD_VIRTIO
from test_disk import MIB, WRITES, content

pytestmark = pytest.mark.xdist_group("ata")
LOAD = ("for m in scsi_common scsi_mod sd_mod libata ata_piix; do insmod /lib/modules/$m.ko || echo failed: $m; done; "
        "for i in $(seq 100); do [ -b /dev/sdc ] && break; sleep 0.1; done")
DISKS = ("disk1 = boot/one.img, ide\ndisk2 = boot/two.img, pio\ndisk3 = boot/one.ro, ro, ide\ndisk4 = boot/four.img\n"
         "on_reboot = restart\n")
INITRD = {"boot/initrd": os.path.join(BUILD, "guests/linux/initrd-ata")}
NAMES = ("sda", "sdb", "sdc", "vda")


@pytest.fixture(scope="module")
def linux(tmp_path_factory):
    booter, told = Booter(tmp_path_factory.mktemp("ide")), types.SimpleNamespace()
    told.images = [content(i) for i in (10, 11, 12, 10)]
    names = ("boot/one.img", "boot/two.img", "boot/one.ro", "boot/four.img")
    img = booter.image(vm(more=DISKS), {**FILES, **INITRD, **dict(zip(names, told.images))})
    with emulator_slot():
        console = Console(booter.argv(img, 1024, 1, 900, "bochs", None, ()), 240)
        try:
            shell = Shell(console)
            shell.ready()
            ask = shell.ask
            told.load = ask(LOAD + "; " + LOAD_VIRTIO)
            told.sizes = ask("cat /sys/block/sd?/size /sys/block/vda/size")
            told.cache = ask("cat /sys/block/sd?/queue/write_cache")
            told.modes = ask("cd /sys/class/ata_device; cat dev1.0/xfer_mode dev1.1/xfer_mode dev2.0/xfer_mode; cd")
            told.dmesg = ask("dmesg")
            told.sums = [ask("sha256sum /dev/" + d).split()[0] for d in NAMES]
            told.writes = {d: {k: ask(WRITES[k].replace("%s", d)) for k in ("written", "direct", "large", "neighbours")}
                           for d in ("sda", "sdb")}
            told.interrupts = ask("cat /proc/interrupts")
            told.trouble = ask("dmesg")
            told.refused = ask("dd if=/tmp/x of=/dev/sdc bs=4k count=1 oflag=direct; echo status $?", 120)
            told.after = [ask("sha256sum /dev/" + d).split()[0] for d in NAMES]
            console.send("reboot\r")
            shell.ready()
            ask(LOAD)
            told.again = [ask("sha256sum /dev/" + d).split()[0] for d in NAMES[:3]]
            told.end = shell.power_off()
        finally:
            console.close()
    os.unlink(img)
    return told


def test_modules_load(linux):
    assert "failed" not in linux.load
    assert not TROUBLE.search(linux.trouble), linux.trouble
    assert not re.search(r"ata\d.*(exception|failed|error|timeout)", linux.trouble), linux.trouble


def test_what_they_are(linux):
    assert linux.sizes.split() == ["8192"] * 4
    assert linux.cache.count("write back") == 3, linux.cache
    assert len(re.findall(r"ATA-\d: Socle disk, 1, max (UDMA/33|PIO4)", linux.dmesg)) == 3, linux.dmesg
    assert re.search(r"ata1\.00: 8192 sectors, multi 16: LBA48", linux.dmesg)


def test_modes(linux):
    """The controller has no Ultra DMA, a drive without DMA is driven by PIO."""
    modes = linux.modes.replace("_", "").split()
    assert [m.removeprefix("XFER") for m in modes] == ["MWDMA2", "PIO4", "MWDMA2"], linux.modes


def test_content(linux):
    assert linux.sums == [hashlib.sha256(i).hexdigest() for i in linux.images]


def test_either_way(linux):
    """M11: the kernel finds the same image by an emulated disk and by a virtio one; what it writes to one is not on the
    other."""
    assert linux.sums[0] == linux.sums[3] == linux.after[3] != linux.after[0]


@pytest.mark.parametrize("disk", ["sda", "sdb"])
def test_writes(linux, disk):
    told = linux.writes[disk]
    assert "75+0 records out" in told["written"], told
    assert "same" in told["direct"] and "same" in told["large"], told
    old = linux.images[NAMES.index(disk)]
    assert hashlib.sha256(old[:MIB] + old[331 * 4096:]).hexdigest() in told["neighbours"]


def test_read_only(linux):
    assert "status 1" in linux.refused, linux.refused
    assert linux.after[2] == linux.sums[2]


def test_kept_over_a_reboot(linux):
    assert linux.again == linux.after[:3]
    assert linux.after[0] != linux.sums[0] and linux.after[1] != linux.sums[1]


def test_interrupts(linux):
    """Edges of lines 14 and 15 at the IOAPIC."""
    for line in ("14", "15"):
        row = re.search(r"^ *%s: +(\d+) .*ata_piix" % line, linux.interrupts, re.M)
        assert row and int(row[1]) > 10, linux.interrupts


def test_end(linux):
    assert linux.end.status == 0
