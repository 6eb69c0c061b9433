# SPDX-License-Identifier: Apache-2.0
"""Debian's kernel, byte for byte as packaged, from firmware to a shell, twice, and to power-off (M8, M9,
M22, M25). One machine answers all questions; the tests look at its answers."""
import hashlib
import os
import re
import subprocess
import types

import pytest
from conftest import BUILD, TOP, Booter, Console, emulator_slot
from linux_machine import FILES, TROUBLE, Shell

LINUX = os.path.join(BUILD, "guests/linux")
pytestmark = pytest.mark.xdist_group("linux")   # one worker: the machine is booted once
QUESTIONS = {
    "answer": "echo $((6 * 7)) is the answer",
    "version": "cat /proc/version",
    "cmdline": "cat /proc/cmdline",
    "memory": "grep MemTotal /proc/meminfo",
    "programs": "sha256sum /bin/busybox /init",
    "flags": "grep flags /proc/cpuinfo",
    "clocks": "cd /sys/devices/system/clocksource/clocksource0; cat current_clocksource available_clocksource; cd",
    "interrupts": "cat /proc/interrupts",
    "slept": "cut -d ' ' -f 1 /proc/uptime; sleep 3; cut -d ' ' -f 1 /proc/uptime",
    "interrupts later": "cat /proc/interrupts",
    "date": "date -u +%s",
    "dmesg": "dmesg",
    "errors": "dmesg -r | grep '^<[0-3]>'",
    "programs that run": "n=0; for i in $(seq 100); do echo $i | grep -q $i && n=$((n + 1)); done; echo $n programs",
    # A child of an interactive shell ignores the signal until it has run: hence the second's wait.
    "job": "sleep 1000 & sleep 1; kill %1; wait; echo reaped",
}


def shipped_config():
    """guests/linux/socle.conf, whose only VM starts again on reboot."""
    with open(os.path.join(TOP, "guests/linux/socle.conf"), encoding="utf-8") as f:
        return f.read() + "on_reboot = restart\n"


@pytest.fixture(scope="module")
def linux(tmp_path_factory):
    booter = Booter(tmp_path_factory.mktemp("linux"))
    img = booter.image(shipped_config(), FILES)
    with emulator_slot():
        console = Console(booter.argv(img, 1024, 1, 500, "bochs", None, ()), 240)
        try:
            shell, told = Shell(console), types.SimpleNamespace(image=img)
            told.boot = shell.ready()
            told.answers = {name: shell.ask(command) for name, command in QUESTIONS.items()}
            console.send("reboot\r")
            told.second_boot = shell.ready()
            told.second_answers = {name: shell.ask(QUESTIONS[name]) for name in ("answer", "dmesg", "clocks")}
            told.end = shell.power_off()
        finally:
            console.close()
    return told


def interrupts(text):
    """{line: (count, description)} of the only CPU."""
    rows = re.findall(r"^ *(\w+): +(\d+)(.*)$", text, re.M)
    return {line: (int(count), what.split()) for line, count, what in rows}


def milestones(text):
    return re.findall(r"^guest: first user process, tsc (\d+)$", text, re.M)


# ---- unmodified ----

def manifest():
    with open(os.path.join(LINUX, "manifest"), encoding="utf-8") as f:
        return {name: digest for digest, _, name in (line.strip().partition("  ") for line in f) if name}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def test_kernel_on_disk_is_debians(linux):
    """Disk, manifest and package agree: nothing was changed on the way (M9)."""
    sums = manifest()
    packages = [name for name in sums if name.endswith(".deb")]
    assert len(packages) == 3 and sorted(set(sums) - set(packages)) == ["busybox", "bzImage", "bzImage-pc"]
    for name in packages:
        with open(os.path.join(LINUX, name), "rb") as f:
            assert sha256(f.read()) == sums[name]
    on_disk = subprocess.run(["mtype", "-i", linux.image + "@@1M", "::/boot/vmlinuz"], stdout=subprocess.PIPE,
                             check=True).stdout
    assert sha256(on_disk) == sums["bzImage"]
    package = [os.path.join(LINUX, name) for name in packages if "cloud" in name][0]
    unpacked = subprocess.run("dpkg-deb --fsys-tarfile '%s' | tar -xO --wildcards './boot/vmlinuz-*'" % package,
                              shell=True, stdout=subprocess.PIPE, check=True).stdout
    assert sha256(unpacked) == sums["bzImage"]


def test_kernel_that_runs_is_the_one_on_disk(linux):
    """The version in the setup header (offset 0x20e of the boot protocol) is what /proc/version tells."""
    with open(os.path.join(LINUX, "bzImage"), "rb") as f:
        image = f.read()
    start = 0x200 + int.from_bytes(image[0x20e:0x210], "little")
    header = image[start:image.index(b"\0", start)].decode()
    release, built = header.split(" ", 1)[0], header[header.index("#"):]
    assert linux.answers["version"].startswith("Linux version %s (" % release)
    assert built.strip() in linux.answers["version"]


