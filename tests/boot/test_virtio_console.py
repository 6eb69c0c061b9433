# SPDX-License-Identifier: Apache-2.0
"""Debian's unmodified kernel and its own virtio_console and virtio_rng (M12): it speaks by COM1 until its initramfs has
loaded the module, from then on by hvc0; the shell there takes what is typed and loses nothing either way; /dev/hwrng
gives bytes, other ones each time."""
import hashlib
import os
import types

import pytest
from conftest import Booter, Console, emulator_slot
from linux_machine import FILES, TROUBLE, Shell

pytestmark = pytest.mark.xdist_group("virtio_console")
CONF = """[vm linux]
memory = 256M
kernel = /boot/vmlinuz
initrd = /boot/initrd
cmdline = console=hvc0 earlyprintk=serial nokaslr mitigations=off
console = virtio
rng = yes
"""
PASTE = "".join("%04d %s\n" % (i, hashlib.md5(b"%d" % i).hexdigest()) for i in range(300))
RANDOM = "dd if=/dev/hwrng of=/tmp/r%d bs=64 count=8 iflag=fullblock 2>/dev/null; wc -c </tmp/r%d; sha256sum </tmp/r%d"


def random(ask, n):
    return ask(RANDOM % (n, n, n)).replace("-", "").split()


def paste(console, shell):
    """Through the terminal, line by line as it takes them, into a file."""
    console.send("stty -echo; cat >/tmp/paste; stty echo\r")
    console.expect("stty echo\r?\n", 20)
    console.send(PASTE.replace("\n", "\r") + "\x04")
    return shell.ask("sha256sum </tmp/paste").split()[0]


@pytest.fixture(scope="module")
def linux(tmp_path_factory):
    booter, told = Booter(tmp_path_factory.mktemp("console")), types.SimpleNamespace()
    img = booter.image(CONF, FILES)
    with emulator_slot():
        console = Console(booter.argv(img, 1024, 1, 500, "bochs", None, ()), 240)
        try:
            shell = Shell(console)
            told.boot = shell.ready()
            ask = shell.ask
            ask("dmesg -n 1")
            told.console = ask("cat /sys/class/tty/console/active; tty")
            told.count = ask("seq 1 2000")
            told.paste = paste(console, shell)
            told.load = ask("insmod /lib/modules/virtio-rng.ko; cat /sys/class/misc/hw_random/rng_current")
            told.random = [random(ask, n) for n in (1, 2)]
            told.again = ask("rmmod virtio-rng; insmod /lib/modules/virtio-rng.ko; echo status $?")
            told.random.append(random(ask, 3))
            told.features = ask("cat /sys/bus/virtio/devices/virtio?/features").split()
            told.com1 = ask("echo 'through COM1' >/dev/ttyS0; sleep 1")
            told.interrupts = ask("cat /proc/interrupts")
            told.dmesg = ask("dmesg")
            told.end = shell.power_off()
        finally:
            console.close()
    os.unlink(img)
    return told


def test_boots_with_its_output_on_hvc0(linux):
    assert linux.console.split() == ["hvc0", "/dev/hvc0"]
    log, _, rest = linux.boot.partition("first user process")
    assert rest
    # Each line once: the kernel ends its early console when it has another.
    assert log.count("Linux version 6.") == 1 and "bootconsole [earlyser0] enabled" in log, log
    assert "console [hvc0] enabled" in linux.dmesg and "bootconsole [earlyser0] disabled" in linux.dmesg
    assert not TROUBLE.search(linux.dmesg), linux.dmesg


def test_what_is_typed_is_echoed_and_answered(linux):
    """Each command was: ask() waits for its echo, then for its answer."""
    assert "status 0" in linux.again


def test_nothing_is_lost(linux):
    assert linux.count.split() == [str(i) for i in range(1, 2001)]
    assert linux.paste == hashlib.sha256(PASTE.encode()).hexdigest()


def test_random_numbers(linux):
    assert linux.load.split() == ["virtio_rng.0"], linux.load
    assert [r[0] for r in linux.random] == ["512"] * 3
    assert len({r[1] for r in linux.random}) == 3
    assert hashlib.sha256(bytes(512)).hexdigest() not in {r[1] for r in linux.random}


def test_what_was_negotiated(linux):
    """VERSION_1, INDIRECT_DESC, EVENT_IDX, RING_PACKED, and nothing else, of both."""
    wanted = "".join("1" if bit in (28, 29, 32, 34) else "0" for bit in range(64))
    assert linux.features == [wanted] * 2, linux.features


def test_interrupts(linux):
    lines = [line.split() for line in linux.interrupts.splitlines() if "virtio" in line]
    assert len(lines) >= 3
    assert all("MSI" in " ".join(line) for line in lines)
    assert sum(int(line[1]) > 10 for line in lines) >= 2, linux.interrupts


def test_com1_is_shown(linux):
    assert "through COM1" in linux.com1


def test_end(linux):
    assert linux.end.status == 0
