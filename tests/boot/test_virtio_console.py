# SPDX-License-Identifier: Apache-2.0
"""Debian's unmodified kernel and its own virtio_console and virtio_rng (M12): it speaks by COM1 until its initramfs has
loaded the module, from then on by hvc0; the shell there takes what is typed and loses nothing either way; /dev/hwrng
gives bytes, other ones each time. All of it by the clock and the ticks of the HPET (M66), which its stock driver finds."""
import hashlib
import os
import re
import types

import pytest
from conftest import Booter, Console, emulator_slot
from linux_machine import FILES, TROUBLE, Shell

pytestmark = pytest.mark.xdist_group("virtio_console")
CONF = """[vm linux]
memory = 256M
kernel = /boot/vmlinuz
initrd = /boot/initrd
cmdline = console=hvc0 earlyprintk=serial nokaslr mitigations=off clocksource=hpet nolapic_timer
console = virtio
rng = yes
hpet = yes
"""
PASTE = "".join("%04d %s\n" % (i, hashlib.md5(b"%d" % i).hexdigest()) for i in range(300))
CLOCKS = "cd /sys/devices/system; cat clocksource/clocksource0/current_clocksource clockevents/clockevent0/current_device; cd"
# By the HPET's clock, by the board's other one, and what interrupted meanwhile; its alarm is an interrupt of the HPET, too.
TIMES = "date +%s; cat /sys/class/rtc/rtc0/since_epoch; cat /proc/interrupts"
SLEEP = "echo +1 >/sys/class/rtc/rtc0/wakealarm; sleep 3; sleep 0.1; cat /sys/class/rtc/rtc0/wakealarm"
RANDOM = "dd if=/dev/hwrng of=/tmp/r%d bs=64 count=8 iflag=fullblock 2>/dev/null; wc -c </tmp/r%d; sha256sum </tmp/r%d"


def random(ask, n):
    return ask(RANDOM % (n, n, n)).replace("-", "").split()


def interrupts(text, line):
    return int(re.search(r"^ *%s: +(\d+)" % line, text, re.M)[1])


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
            told.clocks = ask(CLOCKS).split()
            told.before, told.alarm, told.after = ask(TIMES), ask(SLEEP), ask(TIMES)
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


def test_the_stock_driver_finds_the_hpet(linux):
    assert "hpet0: at MMIO 0xfed00000, IRQs 2, 8, 0" in linux.dmesg, linux.dmesg
    assert "hpet0: 3 comparators, 64-bit 12.500000 MHz counter" in linux.dmesg
    assert linux.clocks == ["hpet", "hpet"], linux.clocks


def test_the_hpet_keeps_time(linux):
    """Its clock against the real-time clock's, in seconds; each tells the machine's."""
    before, after = ([int(word) for word in text.split()[:2]] for text in (linux.before, linux.after))
    slept = [after[i] - before[i] for i in range(2)]
    assert 3 <= slept[0] <= 15 and abs(slept[0] - slept[1]) <= 1, (before, after)


def test_the_hpet_ticks_in_the_timers_place(linux):
    """Timer 0 on the 8254's interrupt, and timer 1 on the clock's, for its alarm."""
    assert interrupts(linux.after, "0") - interrupts(linux.before, "0") >= 5, (linux.before, linux.after)
    assert interrupts(linux.after, "8") > interrupts(linux.before, "8"), (linux.before, linux.after)
    assert linux.alarm.split() == [], linux.alarm   # it has been


def test_com1_is_shown(linux):
    assert "through COM1" in linux.com1


def test_end(linux):
    assert linux.end.status == 0
