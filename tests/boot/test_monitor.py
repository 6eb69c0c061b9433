# SPDX-License-Identifier: Apache-2.0
"""The monitor behind the escape key, driven through the serial line as a person would (M86 to M89)."""
import json
import re

import pytest
from conftest import clean
from linux_machine import FILES, Shell
from linux_machine import vm as linux_vm

ESCAPE = "\x1d"
PROMPT = "socle> "


def vm(name, words="ticks", more=""):
    return "[vm %s]\nmemory = 20M\nkernel = life.elf\ncmdline = %s\n%s\n" % (name, words, more)


class Monitor:
    """Commands and their answers. What guests and the log say comes in between, on lines of its own."""

    def __init__(self, console):
        self.console = console

    def open(self):
        self.console.expect("for files", timeout=240)   # what is typed before is the firmware's
        self.console.send(ESCAPE + "m")
        self.console.expect(PROMPT, timeout=60)

    def send(self, line):
        """Types a line and takes its echo, which may be shown again after a line of a guest's."""
        self.console.send(line + "\r")
        self.console.expect(re.escape(line) + r"\r?\n", timeout=30)

    def ask(self, line, timeout=60):
        """The command's own lines."""
        self.send(line)
        self.console.send("help quit\r")   # its answer marks the end
        text = self.console.expect(r"leave the monitor; VMs go on[^>]*" + PROMPT, timeout)
        text = text[:text.rindex("quit ")]
        return "\n".join(row for row in text.splitlines()
                         if not re.match(r"\[socle|[\w.-]+\| ", row) and PROMPT not in row).strip()

    def log(self, pattern, timeout=60):
        return self.console.expect(r"\[socle +[\d.]+\] " + pattern, timeout)

    def rows(self):
        """{name: its line of list, in words}."""
        lines = self.ask("list").splitlines()
        assert lines and re.match(r"Name +ID +Mem +VCPUs +State +Time\(s\)$", lines[0]), lines
        return {line.split()[0]: line.split()[1:] for line in lines[1:]}

    def json(self, line):
        text = self.ask(line)
        return json.loads(text)


@pytest.fixture
def monitor(console, guest):
    def start(config, **kw):
        m = Monitor(console("[socle]\non_idle = wait\n" + config, {"life.elf": guest("life")}, **kw))
        m.open()
        return m
    return start


def test_life_cycle(monitor):
    m = monitor(vm("a") + vm("spinner", "spin") + vm("spare", "idle", "autostart = no"))
    rows = m.rows()
    assert list(rows) == ["a", "spinner"] and rows["a"][:3] == ["1", "20", "1"] and rows["spinner"][0] == "2", rows
    assert rows["spinner"][3] == "r-----" and rows["a"][3] in ("r-----", "-b----"), rows
    # Pause: its clock says nothing more; then it goes on.
    m.console.expect(r"a\| second \d+", timeout=60)
    assert m.ask("pause a") == ""
    assert m.rows()["a"][3] == "--p---"
    m.ask("top -n")   # a second of the machine's time passes
    mark = len(m.console.seen)
    m.ask("top -n")
    m.ask("top -n")
    assert "second" not in clean(m.console.seen[mark:])
    assert m.ask("pause a") == "pause: a is paused: expected a running VM"
    assert m.ask("unpause a") == ""
    m.console.expect(r"a\| second \d+", timeout=60)
    assert m.ask("unpause 1") == "unpause: a is running: expected a paused VM"
    # Reset: from the beginning, with a new number.
    m.send("reset a")
    m.log("a: reset")
    m.console.expect(r"a\| second 1\b", timeout=60)
    assert m.rows()["a"][0] == "3"
    # One that spins with interrupts off, one that is paused, one that comes back.
    m.send("destroy spinner")
    m.log("spinner: destroyed")
    m.ask("pause a")
    m.send("destroy a")
    m.log("a: destroyed")
    assert m.rows() == {}
    m.send("create spare")
    m.log("spare: starts, 1 vCPU, 20 MiB")
    m.send("create -p a")
    m.log("a: starts")
    assert m.json("list -j a")[0]["time_s"] == 0
    rows = m.rows()
    assert rows["spare"][0] == "4" and rows["a"][0] == "5" and rows["a"][3] == "--p---", rows
    # The power button.
    assert m.ask("shutdown a") == "a is paused: it will see its power button after unpause"
    m.send("unpause a")
    m.log("a: powered off")
    m.send("destroy -n spare")
    m.log("spare: destroyed")
    assert m.rows() == {}


