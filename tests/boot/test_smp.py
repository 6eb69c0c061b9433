# SPDX-License-Identifier: Apache-2.0
"""Debian's kernel with four virtual CPUs: all of them come, work and sleep, the kernel's own checks find
nothing, whatever number of CPUs carries them."""
import re

import pytest
from linux_machine import FILES, TROUBLE, vm


@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_linux(boot, cpus):
    m = boot(vm(test="smp", more="vcpus = 4"), FILES, cpus=cpus, timeout=400)
    assert m.status == 0, m
    assert re.search(r"Socle: %d CPU" % cpus, m.socle), m
    assert m.lines("guest: test smp ended with 0"), m
    said = [line[5:] for line in m.socle.splitlines() if line.startswith("smp: ")]
    assert "4 CPUs of 4" in said and "cores 0 1 2 3" in said, said
    assert sorted(line for line in said if "counted" in line) == ["cpu %d counted to 30" % n for n in range(4)], said
    assert "2000 lines through a pipe" in said and "timers of 4 CPUs tick" in said and "clock tsc" in said, said
    counts = dict(re.findall(r"^smp: (RES|CAL|TLB): (\d+)", m.socle, re.M))
    assert int(counts["RES"]) > 10 and int(counts["CAL"]) > 100, counts
    assert [line for line in said if "trouble" in line] == [], said
    assert [line for line in m.socle.splitlines() if TROUBLE.search(line) and not line.startswith("smp:")] == []
    assert not re.search(r"\[socle +[\d.]+\] (?:warning|error)", m.socle), m
