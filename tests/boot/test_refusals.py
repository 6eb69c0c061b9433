# SPDX-License-Identifier: Apache-2.0
"""What Socle does where it cannot run: it says why on one line and goes back to a firmware that is as it
was. The witness starts it three times and compares memory, processor state, timer and disk."""
import pytest

SAYS = "Socle cannot start: "
CONF = "\\EFI\\socle\\socle.conf"
VM = "[vm a]\nmemory = 64\nkernel = hello.elf\n"
ROUNDS = 3


def refused(machine, line):
    """Exactly this line each time, nothing else of ours, and an unharmed firmware."""
    assert machine.status == 0, machine
    assert machine.lines(SAYS) == [SAYS + line] * ROUNDS, machine
    assert len(machine.lines("witness: Socle came back with status")) == ROUNDS, machine
    assert not machine.lines("came back with status 0"), machine
    assert machine.lines("witness: unharmed"), machine


# ---- the processor ----

def test_no_vtx(boot):
    refused(boot(VM, engine="qemu", cpu_model="qemu64", witness=True),
            "this processor has no VT-x (CPUID reports no VMX)")


def test_no_ept(boot):
    refused(boot(VM, cpu_model="core2_penryn_t9600", witness=True),
            "this processor's VT-x has no second-level paging (EPT): one from 2010 or later is needed")


def test_no_unrestricted_guest(boot):
    refused(boot(VM, cpu_model="corei5_lynnfield_750", witness=True),
            "this processor's VT-x has no unrestricted guest mode: one from 2010 or later is needed")


def test_no_random_numbers(boot, guest):
    refused(boot(VM + "rng = yes\n", {"hello.elf": guest("hello")}, cpu_model="corei7_sandy_bridge_2600k", witness=True),
            CONF + ":4: rng: this processor has neither RDSEED nor RDRAND: expected rng = off")


def test_vtx_locked_off(boot):
    refused(boot(VM, {"LOCK": b"x"}, witness=True),
            "VT-x is locked off by the firmware (IA32_FEATURE_CONTROL): turn it on in its setup")


def test_vtx_locked_off_on_another_cpu(boot, guest):
    refused(boot(VM, {"LOCKAPS": b"x", "hello.elf": guest("hello")}, cpus=2, witness=True),
            "VT-x is locked off by the firmware on 1 CPUs")


# ---- the configuration ----

def test_no_configuration(boot):
    refused(boot(None, witness=True), CONF + ": not found on the boot volume")


def test_configuration_is_directory(boot):
    refused(boot(None, {"EFI/socle/socle.conf/x": b"x"}, witness=True), CONF + ": is a directory: expected a file")


def test_configuration_too_big(boot):
    refused(boot("#" * 60 + "\n" + "# filler\n" * 120000, witness=True), CONF + ": is too big")


@pytest.mark.parametrize("text, line", [
    (VM + "color = red\n", '4: color: unknown key; expected one of '),
    (VM.replace("64", "64Q"), '2: memory: bad value "64Q": expected a size, for example 256M or 1G'),
    (VM + VM, '4: duplicate VM "a", first on line 1'),
    ("[vm a]\nmemory = 64\n", "1: kernel: missing in [vm a]: expected the path of "),
], ids=["unknown-key", "bad-number", "duplicate-vm", "missing-key"])
def test_wrong_configuration(boot, text, line):
    m = boot(text, witness=True)
    said = m.lines(SAYS)
    assert said and said[0].startswith(SAYS + CONF + ":" + line), m
    refused(m, said[0][len(SAYS):])


# ---- the files it names ----

def test_kernel_not_found(boot):
    refused(boot(VM, witness=True), CONF + ":3: kernel: hello.elf: not found on the boot volume")


def test_initrd_not_found(boot, guest):
    refused(boot(VM + "initrd = boot\\initrd.gz\n", {"hello.elf": guest("hello")}, witness=True),
            CONF + ":4: initrd: boot/initrd.gz: not found on the boot volume")


def test_kernel_is_empty(boot):
    refused(boot(VM, {"hello.elf": b""}, witness=True), CONF + ":3: kernel: hello.elf: is empty")


def test_kernel_is_no_kernel(boot):
    refused(boot(VM, {"hello.elf": b"#!/bin/sh\n" * 500}, witness=True),
            CONF + ":3: kernel: hello.elf is no kernel: neither a Linux bzImage nor a Multiboot 1 image")


