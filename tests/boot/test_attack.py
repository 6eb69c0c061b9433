# SPDX-License-Identifier: Apache-2.0
"""Guests that end badly, in every way a guest can: only their own VM ends, and Socle goes on (M4, M24)."""
# Word of the attack guest, and how its VM ends. The machine powers off after each: Socle has gone on.
ENDINGS = [
    ("triple-fault", "triple fault"),
    ("halt", "halted with interrupts off"),
    ("idt-nowhere", "crashed"),
    ("stack-nowhere", "crashed"),
    ("tables-nowhere", "crashed"),
    ("tables-device", "crashed"),
    ("reset-cf9", "reset"),
    ("reset-8042", "reset"),
    ("reset-92", "reset"),
    ("poweroff", "powered off"),
    ("exit-code", "left through the debug exit port, value 42"),
]
# A neighbour that must not notice.
GOOD = "rows-ring0 rows-ring3 classic-ring0 classic-ring3 bochs"


def vm(name, words, more=""):
    return "[vm %s]\nmemory = 32\nkernel = %s.elf\ncmdline = %s\ntestdev = yes\n%s\n" % (name, name, words, more)


def test_endings(boot, guest):
    """All at once, and one that finishes its tests beside them."""
    text = "".join(vm(word, word, "on_reboot = destroy") for word, _ in ENDINGS)
    files = {word + ".elf": guest("attack") for word, _ in ENDINGS}
    m = boot(text + vm("good", GOOD), dict(files, **{"good.elf": guest("privileged")}))
    assert m.status == 0, m
    assert len(m.lines("ending by")) == len(ENDINGS) and not m.lines("still there"), m
    for word, how in ENDINGS:
        assert m.lines(" %s: %s" % (word, how)), (word, m)
        if how == "crashed":   # with a dump that a reader can use
            assert m.lines(" %s  RIP " % word) and m.lines(" %s  exit reason " % word), (word, m)
    assert m.lines(" good: left through the debug exit port, value 0"), m


def test_restart_after_reset(boot, guest):
    """on_reboot = restart starts the VM anew, from the beginning; here until the time is up."""
    m = boot(vm("bad", "reset-8042", "on_reboot = restart"), {"bad.elf": guest("attack")}, timeout=25)
    assert m.status == 124, m
    assert len(m.lines("ending by")) > 2 and not m.lines("still there"), m


def test_attackers_together(boot, guest):
    """Four that attack all they can name, at the same time; each of them lives, and so does a neighbour."""
    words = {"a": "ports memory", "b": "uart hypercalls", "c": "pci msrs seed=3", "d": "user-code operands"}
    text = "".join(vm(name, word) for name, word in words.items())
    files = {name + ".elf": guest("attack") for name in words}
    m = boot(text + vm("good", GOOD), dict(files, **{"good.elf": guest("privileged")}))
    assert m.status == 0, m
    for name in list(words) + ["good"]:
        assert m.lines(" %s: left through the debug exit port, value 0" % name), (name, m)


def test_chaos(boot, guest):
    """Random code in ring 0 may do anything to its VM, and nothing to Socle or to the neighbour. It may run in
    circles as well: then the time is up."""
    seeds = range(1, 7)
    text = "".join(vm("s%d" % n, "chaos seed=%d" % n, "on_reboot = destroy") for n in seeds)
    files = {"s%d.elf" % n: guest("attack") for n in seeds}
    m = boot(text + vm("good", GOOD), dict(files, **{"good.elf": guest("privileged")}), timeout=60)
    assert len(m.lines("ending by")) == len(seeds), m
    assert not m.lines("panic"), m
    assert m.status in (0, 124), m
    assert m.lines(" good: left through the debug exit port, value 0"), m
