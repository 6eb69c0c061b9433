# SPDX-License-Identifier: Apache-2.0
"""Stolen time: what an unmodified Linux says that was taken from it is what Socle took (M22)."""
import json
import re
import time

from linux_machine import FILES, Shell, vm

ESCAPE = "\x1d"
MONITOR = "socle> "
SECONDS = 10
HOG = "[vm %s]\nmemory = 20M\nkernel = life.elf\ncmdline = spin\nautostart = no\n"


def ask_monitor(console, *lines):
    """The last command's answer; Linux has the console afterwards."""
    console.send(ESCAPE + "m")
    console.expect(MONITOR, timeout=60)
    for line in lines:
        console.send(line + "\r")
        console.expect(re.escape(line) + r"\r?\n", timeout=30)
        text = console.expect(MONITOR, timeout=60)
    console.send("quit\r")
    console.expect(r"quit\r?\n", timeout=30)
    time.sleep(2)   # what is typed while it closes is not for the guest
    return text


def waited(console):
    rows = ask_monitor(console, "vcpu-list -j")
    found = json.loads(rows[rows.index("["):rows.rindex("]") + 1])
    return [row["waited_s"] for row in found if row["name"] == "linux"][0]


def stolen(shell):
    """Seconds in the steal column of /proc/stat, whose unit is 10 ms."""
    said = shell.ask("grep cpu0 /proc/stat")
    found = re.search(r"cpu0(?: \d+){7} (\d+)", said)
    assert found, repr(said)
    return int(found[1]) / 100


def test_steal_column(console, guest):
    m = console("[socle]\n" + vm() + HOG % "hog1" + HOG % "hog2", dict(FILES, **{"life.elf": guest("life")}),
                timeout=550)
    shell = Shell(m)
    shell.ready()
    before = waited(m), stolen(shell)
    ask_monitor(m, "create hog1", "create hog2")
    shell.ask("timeout %d sh -c 'while :; do :; done'" % SECONDS, timeout=300)
    ask_monitor(m, "destroy hog1", "destroy hog2")
    socle, linux = waited(m) - before[0], stolen(shell) - before[1]
    print("stolen: %.2f s by Linux, %.3f s by Socle" % (linux, socle))
    # Three that want one CPU.
    assert 0.6 * SECONDS < socle < 0.75 * SECONDS + 2
    assert abs(linux - socle) < 0.02 * socle
