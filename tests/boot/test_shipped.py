# SPDX-License-Identifier: Apache-2.0
"""What `make run` starts when it is told nothing else: two Linux guests of different weight and a bare one, each with its
console, and the monitor (M23, M30)."""
import os
import re

from conftest import TOP
from linux_machine import FILES, PROMPT, TROUBLE, Shell
from test_monitor import ESCAPE, Monitor
from test_monitor import PROMPT as MONITOR


def test_make_run(console, guest):
    with open(os.path.join(TOP, "guests/socle.conf"), encoding="utf-8") as f:
        c = console(f.read(), dict(FILES, **{"boot/life.elf": guest("life")}), timeout=400)
    shell = Shell(c)
    shell.ready()
    for said in ("second: starts, 1 vCPU, 256 MiB", "bare| a bare guest", "second| guest: first user process"):
        if said.encode() not in c.seen:
            c.expect(re.escape(said), timeout=240)
    assert "42 is the answer" in shell.ask("echo $((6 * 7)) is the answer")
    # From one console to the next, each with its own guest behind it.
    c.send(ESCAPE + "2")
    c.expect(r"console of second\r?\n", timeout=30)
    c.send("\r")
    c.expect(PROMPT, timeout=60)
    # Its power button is nobody's before this runs, in the background.
    assert "Linux" in Shell(c).ask("until pidof acpid; do sleep 1; done; sleep 1; uname -s; touch /tmp/here")
    c.send(ESCAPE + "3")
    c.expect(r"console of bare\r?\n", timeout=30)
    c.send("hello\r")
    c.expect("you said: hello", timeout=30)
    # One weighs twice what the others do.
    c.send(ESCAPE + "m")
    c.expect(MONITOR, timeout=30)
    m = Monitor(c)
    weights = {row["name"]: row["weight"] for row in m.json("sched -j")["vms"]}
    assert weights == {"linux": 512, "second": 256, "bare": 256}, weights
    assert m.ask("check").startswith("check: all is well")
    m.send("shutdown -w second")
    m.log("second: powered off", timeout=120)
    m.send("shutdown -w bare")
    m.log("bare: powered off", timeout=60)
    assert list(m.rows()) == ["linux"]
    c.send(ESCAPE + "1")
    c.expect(r"console of linux\r?\n", timeout=30)
    c.send("\r")
    c.expect(PROMPT, timeout=30)
    assert "here" not in shell.ask("ls /tmp").split()
    end = shell.power_off()
    assert end.status == 0 and not TROUBLE.search(end.socle), end