def test_pause_in_an_exit(monitor):
    """Guests that hardly do anything but exit are stopped wherever they are, do nothing more, and go on as if nothing
    had been: in long string instructions, in page faults, in output."""
    names = ["exits", "touch", "flood"]
    m = monitor("".join(vm(name, name, "pages = 4k\n" + "console = none\n" * (name == "flood")) for name in names))

    def exits(name):
        return sum(m.json("stats -j %s" % name)["exits"].values())

    for _ in range(6):
        m.ask("; ".join("pause " + name for name in names))
        before = [exits(name) for name in names]
        m.ask("top -n", timeout=200)   # a second of the machine's time passes
        assert [exits(name) for name in names] == before
        m.ask("; ".join("unpause " + name for name in names))
        m.ask("top -n", timeout=200)
        assert all(exits(name) > n for name, n in zip(names[::2], before[::2])), before
    assert m.ask("check").startswith("check: all is well")
    assert b"broken" not in m.console.seen


def test_dying_is_shown(monitor):
    m = monitor(vm("a", "spin"))
    # On one line: list runs before the guest's vCPU has noticed.
    m.console.send("destroy -n a; list\r")
    m.console.expect(r"a +1 +20 +1 +\S*d +\d", timeout=30)
    m.log("a: destroyed")
    assert m.rows() == {}


def test_linux(console):
    """Its uptime stands still while it is paused; the power button shuts it down; a new one comes."""
    m = Monitor(console("[socle]\non_idle = wait\n" + linux_vm(), FILES, timeout=400))
    shell = Shell(m.console)
    shell.ready()
    m.console.send("while cut -d ' ' -f 1 /proc/uptime; do sleep 1; done\r")
    m.console.expect(r"\n(\d+)\.\d\d\r?\n", timeout=30)
    m.console.send(ESCAPE + "m")
    m.console.expect(PROMPT, timeout=30)
    m.ask("pause linux")
    m.ask("top -n")
    mark = len(m.console.seen)
    m.ask("top -n; top -n; top -n")
    assert not re.search(r"linux\| \d+\.\d\d$", clean(m.console.seen[mark:]), re.M)
    m.ask("unpause linux")
    m.console.expect(r"linux\| \d+\.\d\d\r?\n", timeout=30)
    row = m.json("stats -j linux")
    assert row["exits"]["I/O instruction"] > 100 and any(d["device"] == "com1" for d in row["devices"]), row
    m.ask("trace -e linux 0")
    m.console.expect(r"linux\| \d+\.\d\d\r?\n", timeout=30)
    trace = m.ask("trace -d linux; trace linux")
    assert re.search(r"linux vCPU 0: \d+ exits recorded, the last \d+:", trace), trace
    assert re.search(r"\d+\.\d{3} us  rip [0-9a-f]{16}  (WRMSR|HLT) +qualification 0", trace), trace
    m.send("debug-dump linux")
    m.log(r"linux  RIP [0-9a-f]{16} RSP ")
    m.log(r"linux  controls pin ")
    m.send("shutdown -w linux")
    m.log("linux: powered off", timeout=120)
    m.send("create linux")
    m.log("linux: starts")
    m.console.expect(r"linux\| guest: first user process", timeout=240)
    m.send("reset linux")
    m.log("linux: starts")
    m.send("destroy linux")
    m.log("linux: destroyed")
    assert m.rows() == {}


