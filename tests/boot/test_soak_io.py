# SPDX-License-Identifier: Apache-2.0
"""All devices at once, and the 82540EM alone.

Two guests share one boot. `pc` is Debian's kernel for PCs, the only one with an e1000 module (M11, M66, M69, M77, M84):
two 82540EMs on one bridge ping each other and fetch files over TCP, whose checksums are right. Then they are the peers
of `linux`, which has a disk of each kind (M11, M12), two virtio network interfaces, a virtio console and entropy: all of
them are in use together, at random, and all that was written and sent is compared. At the end the 82540EMs are reset,
and go. The seed is printed; SOCLE_SEED=N does the same again. `make soak-io` takes ten minutes for what takes seconds
here, and the kernel for PCs as it is in its package; here it is unpacked beforehand."""
import os
import random
import re
import time
import types

import pytest
from conftest import BUILD, Booter, Console, emulator_slot
from linux_machine import FILES, TROUBLE, Shell

pytestmark = pytest.mark.xdist_group("soak_io")
SECONDS = int(os.environ.get("SOCLE_SOAK_IO", "5"))
SEED = int(os.environ.get("SOCLE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
LONG = SECONDS > 60
# Of each disk: its size, and at most so many.
DISK, OPERATIONS = (4 << 20, 1 << 40) if LONG else (512 << 10, 120)
# Of the network: the longest stream's bits, and the two files' size in blocks of 64 KiB.
BITS, BLOCKS = (20, 32) if LONG else (18, 8)
LINUX = os.path.join(BUILD, "guests/linux")
KERNEL, INITRD = ("bzImage-pc", "initrd") if LONG else ("vmlinux-pc.elf", "module")
SIZE = BLOCKS << 16
DISKS = {"sda": "ide", "sdb": "pio", "vda": "", "vdb": "packed"}
MODULES = ("scsi_common scsi_mod sd_mod libata ata_piix virtio_blk failover net_failover virtio_net virtio-rng")
NETS = ("split", "packed", "virtio")
LOAD = "for m in %s; do insmod /lib/modules/$m.ko || echo failed: $m; done" % MODULES
START = "rm -f /tmp/stop; sh /tests/talk %d %d >/tmp/log.talk 2>&1 & sh /tests/entropy >/tmp/log.rng & "
ENDS = "net: end"


def config():
    keys = "[vm %s]\nmemory = 256M\nkernel = /boot/%s\n%s = /boot/%s\ncmdline = %s quiet loglevel=3 nokaslr mitigations=off cryptomgr.notests%s\n"
    disks = "".join("disk%d = boot/%s.img%s\n" % (n, name, ", " + words if words else "")
                    for n, (name, words) in enumerate(DISKS.items(), 1))
    return (keys % ("linux", "vmlinuz", "initrd", "initrd", "console=hvc0 earlyprintk=serial", "") + disks +
            "net1 = bridge=lan\nnet2 = bridge=lan, model=packed\nconsole = virtio\nrng = yes\n" +
            keys % ("pc", "vmlinuz-pc", INITRD, "initrd-pc", "console=ttyS0",
                    " socle.test=e1000 seed=%d blocks=%d bits=%d" % (SEED, BLOCKS, BITS)) +
            "net1 = model=e1000\nnet2 = model=e1000, mac=52:54:00:12:34:56\n")


def images():
    return {**FILES, "boot/initrd": os.path.join(LINUX, "initrd-io"), "boot/vmlinuz-pc": os.path.join(LINUX, KERNEL),
            "boot/initrd-pc": os.path.join(LINUX, "initrd-pc"), **{"boot/%s.img" % d: bytes(DISK) for d in DISKS}}


def console_rounds(shell, dice):
    """Text there and back, until the time is up; how many characters."""
    end, characters = time.monotonic() + SECONDS, 0
    while time.monotonic() < end or not characters:
        text = "".join(dice.choices("abcdefghijklmnopqrstuvwxyz0123456789 ,.:", k=dice.randint(1, 300))).strip() or "x"
        answer = shell.ask("printf '%%s\\n' '%s' | tee /tmp/typed | tr a-z A-Z" % text, 300)
        assert text.upper() in answer, (SEED, text, answer)
        characters += len(text)
    return characters


def soak(console, shell, told):
    dice = random.Random(SEED)
    told.load = shell.ask(LOAD, 120)
    if b"soak: ready" not in console.seen:
        console.expect("soak: ready", 500)
    start = START % (SEED, BITS) + "".join("soak /dev/%s %d %d >/tmp/log.%s & " % (disk, dice.randrange(1, 1 << 60), OPERATIONS, disk)
                            for disk in DISKS)
    shell.ask(start + "echo started")
    told.characters = console_rounds(shell, dice)
    told.interrupts = shell.ask("cat /proc/interrupts", 300)
    shell.ask("touch /tmp/stop; wait", 900)
    if ENDS.encode() not in console.seen:
        console.expect(ENDS, 300)
    logs = (*DISKS, *NETS, "beyond", "rng", "eth0", "eth1", "talk")
    told.logs = {name: shell.ask("cat /tmp/log." + name).strip() for name in logs}
    told.dmesg = shell.ask("dmesg")
    print("soak-io: seed %d, %d s" % (SEED, SECONDS))
    print("soak: console: all is there: %d characters" % told.characters, flush=True)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    booter, told = Booter(tmp_path_factory.mktemp("soak_io")), types.SimpleNamespace()
    img = booter.image(config(), images())
    with emulator_slot():
        console = Console(booter.argv(img, 1024, 1, 1500 + 2 * SECONDS, "bochs", None, ()), 500)
        try:
            shell = Shell(console)
            shell.ready()
            soak(console, shell, told)
            told.machine = shell.power_off()
            told.all = "\n".join([line for line in told.machine.socle.splitlines() if line.startswith("pc| ")] +
                                 list(told.logs.values()))
            print(told.all, flush=True)
        finally:
            console.close()
    os.unlink(img)
    told.said = [line.partition("net: ")[2] for line in told.machine.socle.splitlines()
                 if re.match(r"(pc\| )?net: ", line)]
    return told


# ---- the 82540EMs of one guest ----

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


# ---- all devices ----

def test_modules_load(told):
    assert "failed" not in told.load
    assert not TROUBLE.search(told.dmesg), told.dmesg
    assert "soak: trouble" not in told.machine.socle, told.machine


@pytest.mark.parametrize("name", [*DISKS, *NETS, "rng"])
def test_nothing_is_lost(told, name):
    assert "all is there: " in told.logs[name] and "WRONG" not in told.logs[name], (SEED, told.logs)
    assert int(re.search(r"all is there: (\d+)", told.logs[name])[1]) > (30 if name in DISKS else 1), told.logs


def talks(told):
    """What the ends of the pairs say: streams, KiB sent, KiB received, datagrams, KiB of datagrams, datagrams without an answer."""
    lines = [line.partition("soak: net: ")[2] for line in told.all.splitlines() if "soak: net: " in line]
    return [(line, [int(n) for n in re.findall(r"\d+", line)]) for line in lines]


def test_networks_lose_nothing(told):
    """Both ends of the three pairs: virtio with split and with packed rings, each with an 82540EM, and with each other. A
    frame may find no buffer, then a stream sends it again and a datagram has no answer: few."""
    said = talks(told)
    assert sorted(line.split(":")[0] for line, _ in said) == sorted(2 * NETS), (SEED, said)
    ways = {name: [numbers[1:3] for line, numbers in said if line.startswith(name + ": ")] for name in NETS}
    assert all(one == other[::-1] for one, other in ways.values()), (SEED, said)
    for line, numbers in said:
        assert "all is there: " in line, (SEED, said)
        streams, sent, received, datagrams, _, lost = numbers
        assert streams >= 2 and sent + received > 0 and datagrams >= 2 and lost <= datagrams // 20, (SEED, said)


def test_no_checksum_is_wrong(told):
    """Of the four interfaces."""
    assert len(re.findall(r"soak: eth[01]: (?:Tcp|Udp): InCsumErrors 0\b", told.all)) == 8, told.all
    assert len(re.findall(r"soak: eth[01]: [RT]X packets:\d+ errors:0 ", told.all)) == 8, told.all


def test_all_were_in_use(told):
    for what in ("14-edge +ata_piix", "virtio.*-req", "virtio.*-input"):
        rows = re.findall(r"^ *\d+: +(\d+) .*" + what, told.interrupts, re.M)
        assert rows and all(int(n) > 10 for n in rows), told.interrupts
    assert told.characters > 0
