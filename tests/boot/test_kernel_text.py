# SPDX-License-Identifier: Apache-2.0
"""The text of the running kernel is that of the image on disk (M8), but for the places that the kernel patches itself:
alternatives, paravirtual calls, lock prefixes, jump labels, static calls, entries of the function tracer, thunks."""
import importlib.machinery
import importlib.util
import os
import re
import stat

import kernel_text
from conftest import BUILD, TOP
from linux_machine import FILES, vm


def archive(files):
    """A second cpio archive, which the kernel unpacks over the first."""
    loader = importlib.machinery.SourceFileLoader("mkinitrd", os.path.join(TOP, "guests/linux/mkinitrd"))
    mkinitrd = importlib.util.module_from_spec(importlib.util.spec_from_loader("mkinitrd", loader))
    loader.exec_module(mkinitrd)
    a = mkinitrd.Archive()
    for path, data in files.items():
        a.add(path, stat.S_IFREG | 0o644, data)
    return a.render()


def test_kernel_text(boot):
    with open(os.path.join(BUILD, "guests/linux/bzImage"), "rb") as f:
        address, text, sites, counts = kernel_text.patch_sites(kernel_text.vmlinux(f.read()))
    assert counts["functions"] > 10000 and counts["jump labels"] > 1000 and counts["static calls"] > 1000, counts
    with open(FILES["boot/initrd"], "rb") as f:
        initrd = f.read()
    # Two bytes that no patch explains, so that the comparison shows that it compares.
    false = bytearray(text)
    free = [i for i in range(4096, len(text) - 4096, 65536) if not sites[i // 8] >> i % 8 & 1]
    changed = [free[0], free[-1]]
    for i in changed:
        false[i] ^= 0xff
    more = archive({"reference": bytes(false), "sites": sites, "address": b"%x\n" % address})
    m = boot(vm(test="text"), {**FILES, "boot/initrd": initrd + more}, timeout=400)
    assert m.status == 0, m
    outside = [int(n) for n in re.findall(r"^kerneltext outside at (\d+)$", m.socle, re.M)]
    found = {name: int(n) for name, n in re.findall(r"^kerneltext (compared|inside|outside) (\d+)$", m.socle, re.M)}
    assert found["compared"] == len(text), m
    assert outside == changed and found["outside"] == len(changed), m
    # The function tracer's entries alone are four or five bytes each.
    assert 4 * counts["functions"] < found["inside"] <= sum(bin(byte).count("1") for byte in sites), m
