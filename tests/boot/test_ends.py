# SPDX-License-Identifier: Apache-2.0
"""VMs that end while their input and output are on the way, and pages that two VMs exchange (M76, M87).

Two floods and who takes them in, two that exchange pages with each other, one that reads and writes a virtio disk, one a
disk behind a Socle ring: each is destroyed in the midst of it while the others go on, in another order each time. The
monitor's check finds nothing, and at the end as much memory is free as the time before."""
import re

from conftest import clean
from test_monitor import Monitor

MIB = 1 << 20
PAIR = "memory = 16\nkernel = pvring.elf\ntestdev = yes\nnet1 = bridge=%s, model=socle\ncmdline = pair frames=%d\n"
NET = "memory = 32\nkernel = net.elf\ntestdev = yes\nnet1 = bridge=lan, model=%s\ncmdline = mode=%s role=%s ticks=1000000000000\n"
DISK = ("memory = 32\nkernel = disk.elf\ntestdev = yes\ndisk1 = %s\n"
        "cmdline = mode=%s op=read,write size=4096 depth=16 n=1000000000\n")
VMS = {"judge": NET % ("split", "virtio", "judge"), "flood1": NET % ("split", "virtio", "flood"),
       "flood2": NET % ("packed", "packed", "flood"), "left": PAIR % ("pv", 0), "right": PAIR % ("pv", 0),
       "disk": DISK % ("boot/pv.img", "virtio"), "ring": DISK % ("null:8M, socle", "socle")}
ORDERS = (("flood1", "right", "disk", "ring", "judge", "left", "flood2"),
          ("left", "judge", "ring", "flood2", "right", "flood1", "disk"),
          ("disk", "left", "flood2", "judge", "ring", "right", "flood1"))


def work(m, name):
    """Frames sent, or requests done, by the VM's own meters."""
    stats = m.json("stats -j " + name)
    return sum(n["sent_frames"] for n in stats.get("networks", [])) + sum(d["reads"] + d["writes"] for d in stats.get("disks", []))


def are_at_it(m):
    """All of them but the judge, which only listens."""
    left = [name for name in VMS if name != "judge"]
    for _ in range(600):   # the machine's time passes while it answers
        left = [name for name in left if work(m, name) < 100]
        if not left:
            return
    assert False, left


def test_vms_end_in_the_midst_of_it(console, guest):
    config = "[socle]\non_idle = wait\n" + "".join("[vm %s]\n%s" % (name, PAIR % ("few", 1000)) for name in ("one", "two"))
    config += "".join("[vm %s]\nautostart = no\n%s" % vm for vm in VMS.items())
    files = {"pvring.elf": guest("pvring"), "net.elf": guest("bench-net"), "disk.elf": guest("bench-disk"),
             "boot/pv.img": bytes(MIB)}
    m = Monitor(console(config, files, cpus=2))
    m.open()
    for _ in range(600):
        if m.json("list -j") == []:
            break
    said = clean(m.console.seen)
    for name in ("one", "two"):
        assert re.search(r"%s\| PASS pair" % name, said) and re.search(r"%s\| pair: \d+ of 1000 flipped" % name, said), said
        assert "%s: left through the debug exit port, value 0" % name in said, said
    free = []
    for order in ORDERS:
        for name in VMS:
            m.ask("create " + name)
        are_at_it(m)
        for name in order:
            m.ask("destroy " + name)
            answer = m.ask("check", timeout=120)
            assert answer.startswith("check: all is well"), (order, name, answer)
        assert m.json("list -j") == []
        free.append(int(re.search(r"(\d+) free", m.ask("check", timeout=120))[1]))
    assert free[1] == free[2], free   # the first life of each may leave what is kept for good
    said = clean(m.console.seen)
    assert not re.search(r"\| FAIL|\] error: ", said), said[-3000:]
