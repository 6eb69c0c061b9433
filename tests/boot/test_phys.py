# SPDX-License-Identifier: Apache-2.0
"""The machine's own devices, by Socle's drivers, under an unmodified Debian kernel with its virtio modules.

Disks (M69, M80): a partition, a range of sectors, all sectors of a disk on the other channel, and the disk that Socle was
started from, to read only. What the guest wrote is in the files behind the disks, and nothing else has changed. VMs
that ask for what is not there, or is another's, do not start and say why.

Network (M73): an interface on a bridge that has the machine's 82540EM, and behind that a tap interface in a network
namespace, where we may make one: ping, and TCP both ways with checksums, from Linux and from a bare guest."""
import hashlib
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import types

import pytest
from conftest import BUILD, Booter, Console, emulator_slot
from linux_machine import FILES, TROUBLE, Shell, vm
from test_disk import disks_of

SIZE = 6 * 516096
BYTES = int(os.environ.get("SOCLE_UPLINK_MIB", "2")) << 20   # TCP, each way
PATIENCE = 120 + (BYTES >> 20) * 20
TAPPED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tapped.py")
pytestmark = pytest.mark.xdist_group("phys")
MODULES = ("virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk failover net_failover "
           "virtio_net")
LOAD = "for m in %s; do insmod /lib/modules/$m.ko || echo failed: $m; done" % MODULES