def test_programs_are_debians(linux):
    assert manifest()["busybox"] + "  /bin/busybox" in linux.answers["programs"]


# ---- booted ----

def test_first_user_process_and_shell(linux):
    assert len(milestones(linux.boot)) == 1
    assert re.search(r"^42 is the answer$", linux.answers["answer"], re.M)
    assert "nokaslr mitigations=off" in linux.answers["cmdline"]
    assert 450 << 10 < int(re.search(r"MemTotal: +(\d+) kB", linux.answers["memory"])[1]) <= 512 << 10


def test_jobs_and_signals(linux):
    assert re.search(r"^reaped$", linux.answers["job"], re.M)


def test_kernel_has_nothing_to_complain_of(linux):
    for log in (linux.answers["dmesg"], linux.second_answers["dmesg"]):
        assert "Run /init as init process" in log
        assert [line for line in log.splitlines() if TROUBLE.search(line)] == []
    # Linux wants a bit for alarms of the clock in ACPI's registers although our FADT says there is none.
    errors = [line for line in linux.answers["errors"].splitlines() if "RealTimeClock" not in line]
    assert errors == []


def test_vectors_extensions_are_used(linux):
    """CPUID leaf 0xd agrees with itself: the kernel keeps XSAVE and AVX. XSAVEC of this emulator loses
    registers, so it is not offered; programs that start while the timer ticks would notice."""
    assert "x86/fpu: Enabled xstate features 0xe7" in linux.answers["dmesg"]
    assert {"xsave", "xsaveopt", "avx2", "avx512f", "fma", "hypervisor"} <= set(linux.answers["flags"].split())
    assert not {"xsavec", "xsaves", "vmx", "mwait", "monitor", "pku"} & set(linux.answers["flags"].split())
    assert re.search(r"^100 programs$", linux.answers["programs that run"], re.M)


def test_clocks(linux):
    current, available = re.findall(r"^((?:tsc|kvm-clock|acpi_pm)[a-z_ -]*)$", linux.answers["clocks"], re.M)
    assert current.strip() == "tsc" and available.split() == ["tsc", "kvm-clock", "acpi_pm"]
    told = re.search(r"tsc: Detected ([\d.]+) MHz processor", linux.answers["dmesg"])[1]
    measured = re.search(r"TSC ([\d.]+) MHz", linux.boot)[1]
    assert abs(float(told) - float(measured)) < 0.01
    before, after = map(float, re.findall(r"^(\d+\.\d+)$", linux.answers["slept"], re.M))
    assert 2.99 <= after - before < 3.5
    assert int(re.search(r"^(\d{9,})$", linux.answers["date"], re.M)[1]) > 1700000000


def test_paravirtual_clock_is_used(linux):
    """An unmodified kernel finds KVM's interface: its own clock and the rate of its TSC come
    from there (M36, M38)."""
    for log in (linux.answers["dmesg"], linux.second_answers["dmesg"]):
        assert "Hypervisor detected: KVM" in log
        assert "kvm-clock: Using msrs 4b564d01 and 4b564d00" in log
        assert re.search(r"kvm-clock: using sched offset of \d+ cycles", log)
        assert "tsc: Detected" in log and "Fast TSC calibration" not in log  # the clock has told the rate


def test_interrupts(linux):
    before, after = interrupts(linux.answers["interrupts"]), interrupts(linux.answers["interrupts later"])
    assert after["LOC"][0] > before["LOC"][0] > 100
    assert before["4"][1] == ["IO-APIC", "4-edge", "ttyS0"]
    assert after["4"][0] > before["4"][0] > 10
    for line in ("SPU", "ERR", "MIS", "NMI", "MCE"):
        assert after.get(line, (0,))[0] == 0, line


# ---- and again ----

def test_reboot_starts_it_again(linux):
    assert len(milestones(linux.second_boot)) == 1
    assert "linux: reset" in linux.second_boot
    assert len(re.findall(r"linux: starts, 1 vCPU, 512 MiB", linux.end.socle)) == 2
    assert re.search(r"^42 is the answer$", linux.second_answers["answer"], re.M)
    assert re.search(r"^tsc *$", linux.second_answers["clocks"], re.M)


def test_second_life_is_as_the_first(linux):
    """Its TSC started at 0 again, so its way to the first process is as long, but for what was cached."""
    first, second = int(milestones(linux.boot)[0]), int(milestones(linux.second_boot)[0])
    assert abs(first - second) < first // 20


def test_poweroff_ends_the_machine(linux):
    assert linux.end.status == 0
    assert re.search(r"linux: powered off\n(.*\n)?.*no VM is running; the machine powers off", linux.end.socle)


def test_socle_had_nothing_to_complain_of(linux):
    said = re.findall(r"\[socle +[\d.]+\] (?:warning|error).*", linux.end.socle)
    assert said == []
