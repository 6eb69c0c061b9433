# SPDX-License-Identifier: Apache-2.0
"""Every optional VT-x feature can be turned off by its key in [socle], alone and together: the bare guests
that lean on interrupts, timers and memory pass all the same, and so does Linux (M10 as well). The guests
of one configuration share its machine."""
import re

import pytest
from linux_machine import FILES, TROUBLE, Shell, vm

# Key, and what the log calls it.
FEATURES = {
    "vid": "virtual-interrupt delivery",
    "tpr_shadow": "TPR shadow",
    "vpid": "VPID",
    "preemption_timer": "preemption timer",
    "ept_1g": "1 GiB EPT pages",
    "ept_ad": "EPT accessed/dirty",
}
# Virtual-interrupt delivery stands on the TPR shadow.
TAKES_ALONG = {"tpr_shadow": {"vid"}}
GUESTS = {
    "apic": "",
    "irqchip": "-pit-pic -pit-ioapic",   # they measure time, and this CPU has other guests
    "exceptions": "",
    "policy": "",
}


def bare(name, keys):
    """The words name what Bochs itself gets wrong, so that the guest leaves it out: in general, and in its
    virtual-interrupt delivery where that is on."""
    words = "bochs" if {"vid", "tpr_shadow"} & set(keys) else "bochs bochs-vid"
    return ("[vm %s]\nmemory = 32M\nkernel = %s.elf\ntestdev = yes\ncmdline = %s\n" %
            (name, name, (GUESTS[name] + " " + words).strip()))


def off(keys):
    """On Bochs, virtual-interrupt delivery is only on when it is asked for."""
    vid = "" if {"vid", "tpr_shadow"} & set(keys) else "vid = on\n"
    return "[socle]\n" + vid + "".join("%s = off\n" % key for key in keys)


def names(machine_text):
    """{what the log calls it: on or off}."""
    said = re.findall(r"\] VT-x: (.*)", machine_text)
    assert len(said) == 1, said
    return dict(re.fullmatch(r"(.*) (on|off)", part).groups() for part in said[0].split(", "))


def expected(without):
    gone = set(without).union(*(TAKES_ALONG.get(key, ()) for key in without))
    return {what: "off" if key in gone else "on" for key, what in FEATURES.items()}


def passed(machine, name):
    """The guest left with 0, which it does only when nothing failed and something ran."""
    failures = [line for line in machine.socle.splitlines() if "FAIL " in line]
    assert machine.lines(" %s: left through the debug exit port, value 0" % name), (failures, machine)


@pytest.mark.parametrize("keys", [(key,) for key in FEATURES] + [tuple(FEATURES)],
                         ids=lambda keys: keys[0] if len(keys) == 1 else "all")
def test_guests_without(boot, guest, keys):
    m = boot(off(keys) + "".join(bare(name, keys) for name in GUESTS), {name + ".elf": guest(name) for name in GUESTS})
    assert names(m.socle) == expected(keys)
    assert m.status == 0, m
    for name in GUESTS:
        passed(m, name)


def test_linux_without_any(console):
    """All off, 4 KiB pages, and the hypervisor hidden: the kernel takes it for a bare machine (M10). Its
    reboot ends the VM, as on_reboot says, and with it the machine."""
    c = console(off(FEATURES) + vm(more="pages = 4k\nhypervisor = off\non_reboot = destroy"), FILES, timeout=300)
    shell = Shell(c)
    assert names(shell.ready()) == expected(FEATURES)
    assert "hypervisor" not in shell.ask("grep flags /proc/cpuinfo").split()
    log = shell.ask("dmesg")
    assert "Run /init as init process" in log
    assert [line for line in log.splitlines() if TROUBLE.search(line)] == []
    assert not re.search("Hypervisor detected|socle", log.replace("ACPI", ""))
    assert re.search(r"^tsc *$", shell.ask("cat /sys/devices/system/clocksource/clocksource0/current_clocksource"), re.M)
    slept = shell.ask("cut -d ' ' -f 1 /proc/uptime; sleep 2; cut -d ' ' -f 1 /proc/uptime")
    before, after = map(float, re.findall(r"^(\d+\.\d+)$", slept, re.M))
    assert 1.99 <= after - before < 2.5
    assert "busybox" in shell.ask("sha256sum /bin/busybox")
    c.send("reboot\r")
    end = c.wait(60)
    assert end.status == 0, end
    assert end.lines("linux: reset") and not end.lines("warning"), end
    assert len(end.lines("linux: starts")) == 1, end


@pytest.mark.parametrize("large", ["on", "off"])
def test_page_sizes(boot, guest, large):
    """The guest counts the EPT violations of 16 MiB, which tells the size of the pages (M43)."""
    sizes = {"4k": ("64M", 4), "2M": ("64M", 2048), "1G": ("2G", 1048576 if large == "on" else 2048)}
    m = boot("[socle]\nept_1g = %s\n" % large + "".join(
        "[vm pages-%s]\nmemory = %s\nkernel = k.elf\npages = %s\ncmdline = size=%d\n" % (size, memory, size, kib)
        for size, (memory, kib) in sizes.items()), {"k.elf": guest("pages")}, mem=3072)
    assert m.status == 0, m
    for size in sizes:
        passed(m, "pages-" + size)