# What is typed, and what is answered.
WRONG = [
    ("lits", 'no command "lits": did you mean list?'),
    ("frobnicate", 'no command "frobnicate": "help" shows what there is'),
    ("pause", "pause: too few words: expected pause VM"),
    ("pause a b", "pause: too many words: expected pause VM"),
    ("pause b", 'pause: no VM "b": expected a'),
    ("pause 99", 'pause: no VM "99": expected a'),
    ("unpause a", "unpause: a is running: expected a paused VM"),
    ("list -x", "list: no option -x: expected list [-j] [VM]"),
    ("dmesg many", 'dmesg: "many": expected a number of lines'),
    ("dmesg 0", 'dmesg: "0": expected a number of lines'),
    ("trace a", "trace: nothing is recorded of a: expected trace -e a first"),
    ("trace a 1", 'trace: "1": expected a vCPU from 0 to 0'),
    ("trace -ed a", "trace: expected one of -e, -d and -j"),
    ("date a b c", "date: too many words: expected date [-j] [VM [DATE|host]]"),
    ("date a 2026-02-30T00:00:00", 'date: "2026-02-30T00:00:00": expected host, or a date of 1970 to 2554 as 2026-11-21T15:04:05'),
    ("date a 2600-01-01T00:00:00", 'date: "2600-01-01T00:00:00": expected host, or a date of 1970 to 2554 as 2026-11-21T15:04:05'),
    ("create nobody", "create: no [vm nobody] in the configuration: expected spare, huge"),
    ("help reboot", 'help: no command "reboot": "help" shows what there is'),
    ('list "a', 'a quote is opened and never closed: expected a second "'),
]


def test_wrong_input(monitor):
    m = monitor(vm("a", "idle") + vm("spare", "idle", "autostart = no") +
                "[vm huge]\nmemory = 900M\nkernel = life.elf\nautostart = no\n" +
                vm("big", "idle").replace("20M", "200M"))
    m.ask("destroy big")
    before = m.json("info -j")
    for line, says in WRONG:
        if "spare, huge" in says:
            says += ", big"
        assert m.ask(line) == says
    # More memory than is left, with the figures; the rest is as before.
    m.ask("create big")
    m.send("create huge")
    m.log(r"error: huge: not created: memory: 900 MiB asked for, \d+ MiB left of \d+ MiB: expected less")
    m.send("create a")
    m.log("error: a: not created: there is a VM of that name: expected the name of one that is not there")
    m.ask("destroy big")
    assert m.json("info -j")["left_memory_kib"] == before["left_memory_kib"]
    assert list(m.rows()) == ["a"]
    # Text: wrong, dropped, without an end, and right.
    m.console.send("create\r[vm x]\rmemory = 1\r.\r")
    m.console.expect(r"create:2: memory: out of range: expected 2M to 16384G", timeout=30)
    m.console.expect(PROMPT, timeout=30)
    m.console.send("create\r[vm x]\rmemory = 16\rkernel = none.elf\r.\r")
    m.log("error: x: none.elf was not loaded")
    m.console.expect(PROMPT, timeout=30)
    # What is refused at the last step has left everything, run queues as well.
    m.console.send("create\r[vm x]\rmemory = 16\rkernel = life.elf\rpin = 40\r.\r")
    m.log("error: x: pin: none of these CPUs runs guests; expected some of 0 to 0")
    m.console.send("create\r[vm x]\r\x03")
    m.console.expect(r"\^C", timeout=30)
    m.console.expect(PROMPT, timeout=30)
    m.console.send("create -p\r[vm x]\rmemory = 16\rkernel = /life.elf\rcmdline = ticks\r.\r")
    m.log("x: starts, 1 vCPU, 16 MiB")
    m.console.expect(PROMPT, timeout=30)
    rows = m.rows()
    assert list(rows) == ["a", "x"] and rows["x"][1] == "16" and rows["x"][3] == "--p---", rows
    # Line editing as on any terminal: completion, history, the cursor.
    m.console.send("unp\tx\r")
    m.console.expect(r"unpause x\r?\n", timeout=30)
    m.console.expect(r"x\| second 1\b", timeout=60)
    m.console.send("\x1b[A\x01\x1b[3~\x1b[3~\r")   # the last line without its first two letters
    assert m.rows()["x"][3] == "--p---"
    # top refreshes until a key, and shows what the key d wants.
    m.console.send("top\r")
    for _ in range(3):
        m.console.expect(r"any key ends top", timeout=30)
    m.console.send("d")   # disks and networks
    m.console.expect(r"VBD_RD +VBD_WR +NETTX\(k\) +NETRX\(k\)", timeout=30)
    m.console.expect(r"any key ends top; d: memory and exits", timeout=30)
    m.console.send("x")
    assert m.ask("check").startswith("check: all is well")
    # A console and back; a VM that was kept.
    m.send("console x")
    m.console.expect("console of x", timeout=30)
    m.console.send(ESCAPE + ":")
    m.console.expect(PROMPT, timeout=30)
    m.console.send(ESCAPE + "q")
    end = m.console.wait(20)
    assert end.status == 0, end


