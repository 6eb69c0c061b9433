# SPDX-License-Identifier: Apache-2.0
"""What the scripts/lint-* checks share: which files are ours, and how a finding is printed."""
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# The hypervisor's folders; one may see the contracts of those in later rows.
ORDER = [["efi"], ["vm"], ["devices"], ["vcpu"], ["vmx", "ept", "ring", "sched"], ["host"], ["lib"]]
LEVEL = {folder: level for level, row in enumerate(ORDER) for folder in row}

_findings = 0


def found(path, line, what, remedy):
    """Prints one finding: where, what is wrong, what to do."""
    global _findings
    _findings += 1
    print("%s:%d: %s: %s" % (path, line, what, remedy))


def finish():
    """Ends the script: status 1 when there was a finding."""
    sys.exit(1 if _findings else 0)


def files(*endings):
    """Paths of our files, from the top of the tree; with one of the endings where some are given."""
    listing = subprocess.run(["git", "ls-files", "-c", "-o", "--exclude-standard"], cwd=TOP, check=False,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    if listing.returncode == 0:
        paths = listing.stdout.splitlines()
    else:  # a source archive
        paths = [os.path.relpath(os.path.join(folder, name), TOP)
                 for folder, _, names in os.walk(TOP) for name in names]
        paths = [p for p in paths if not p.startswith(("build/", ".git/"))]
    return sorted(p for p in set(paths)
                  if os.path.isfile(os.path.join(TOP, p)) and (not endings or p.endswith(endings)))


def lines_of(path):
    with open(os.path.join(TOP, path), encoding="utf-8", errors="replace") as f:
        return f.read().splitlines()


def folder_of(path):
    return path.split("/")[0]


def is_script(path):
    """True for an executable text file."""
    if not os.access(os.path.join(TOP, path), os.X_OK):
        return False
    first = lines_of(path)[:1]
    return bool(first) and first[0].startswith("#!")


def make_variable(name):
    """A variable of the Makefile as a list of words."""
    out = subprocess.run(["make", "-s", "--no-print-directory", "--eval", "lint-show: ; @echo $(%s)" % name,
                          "lint-show"], cwd=TOP, check=True, stdout=subprocess.PIPE, text=True)
    return out.stdout.split()
