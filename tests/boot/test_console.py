# SPDX-License-Identifier: Apache-2.0
"""The operator's console (M66): typing, a paste of 10 KB, the escape key, guests in the background, and a
guest that floods its UART."""
import hashlib
import re
import time

from conftest import clean
from linux_machine import FILES, PROMPT, Shell, vm

ESCAPE = "\x1d"
# Each line says its number twice: a mixed or cut one would not match.
CHATTER = r"\d+ says the lazy dog \d+"
PASTE = "".join("%05d abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ {}~\n" % n for n in range(160))


def whole_lines(text):
    """Of a text that was cut somewhere: without its first and last line."""
    return text.split("\n")[1:-1]


def test_typing_and_paste(console):
    c = console("[socle]\n" + vm(), FILES)
    shell = Shell(c)
    shell.ready()
    # Each character comes back before the next one is typed: a terminal, not a pipe.
    for letter in "echo typed":
        c.send(letter)
        assert c.expect(re.escape(letter), timeout=5).endswith(letter)
    c.send("\r")
    assert re.search(r"^typed$", c.expect(PROMPT, timeout=10), re.M)
    # Backspace, Ctrl-C, Ctrl-D are the guest's.
    c.send("echo wrogn\b\bng\r")
    c.expect("\nwrong\r?\n", timeout=10)
    c.expect(PROMPT, timeout=10)
    c.send("echo sleep''ing; sleep 1000\r")
    c.expect("\nsleeping\r?\n", timeout=10)
    time.sleep(0.5)   # what is typed before the program runs is the shell's
    c.send("\x03")
    c.expect(r"\^C", timeout=10)
    c.expect(PROMPT, timeout=10)

    assert len(PASTE) > 10000
    c.send("cat > /tmp/x; echo ca''me\r")
    c.expect(r"ca''me\r?\n", timeout=10)
    c.send(PASTE + "\x04")
    c.expect(r"came\r?\n", timeout=60)
    answer = shell.ask("wc -c < /tmp/x; sha256sum < /tmp/x")
    assert str(len(PASTE)) in answer.split()
    assert hashlib.sha256(PASTE.encode()).hexdigest() in answer.split()

    c.send(ESCAPE + "?")
    for line in ("power the machine off", "console of the next guest", "a Ctrl-\\] for the guest",
                 "console of linux \\(this one\\)"):
        c.expect(r"socle\| Ctrl-\] .*" + line, timeout=10)
    c.send(ESCAPE + "x")
    c.expect("not a command: Ctrl-\\] \\? shows them", timeout=10)
    # The escape key twice is the character itself.
    c.send("\rcat -v\r" + ESCAPE + ESCAPE + "\r")
    c.expect(r"\n\^\]\r?\n", timeout=10)
    c.send("\x04")
    c.expect(PROMPT, timeout=10)
    c.send(ESCAPE + "q")
    end = c.wait(20)
    assert end.status == 0, end
    assert end.lines("the operator powers the machine off"), end


def test_background_and_flood(console):
    """b talks without an end while a is typed at; then both flood, and the operator still has the machine."""
    c = console("[socle]\n" + vm("a") + vm("b"), FILES, timeout=400)
    shell = Shell(c)
    shell.ready()
    if b"b| guest: first user process" not in c.seen:
        c.expect(r"b\| guest: first user process", timeout=240)
    c.send(ESCAPE + "2")
    c.expect(r"socle\| console of b", timeout=10)
    c.send("\r")
    c.expect(PROMPT, timeout=240)
    c.send("n=0; while true; do n=$((n+1)); echo $n says the lazy dog $n; done & sleep 1; echo\r")
    c.expect(CHATTER, timeout=20)
    c.send(ESCAPE + "1")
    c.expect(r"socle\| console of a", timeout=20)
    marks = len(c.seen)
    for n in range(10):
        assert re.search(r"^%d is the answer$" % (n * n), shell.ask("echo $((%d * %d)) is the answer" % (n, n)), re.M)
    c.expect(r"b\| " + CHATTER, timeout=20)
    check_background(whole_lines(clean(c.seen[marks:])))
    # a floods too, in the foreground.
    c.send("yes 'a floods its console' & sleep 1\r")
    c.expect("a floods its console\r?\n", timeout=20)
    before = len(c.seen)
    c.send(ESCAPE + "?")
    c.expect(r"socle\| Ctrl-\] 2 +console of b", timeout=20)
    c.send(ESCAPE + "n")
    c.expect(r"socle\| console of b", timeout=20)
    c.expect(r"a\| a floods its console\r?\n", timeout=20)
    # What the floods say until then tells how long the operator waits, however fast the emulator is.
    assert len(c.seen) - before < 128 << 10
    c.send(ESCAPE + "q")
    end = c.wait(20)
    # What both have said is dropped: scripts/run would help after 3 seconds (4).
    assert end.status == 0, end
    assert end.lines("the operator powers the machine off"), end


def check_background(lines):
    """Every line is b's with its name, Socle's, or a's with neither; b's numbers come in order."""
    numbers = []
    for line in lines:
        if line.startswith("b| "):
            if "says" in line:   # else its shell's prompt or an empty line
                found = re.fullmatch(r"b\| (?:%s)?(\d+) says the lazy dog (\d+)" % PROMPT, line)
                assert found and found[1] == found[2], line
                numbers.append(int(found[1]))
        else:
            assert "lazy dog" not in line, line
    assert len(numbers) > 5
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