def test_date(console, guest):
    """The guest sees a pause by its clocks: real and wall clock are right at once, virtual time stood still; and
    the wall clock that the operator sets."""
    m = Monitor(console("[socle]\non_idle = wait\n[vm c]\nmemory = 16\nkernel = clock.elf\ncmdline = operator\n"
                        "testdev = yes\n" + vm("b", "idle"),
                        {"clock.elf": guest("clock"), "life.elf": guest("life")}))
    m.open()
    first, host = m.ask("date"), {row["name"]: row for row in m.json("date -j")}
    assert re.match(r"Name +ID  Wall clock \(UTC\) +Virtual\(s\)\nSocle +0  20\d\d(-\d\d){2} \d\d(:\d\d){2}\.\d{3} ", first), first
    assert list(host) == ["Socle", "c", "b"] and host["c"]["wall_ns"] - host["Socle"]["wall_ns"] < 1e9, host
    assert m.ask("pause c") == ""
    before = m.json("date -j c")[0]
    for _ in range(5):
        m.ask("top -n")   # a second each
    after = m.json("date -j c")[0]
    assert after["virtual_s"] - before["virtual_s"] < 0.01, (before, after)
    assert after["wall_ns"] - before["wall_ns"] > 5e9, (before, after)
    m.send("unpause c")
    seen = m.console.expect(r"paused for \d+ ns, then wall clock \d+\r?\n", timeout=60)
    pause, wall = map(int, re.search(r"paused for (\d+) ns, then wall clock (\d+)", seen).groups())
    assert pause >= 5e9 and 0 <= wall - after["wall_ns"] < 1e9, (seen, after)
    m.send("date c 2040-02-29T12:34:56")
    set_to = int(re.search(r"wall clock set to (\d+)", m.console.expect(r"wall clock set to \d+\r?\n", timeout=60))[1])
    assert 0 <= set_to - 2214131696 * 10**9 < 1e9, set_to
    m.log("c: left through the debug exit port, value 0")
    m.ask("date b 2040-02-29T12:34:56")
    assert m.json("date -j b")[0]["wall"].startswith("2040-02-29T12:3")
    m.ask("date b host")
    rows = m.json("date -j")
    assert abs(rows[0]["wall_ns"] - rows[1]["wall_ns"]) < 1e9, rows


def test_create_is_not_felt(console, guest):
    """While a VM with a file of 30 MiB is made, and made anew, a guest that wakes every 10 ms runs within a
    millisecond, 50,000 instructions; but for the few times when the VM itself is made or freed. To copy the file
    takes four million, to clear its pages as many again."""
    late = ("[vm late]\nmemory = 8\npages = 4k\nkernel = sched.elf\ntestdev = yes\nwarp = 20000\n"
            "cmdline = name=late wake=500 from=1 for=400\n")
    big = "[vm big]\nmemory = 64\nkernel = life.elf\ncmdline = idle\nautostart = no\nmodule = big.bin\n"
    m = Monitor(console("[socle]\non_idle = wait\n" + late + vm("hog", "spin") + big,
                        {"sched.elf": guest("bench-sched"), "life.elf": guest("life"), "big.bin": bytes(30 << 20)}))
    m.console.expect("reading big.bin", timeout=200)
    m.open()
    m.send("create big")
    m.console.expect(r"big\| idle", timeout=60)
    for _ in range(2):
        m.send("reset big")
        m.console.expect(r"big\| idle", timeout=60)
    text = m.console.expect(r"SCHED late wakes \d+ p50 \d+ p99 \d+ most \d+", timeout=120)
    p99, most = map(int, re.search(r"p99 (\d+) most (\d+)", text).groups())
    assert p99 <= 50000 and most <= 150000, text
    assert m.ask("check").startswith("check: all is well")


