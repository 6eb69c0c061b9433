# SPDX-License-Identifier: Apache-2.0
"""The pages of the paravirtual devices say what the headers say, and scripts/check-pv finds where they do not, whichever side
was changed (M83). No emulator."""
import os
import shutil
import subprocess

import pytest
from conftest import TOP

# What is changed: file, text, text in its place, and what has to be found, in which file.
CHANGES = {
    "value of a header": ("include/socle/hypercall.h", "SOCLE_CALL_YIELD 21", "SOCLE_CALL_YIELD 22",
                          "docs/pv/calls.md", "SOCLE_CALL_YIELD has another value"),
    "value of a page": ("docs/pv/disk.md", "| SOCLE_EROFS | -30 |", "| SOCLE_EROFS | -31 |",
                        "docs/pv/disk.md", "SOCLE_EROFS has another value"),
    "value of abi.md": ("docs/abi.md", "| 19 | SOCLE_CALL_ALARM_REAL |", "| 18 | SOCLE_CALL_ALARM_REAL |",
                        "docs/abi.md", "SOCLE_CALL_ALARM_REAL has another value"),
    "bit of abi.md": ("docs/abi.md", "| 4 | SOCLE_FEATURE_MULTI |", "| 5 | SOCLE_FEATURE_MULTI |",
                      "docs/abi.md", "SOCLE_FEATURE_MULTI has another value"),
    "macro": ("include/socle/event.h", "(n) + 0x10000)", "(n) + 0x20000)", "docs/pv/events.md", "SOCLE_ALARM_EVENT(n) has another value"),
    "new constant": ("include/socle/ring.h", "#define SOCLE_RING_READ 1u", "#define SOCLE_RING_READ 1u\n#define SOCLE_RING_TRIM 9u",
                     "include/socle/ring.h", "SOCLE_RING_TRIM is in 0 rows"),
    "constant gone": ("include/socle/ring.h", "#define SOCLE_EIO (-5)", "", "docs/pv/disk.md", "there is no SOCLE_EIO"),
    "row gone": ("docs/pv/network.md", "| SOCLE_RING_CLEAN | 8 |", "| | 8 |", "include/socle/ring.h", "SOCLE_RING_CLEAN is in 0 rows"),
    "row twice": ("docs/pv/clock.md", "| SOCLE_ALARM_OFF | ~0 |", "| SOCLE_SELF | 0 | |\n| SOCLE_ALARM_OFF | ~0 |",
                  "include/socle/event.h", "SOCLE_SELF is in 2 rows"),
    "field swapped": ("include/socle/clock.h", "uint64_t run_ns, steal_ns,", "uint64_t steal_ns, run_ns,",
                      "docs/pv/clock.md", "run_ns is at another offset, or of another size"),
    "field grown": ("include/socle/ring.h", "uint16_t nr_segments;", "uint32_t nr_segments;",
                    "docs/pv/disk.md", "nr_segments is at another offset, or of another size"),
    "field within": ("include/socle/event.h", "uint32_t upcall;", "uint64_t upcall;",
                     "docs/pv/events.md", "vcpu[0].upcall is at another offset, or of another size"),
    "new field": ("include/socle/ring.h", "uint32_t reserved0[14];", "uint32_t hint;\n\tuint32_t reserved0[13];",
                  "docs/pv/ring.md", "struct socle_ring has not the header's fields"),
    "offset of a page": ("docs/pv/ring.md", "| 64 | 4 | response_producer |", "| 60 | 4 | response_producer |",
                         "docs/pv/ring.md", "response_producer is at another offset, or of another size"),
    "size of a page": ("docs/pv/clock.md", "socle_vm_clock, 64 bytes", "socle_vm_clock, 128 bytes",
                       "docs/pv/clock.md", "its size is another one"),
    "new structure": ("include/socle/clock.h", "struct socle_vm_clock {", "struct socle_tick {\n\tuint64_t at;\n};\nstruct socle_vm_clock {",
                      "include/socle/clock.h", "struct socle_tick is on 0 pages"),
    "longer than a page": ("docs/pv/network.md", "# Network interface\n", "# Network interface\n" + 50 * "\n", "docs/pv/network.md",
                           "longer than a page"),
}


@pytest.fixture
def tree(tmp_path):
    for folder in ("include/socle", "docs/pv"):
        shutil.copytree(os.path.join(TOP, folder), tmp_path / folder)
    shutil.copy(os.path.join(TOP, "docs/abi.md"), tmp_path / "docs")
    return tmp_path


def check(tree):
    done = subprocess.run([os.path.join(TOP, "scripts/check-pv"), tree], stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stdout


def test_pages_are_right(tree):
    assert check(tree) == (0, "")
    assert 1 <= len(os.listdir(tree / "docs/pv")) <= 6


@pytest.mark.parametrize("name", CHANGES)
def test_changes_are_found(tree, name):
    path, old, new, where, what = CHANGES[name]
    text = (tree / path).read_text()
    assert text.count(old) == 1
    (tree / path).write_text(text.replace(old, new))
    status, said = check(tree)
    assert status == 1 and any(line.startswith(where + ":") and what in line for line in said.splitlines()), said


def test_a_seventh_device(tree):
    shutil.copy(tree / "docs/pv/clock.md", tree / "docs/pv/sound.md")
    status, said = check(tree)
    assert status == 1 and "there are 7 devices" in said, said
