# SPDX-License-Identifier: Apache-2.0
"""Whether a guest of this machine's KVM can use VT-x, and what the machine is."""
import fcntl
import os
import struct

NO_VMX = "this machine's processor has no VT-x, or its firmware has turned it off (no vmx in /proc/cpuinfo)"


def cpu_line(name, cpuinfo="/proc/cpuinfo"):
    """What /proc/cpuinfo says of the first processor: of "flags", or of "model name"; empty: nothing."""
    try:
        with open(cpuinfo, encoding="utf-8", errors="replace") as f:
            for line in f:
                key, _, value = line.partition(":")
                if key.strip() == name:
                    return value.strip()
    except OSError:
        pass
    return ""


def kvm_refusal(device="/dev/kvm", cpuinfo="/proc/cpuinfo"):
    """None where KVM here lets a guest use VT-x, else why not. KVM_GET_SUPPORTED_CPUID (0xc008ae05)
    is what KVM itself would show a guest: leaf 1, ECX bit 5 is VMX."""
    if "vmx" not in cpu_line("flags", cpuinfo).split():
        return NO_VMX
    try:
        kvm = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except OSError as e:
        return "%s: %s" % (device, e.strerror)
    try:
        entries = 256
        buf = bytearray(8 + 40 * entries)
        struct.pack_into("<I", buf, 0, entries)
        fcntl.ioctl(kvm, 0xc008ae05, buf, True)
        for n in range(struct.unpack_from("<I", buf)[0]):
            leaf = struct.unpack_from("<10I", buf, 8 + 40 * n)
            if leaf[0] == 1:
                return None if leaf[5] & 1 << 5 else "KVM here gives its guests no VT-x (kvm_intel nested=Y?)"
        return "KVM tells nothing about its CPUID"
    except OSError as e:
        return "%s: %s" % (device, e.strerror)
    finally:
        os.close(kvm)