def test_preserve(monitor):
    m = monitor(vm("bad", "crash", "on_crash = preserve") + vm("off", "off") +
                vm("triple", "triple", "on_reboot = destroy"))
    for _ in range(20):   # each guest ends in its own way, and soon
        rows = m.rows()
        if list(rows) == ["bad"] and rows["bad"][3] == "----c-":
            break
    assert rows["bad"][3] == "----c-" and len(rows) == 1, rows
    m.send("debug-dump bad")
    m.log(r"(error: )?bad  RIP [0-9a-f]{16}")
    m.log(r"(error: )?bad  exit reason")
    assert m.ask("pause bad") == "pause: bad is crashed: expected a running VM"
    assert m.ask("check").startswith("check: all is well")
    m.send("reset bad")
    m.log("bad: kept for debug-dump", timeout=60)
    m.ask("destroy bad")
    assert m.rows() == {}
    assert m.ask("check").startswith("check: all is well")


def test_cpus(monitor):
    """Weight and cap are changed while guests run, and a vCPU runs only where it may, and goes from CPU to CPU
    (M2, M33, M88)."""
    m = monitor(vm("a", "spin") + vm("b", "spin") + vm("c", "idle"), cpus=2)
    assert m.ask("sched a weight=512 cap=30") == ""
    shown = m.json("sched -j a")
    assert shown["policy"] == "bvt" and shown["vms"][0]["weight"] == 512 and shown["vms"][0]["cap"] == 30, shown
    assert re.search(r"Policy: bvt\nName +ID +weight +cap +warp +warp_limit +unwarp\n", m.ask("sched") + "\n")
    assert m.ask("sched a speed=1").startswith("sched: ")
    assert m.ask("sched a weight=0").startswith("sched: ")
    assert m.ask("sched a weight") == ('sched: "weight": expected NAME=NUMBER, NAME one of weight, cap, warp, '
                                       'warp_limit, unwarp')
    assert m.json("sched -j a")["vms"][0]["weight"] == 512   # what was wrong changed nothing
    assert m.ask("sched a cap=0") == ""
    for bad in ("2", "0-2", "1-0", "x", "0,", "", "-1"):
        assert m.ask('vcpu-pin a 0 -- "%s"' % bad) == 'vcpu-pin: "%s": expected all, or CPUs from 0 to 1, as in 0,2-3' % bad
    assert m.ask("vcpu-pin a 7 0") == 'vcpu-pin: "7": expected all, or a vCPU from 0 to 0'
    for cpu in (0, 1):
        assert m.ask("vcpu-pin a 0 %d; vcpu-pin b all %d" % (cpu, 1 - cpu)) == ""
        m.ask("top -n")
        for _ in range(5):
            cpus = {row["name"]: (row["cpu"], row["affinity"]) for row in m.json("vcpu-list -j")}
            assert cpus["a"] == (cpu, str(cpu)) and cpus["b"] == (1 - cpu, str(1 - cpu)), cpus
            assert cpus["c"][1] == "all"
        used = {row["name"]: row["cpu"] for row in m.json("top -j")}
        assert used["a"] > 0.9 and used["b"] > 0.9, used   # each has a CPU of its own
    assert m.ask("vcpu-pin a all all; vcpu-pin b 0 0-1") == ""
    assert m.ask("check").startswith("check: all is well")
    m.ask("destroy a; destroy b")
    assert list(m.rows()) == ["c"]


def test_console_and_back(monitor):
    """The bare guest of make run answers on its console, and obeys its power button."""
    m = monitor(vm("a", "talk"))
    m.console.send("console a\r")
    m.console.expect("console of a", timeout=30)
    m.console.send("hello\r")
    m.console.expect("you said: hello", timeout=30)
    m.console.send(ESCAPE + "m")
    m.console.expect(PROMPT, timeout=30)
    m.send("shutdown -w a")
    m.log("a: powered off")
