# SPDX-License-Identifier: Apache-2.0
"""VM entries that the processor refuses, one for each kind of check that it makes: each is decoded, ends its guest
alone, and the next guest has its turn (M2). tests/boot/entry.c breaks the VMCS."""
import os
import re

from conftest import BUILD

CONTROLS = "VM entry failed: error 7, VM entry with invalid control fields"
HOST = "VM entry failed: error 8, VM entry with invalid host-state fields"
GUEST = "VM entry failed: exit reason 0x80000021 (entry failure: guest state), qualification 0x0"
LINK = "VM entry failed: exit reason 0x80000021 (entry failure: guest state), qualification 0x4"
ROWS = {
    CONTROLS: ["pin_controls", "processor_controls", "exit_controls", "entry_controls", "ept_pointer", "vpid_zero",
               "event_type", "apic_page"],
    HOST: ["host_cr4", "host_code", "host_task", "host_gdt"],
    GUEST: ["guest_cr0", "guest_flags", "guest_activity", "guest_shadows", "guest_task"],
    LINK: ["guest_link"],
}


def test_each_refused_entry_is_decoded(boot, guest):
    m = boot("[vm a]\nmemory = 64\nkernel = k.elf\n", {"k.elf": guest("hello")},
             efi=os.path.join(BUILD, "tests/entry.efi"))
    assert m.status == 0, m
    said = dict(re.findall(r"\] ROW (\w+): (.*)$", m.socle, re.M))
    assert said.pop("nothing", "VM entry").find("VM entry") < 0, m   # all else is as it should be
    assert said == {name: why for why, names in ROWS.items() for name in names}, said
    # And what the guest had, for whoever wants to know more.
    assert len(re.findall(r"guest_cr0  controls pin [0-9a-f]{8} proc", m.socle)) == 1, m
