# SPDX-License-Identifier: Apache-2.0
"""Two VMs that send events to each other, round after round (M20)."""
import re


def vm(name, words):
    return "[vm %s]\nmemory = 16\nkernel = events.elf\ncmdline = %s\ntestdev = yes\n" % (name, words)


def test_two_guests_answer_each_other(boot, guest):
    """VMs are numbered from 1 in the order of the configuration."""
    m = boot("[socle]\n" + vm("server", "serve serve=2") + vm("client", "call call=1"),
             {"events.elf": guest("events")})
    assert m.status == 0, m
    assert sorted(re.findall(r"PASS (\w+)", m.socle)) == ["call", "serve"], m
    assert len(re.findall(r"1 passed, 0 failed, 0 skipped", m.socle)) == 2, m