# Of hdb: its second partition, and sectors behind it.
PARTITION = (63, 2047)
EXTENT = (2110, 2048)
DISKS = ("disk1 = phys:hdb2, rw\ndisk2 = phys:hdb@%d+%d, packed\ndisk3 = phys:hdc@0+%d\ndisk4 = phys:hda@0+256, ro\n" %
         (*EXTENT, SIZE // 512))
NET = "net1 = bridge=out, mac=52:54:00:00:00:77\n"
WRONG = {
    "gone": ("phys:hdd", "this machine has no such disk, or no driver for it"),
    "unknown": ("phys:hdb3", "there is no such partition"),
    "blank": ("phys:hdc1, ro", "its partition table is damaged, or there is none"),
    "behind": ("phys:hdb@%d+2" % (SIZE // 512 - 1), "it ends behind the last sector of the disk"),
    "boots": ("phys:hda@4000+1", "Socle was started from this disk: expected ro"),
    "greedy": ("phys:hdb@%d+1, ro" % (EXTENT[0] - 1), "overlaps disk1 of linux: expected ro, or another part"),
}
COMMANDS = {
    "small": "dd if=/dev/urandom of=/tmp/%s bs=4k count=80 2>/dev/null; dd if=/tmp/%s of=/dev/%s bs=4k seek=16 conv=fsync "
             "2>&1 | tail -n 1; sha256sum </tmp/%s",
    "direct": "dd if=/dev/%s of=/tmp/y bs=4k skip=16 count=80 iflag=direct 2>/dev/null; cmp /tmp/%s /tmp/y && echo same",
    "large": "dd if=/dev/zero of=/dev/%s bs=256k seek=2 count=1 oflag=direct 2>/dev/null; dd if=/tmp/%s of=/dev/%s bs=64k "
             "seek=8 conv=fsync 2>/dev/null; echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/%s bs=320k count=3 2>/dev/null | "
             "dd bs=64k skip=8 count=5 iflag=fullblock 2>/dev/null | cmp - /tmp/%s && echo same",
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


def can_tap():
    trial = "ip link set lo up && ip tuntap add tap0 mode tap"
    return bool(shutil.which("unshare") and shutil.which("ip")) and not subprocess.run(
        ["unshare", "-n", "sh", "-c", trial], stderr=subprocess.DEVNULL, check=False).returncode


def ask_disks(ask, told):
    told.sizes = ask("cat /sys/block/vd?/size /sys/block/vd?/ro").split()
    told.sums = [ask("sha256sum /dev/" + d).split()[0] for d in ("vda", "vdb", "vdc", "vdd")]
    told.writes = {d: {k: ask(c.replace("%s", d)) for k, c in COMMANDS.items()} for d in ("vda", "vdb", "vdc")}
    # Three at once, on two channels.
    told.together = ask("for d in vda vdb vdc; do dd if=/dev/$d bs=64k iflag=direct 2>/dev/null | sha256sum >/tmp/s.$d & "
                        "done; wait; cat /tmp/s.vda /tmp/s.vdb /tmp/s.vdc")
    told.refused = ask("dd if=/tmp/vda of=/dev/vdd bs=4k count=1; echo status $?")


# A guest without an operating system on the same bridge, with a TCP of its own.
BARE = ("[vm bare]\nmemory = 64\nkernel = outside.elf\ncmdline = mib=%d\ntestdev = yes\n"
        "net1 = bridge=out, mac=52:54:00:00:00:78\n" % (BYTES >> 20))


def ask_network(ask, told):
    told.up = ask("ip link set eth0 up && ip addr add 10.77.0.2/24 dev eth0 && echo yes")
    told.ping = ask("ping -c 3 10.77.0.1; ping -c 3 -s 1472 10.77.0.1")
    told.down = ask("nc 10.77.0.1 7000 </dev/null | sha256sum", PATIENCE)
    told.file = ask("dd if=/dev/urandom of=/tmp/x bs=64k count=%d 2>/dev/null; sha256sum </tmp/x" % (BYTES >> 16), PATIENCE)
    told.sent = ask("nc 10.77.0.1 7001 </tmp/x", PATIENCE)
    print("uplink: %d MiB each way, by Linux" % (BYTES >> 20), flush=True)


@pytest.fixture(scope="module")
def linux(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phys")
    booter, told = Booter(folder), types.SimpleNamespace(tap=can_tap(), data=noise(7, BYTES))
    told.before = make_disks(folder)
    (folder / "data").write_bytes(told.data)
    config = "[socle]\nuplink = out\n" + vm(more=DISKS + NET) + "".join(
        "[vm %s]\nmemory = 16M\nkernel = hello.elf\nconsole = none\ndisk1 = %s\n" % (name, disk)
        for name, (disk, _) in WRONG.items()) + (BARE if told.tap else "")
    img = booter.image(config, dict(FILES, **{"boot/initrd": os.path.join(BUILD, "guests/linux/initrd-net"),
                                              "hello.elf": os.path.join(BUILD, "guests/hello.elf"),
                                              "outside.elf": os.path.join(BUILD, "guests/bench-outside.elf")}))
    with open(img, "rb") as f:
        told.image = f.read(256 * 512)
    argv = booter.argv(img, 1024, 1, 500 + 4 * PATIENCE, "bochs", None,
                       [word for name in told.before for word in ("-d", "%s=%s" % (name, folder / name))])
    if told.tap:
        argv = ["unshare", "-n", sys.executable, TAPPED, str(folder / "data"), *argv, "--tap", "tap0"]
    with emulator_slot():
        console = Console(argv, 240)
        try:
            shell = Shell(console)
            told.boot = shell.ready()
            told.load = shell.ask(LOAD)
            ask_disks(shell.ask, told)
            told.meters = disks_of(console)
            if told.tap:
                ask_network(shell.ask, told)
            told.dmesg = shell.ask("dmesg")
            console.send("poweroff\r")
            told.end = console.wait(60 + PATIENCE)   # for the bare guest
            print("\n".join(line for line in told.end.socle.splitlines() if "outside: " in line), flush=True)
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
    assert linux.sizes[:4] == [str(PARTITION[1]), str(EXTENT[1]), str(SIZE // 512), "256"]
    assert linux.sizes[4:] == ["0", "0", "0", "1"]


def test_content(linux):
    assert linux.sums == [sha(part(linux.before[disk], extent)) for disk, extent in PLACES.values()] + [sha(linux.image)]


@pytest.mark.parametrize("name", PLACES)
def test_writes(linux, name):
    told, (disk, extent) = linux.writes[name], PLACES[name]
    assert "80+0 records out" in told["small"] and "same" in told["direct"] and "same" in told["large"], told
    now, old = part(linux.after[disk], extent), part(linux.before[disk], extent)
    written = now[0x10000:0x60000]
    assert sha(written) in told["small"]
    assert now[0x80000:0xd0000] == written
    assert now[:0x10000] == old[:0x10000] and now[0x60000:0x80000] == old[0x60000:0x80000] and now[0xd0000:] == old[0xd0000:]
    assert sha(now) in linux.together


def test_neighbours(linux):
    before, after = linux.before["hdb"], linux.after["hdb"]
    end = (EXTENT[0] + EXTENT[1]) * 512
    assert PARTITION[0] + PARTITION[1] == EXTENT[0]
    assert after[:PARTITION[0] * 512] == before[:PARTITION[0] * 512] and after[end:] == before[end:]


def test_nothing_is_copied(linux):
    """The controller moves what Linux reads and writes between its own pages and the medium (M69, M80)."""
    for disk in linux.meters:
        assert disk["bytes_read"] >= 256 * 512 and disk["copied"] == 0, linux.meters
    assert [disk["bytes_written"] > 512 << 10 for disk in linux.meters] == [True, True, True, False], linux.meters


def test_boot_disk_is_read_only(linux):
    assert "status 1" in linux.refused


@pytest.mark.parametrize("name", WRONG)
def test_refused(linux, name):
    disk, why = WRONG[name]
    line = [text for text in linux.boot.splitlines() if " %s: disk1: %s" % (name, disk.split(",")[0]) in text]
    assert len(line) == 1 and why in line[0], linux.boot


def test_network_card(linux):
    if linux.tap:
        assert "network card: 82540EM, 52:54:00:12:34:56, interrupt" in linux.boot and "no uplink" not in linux.boot
    else:
        assert "there is no network card that Socle has a driver for" in linux.boot and "out has no uplink" in linux.boot


def test_network(linux):
    if not linux.tap:
        pytest.skip("this machine lets us make no tap interface (root and /dev/net/tun are needed)")
    assert "yes" in linux.up
    assert re.findall(r"(\d+) packets transmitted, (\d+) packets received", linux.ping) == [("3", "3")] * 2, linux.ping
    assert sha(linux.data) in linux.down
    assert len(linux.file.split()[0]) == 64 and linux.file.split()[0] in linux.sent


def test_network_of_a_bare_guest(linux):
    """ARP, echo, and TCP both ways; what it sent was compared by itself with the sum that it got back."""
    if not linux.tap:
        pytest.skip("this machine lets us make no tap interface (root and /dev/net/tun are needed)")
    said = [line.partition("bare| ")[2] for line in linux.end.socle.splitlines() if line.startswith("bare| ")]
    assert [line for line in said if line.startswith(("PASS", "FAIL"))] == [
        "PASS " + name for name in ("arp", "ping", "receive", "send")], said
    assert "outside: received %d bytes, SHA-256 %s" % (BYTES, sha(linux.data)) in said
    assert "bare: left through the debug exit port, value 0" in linux.end.socle


def test_end(linux):
    assert linux.end.status == 0
