# SPDX-License-Identifier: Apache-2.0
"""The machine layer alone (tests/boot/host.c in the hypervisor's place): what it must do, and of which
mistakes it must die, saying where."""
import os
import re

import pytest
from conftest import BUILD

HOST = os.path.join(BUILD, "tests/host.efi")


def config(case):
    return "# %s\n[vm a]\nmemory = 64\nkernel = k.elf\n" % case


def test_services(console, guest):
    m = console(config("services"), {"k.elf": guest("hello")}, efi=HOST)
    text = m.expect("paste now\r\n")
    assert re.search(r"^prompt> \n\[socle .*\] a line of the log\nback\| a line of the background\n"
                     r"prompt> typed\n", text, re.M), text
    paste = "".join("%05d %s\n" % (n, "the quick brown fox jumps over the lazy dog 0123456789"[:57]) for n in range(200))
    paste = paste[:10239] + "\n"
    m.send(paste)
    text = m.expect(r"\d+ passed, \d+ failed, 0 skipped")
    assert paste in text, text
    assert re.search(r"\b1[0-9] passed, 0 failed", text), text
    assert m.wait().status == 0


CRASHES = {
    # case: what the report says, and which function broke the rule
    "overflow": (r"double fault .*: stack overflow", "recurse"),
    "write_code": (r"page fault .*: write to read-only memory", "write_code"),
    "write_code_alias": (r"page fault .*: write to read-only memory", "write_code_alias"),
    "run_data": (r"page fault .*: execution of what is not code", "run_data"),
    "run_ram": (r"page fault .*: execution of what is not code", "run_ram"),
    "touch_null": (r"page fault .*: write to nothing", "touch_null"),
    "free_twice": (r"freeing a block that is not allocated", "page_free"),
    "machine_check": (r"machine check .*", "machine_check"),
}


@pytest.mark.parametrize("case", CRASHES)
def test_panic(console, guest, case):
    what, where = CRASHES[case]
    text = console(config(case), {"k.elf": guest("hello")}, efi=HOST).expect(r"\[socle panic\] stopped")
    assert re.search(r"^\[socle panic\] " + what, text, re.M), text
    if what.startswith(("page", "double", "machine")):
        assert re.search(r"^rip=[0-9a-f]{16} rsp=[0-9a-f]{16}", text, re.M), text
    assert re.search(r"^[ ?] [0-9a-f]{16} %s(\.\w+)*\+0x" % where, text, re.M), text
    if case != "overflow":    # there the rest of the stack is deeper than the report
        assert re.search(r"^[ ?] [0-9a-f]{16} socle_main\+0x", text, re.M), text
        assert re.search(r"^  [0-9a-f]{16} host_start\+0x", text, re.M), text


@pytest.mark.parametrize("case", ["overflow", "touch_null", "free_twice", "machine_check"])
def test_panic_of_another_cpu(console, guest, case):
    """CPU 1 breaks the rule: one report, of that CPU, and the boot CPU is silent after it."""
    what, where = CRASHES[case]
    m = console(config(case), {"k.elf": guest("hello")}, efi=HOST, cpus=2)
    text = m.expect(r"\[socle panic\] stopped")
    assert re.search(r"^\[socle panic\] " + what, text, re.M), text
    assert re.search(r"^CPU 1 of 2, APIC id 1$", text, re.M), text
    assert re.search(r"^[ ?] [0-9a-f]{16} %s(\.\w+)*\+0x" % where, text, re.M), text
    if case != "overflow":
        assert re.search(r"^  [0-9a-f]{16} ap_start", text, re.M), text


def test_other_cpus(console, guest):
    """Calls, kicks, an NMI and freed stacks with four CPUs; and the machine still ends."""
    m = console(config("others"), {"k.elf": guest("hello")}, efi=HOST, cpus=4)
    text = m.expect(r"\d+ passed, \d+ failed, 0 skipped")
    assert re.search(r"\b[12][0-9] passed, 0 failed", text), text
    assert "TSC of CPU 3 set to the boot CPU's" in text, text
    assert m.wait().status == 0


def test_a_cpu_that_does_not_come(console, guest):
    """The second of five that the firmware names is not there: it is reported and left out, the others work."""
    m = console(config("absent"), {"k.elf": guest("hello")}, efi=HOST, cpus=4)
    text = m.expect(r"\d+ passed, \d+ failed, 0 skipped", timeout=120)
    assert re.findall(r"CPU with APIC id \d+ .*", text) == ["CPU with APIC id 90 does not start, left out"], text
    assert re.search(r"\b[0-9]+ passed, 0 failed", text), text
    assert m.wait().status == 0


def test_reset_with_other_cpus(console, guest):
    m = console(config("reset"), {"k.elf": guest("hello")}, efi=HOST, cpus=4)
    m.expect("back after the reset")
    assert m.wait().status == 0


def test_reset(console, guest):
    m = console(config("reset"), {"k.elf": guest("hello")}, efi=HOST)
    m.expect("back after the reset")
    assert m.wait().status == 0
