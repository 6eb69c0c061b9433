# SPDX-License-Identifier: Apache-2.0
"""Hundreds of VMs of one section: what they are called, what they cost, and that there are not more than fit (M89)."""
from test_monitor import Monitor

VMS = 256
KIB_PER_VM = 256   # of Socle's memory, beside the VM's own
BIG = "[vm big]\nvcpus = 16\nmemory = 64M\nkernel = life.elf\ncmdline = idle\ntestdev = on\nautostart = off\n"


def test_256_vms_in_a_gibibyte(console, guest):
    m = Monitor(console("[socle]\non_idle = wait\n[vm w]\ncount = %d\nmemory = 2\npages = 4k\nkernel = life.elf\n"
                        "cmdline = idle\n" % VMS + BIG, {"life.elf": guest("life")}))
    m.open()
    rows = m.json("list -j")
    assert [row["name"] for row in rows] == ["w-%d" % (i + 1) for i in range(VMS)]
    info = m.json("info -j")
    print("Socle takes %d KiB in all, %d of it for VMs, %d for one at most" % (
        info["socle_memory_kib"], info["socle_vms_kib"], info["socle_vm_most_kib"]))
    assert info["vms"] == VMS and info["socle_vm_most_kib"] == max(row["socle_kib"] for row in rows)
    assert info["socle_vm_most_kib"] <= KIB_PER_VM, info
    # All that is neither free nor a VM's, Socle's own image and tables included.
    assert info["socle_vms_kib"] < info["socle_memory_kib"] <= VMS * KIB_PER_VM, info
    # Each is one of its own, and comes back as the same.
    m.send("destroy w-7")
    m.log("w-7: destroyed")
    assert len(m.json("list -j")) == VMS - 1
    assert m.ask("create w") == "create: no [vm w] in the configuration: expected w-7, big"
    assert m.ask("create w-257").endswith("expected w-7, big")
    assert m.ask("pause w-0") == 'pause: no VM "w-0": expected w-1, w-2, w-3, w-4, w-5, w-6, w-8, w-9, ...'
    m.send("create w-7")
    m.log("w-7: starts, 1 vCPU, 2 MiB")
    assert m.ask("check").startswith("check: all is well")
    # One with all that a VM can have keeps within what is reckoned with for it: 192 KiB, 48 KiB for each vCPU, 1 %.
    m.send("create big")
    m.log("big: starts, 16 vCPUs, 64 MiB")
    assert m.json("list -j big")[0]["socle_kib"] <= 192 + 16 * 48 + 655
    # What is promised to those that run is not promised again.
    left = m.json("info -j")["left_memory_kib"] >> 10
    m.console.send("create\r[vm x]\rmemory = %d\rkernel = life.elf\r.\r" % (left + 1))
    m.log(r"error: x: not created: memory: %d MiB asked for, \d+ MiB left of \d+ MiB: expected less" % (left + 1))