def linux(init_size=32 << 20, xloadflags=1):
    """The smallest bzImage that the loader takes: setup header, and 64 KiB of code."""
    image = bytearray(5 * 512 + (64 << 10))

    def put(offset, size, value):
        image[offset:offset + size] = value.to_bytes(size, "little")
    put(0x1f4, 4, (64 << 10) // 16)
    put(0x1fe, 2, 0xaa55)
    put(0x201, 1, 0x6a)
    image[0x202:0x206] = b"HdrS"
    put(0x206, 2, 0x20f)
    put(0x211, 1, 1)
    put(0x22c, 4, 0x7fffffff)
    put(0x230, 4, 2 << 20)
    put(0x236, 2, xloadflags)
    put(0x238, 4, 100)
    put(0x258, 8, 16 << 20)
    put(0x260, 4, init_size)
    return bytes(image)


LINUX = "[vm a]\nmemory = 64\nkernel = k\n"


def test_linux_of_32_bits(boot):
    refused(boot(LINUX, {"k": linux(xloadflags=0)}, witness=True),
            CONF + ":3: kernel: k: not a 64-bit Linux kernel")


def test_linux_cut_short(boot):
    refused(boot(LINUX, {"k": linux()[:20000]}, witness=True),
            CONF + ":3: kernel: k: cut short: 20000 bytes, its header says 68096")


def test_memory_too_small_for_kernel(boot):
    refused(boot(LINUX.replace("64", "32"), {"k": linux()}, witness=True),
            CONF + ":3: kernel: k does not fit: this kernel needs 48 MiB of memory below 4 GiB")


def test_initrd_does_not_fit(boot):
    refused(boot(LINUX.replace("64", "50") + "initrd = i\n", {"k": linux(), "i": bytes(3 << 20)}, witness=True),
            CONF + ":4: initrd: initrd does not fit: 3072 KiB, of guest memory 2048 KiB remain beside the kernel")


def test_cmdline_too_long(boot):
    refused(boot(LINUX + "cmdline = " + 101 * "x" + "\n", {"k": linux()}, witness=True),
            CONF + ":4: cmdline: cmdline of 101 characters: this kernel takes 100")


def test_module_does_not_fit(boot, guest):
    refused(boot("[vm a]\nmemory = 4\nkernel = k\nmodule = m1\nmodule = m2 with arguments\n",
                 {"k": guest("hello"), "m1": bytes(1000), "m2": bytes(4 << 20)}, witness=True),
            CONF + ":5: module: module m2 with arguments does not fit: 4096 KiB")


# ---- memory ----

def test_more_memory_than_there_is(boot, guest):
    m = boot(VM.replace("64", "2G"), {"hello.elf": guest("hello")}, witness=True)
    said = m.lines(SAYS)
    assert said and said[0].startswith(SAYS + CONF + ":2: memory: 2048 MiB asked for, this machine has "), m
    refused(m, said[0][len(SAYS):])


def test_more_memory_than_there_is_for_all(boot, guest):
    """Each would fit alone."""
    m = boot("".join("[vm %s]\nmemory = 400\nkernel = hello.elf\n" % n for n in "abc"),
             {"hello.elf": guest("hello")}, witness=True)
    said = m.lines(SAYS)
    assert said and said[0].startswith(SAYS + CONF + ":8: memory: 400 MiB asked for, this machine has "), m
    refused(m, said[0][len(SAYS):])


def test_file_does_not_fit_into_memory(boot):
    """HOG leaves less than the 60 MiB of the file."""
    refused(boot(VM, {"hello.elf": bytes(60 << 20), "HOG": b"x"}, witness=True),
            CONF + ":3: kernel: hello.elf: does not fit into this machine's memory")


# ---- without the witness: the firmware's own next step ----

def test_firmware_goes_on(console):
    """Its boot manager says what came back, starts its shell, and that answers."""
    m = console(None, engine="qemu")
    m.expect(r"Socle cannot start: [^\r\n]+")
    m.expect("BdsDxe: failed to start Boot0001 [^\r\n]+: Unsupported")
    m.expect("Shell> ", timeout=180)
    m.send("ver\r")
    m.expect(r"UEFI Interactive Shell v2\.\d")
    m.expect("Shell> ")
