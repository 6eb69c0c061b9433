# SPDX-License-Identifier: Apache-2.0
"""What bench-io measures of networks: ways of a frame from one guest to another, points on each, and the bars. Two guests
of a kind are on one bridge, on one CPU."""
import dataclasses
import os
import re

from io_runs import Failed, clocked
from io_scenes import Bar, Row, exits

SEND, RECEIVE, ROUND = "send", "receive", "round trip"
TCP_SEND, TCP_RECEIVE = "send by TCP", "receive by TCP"
OPS = {"bulk": (SEND, RECEIVE), "rr": (ROUND, ROUND), "tcp": (TCP_SEND, TCP_RECEIVE)}
SIZES = (64, 512, 1500)
LONG = 65000            # a TCP segment that is not cut; Linux's own are up to 64 KiB
BURST = 64


@dataclasses.dataclass(frozen=True)
class NetWay:
    """How frames go. guest: linux or bare. model: in socle.conf. mode: of the bare guest."""
    name: str
    guest: str
    model: str
    mode: str = ""
    pc: bool = False    # by the kernel for PCs
    long: bool = True   # takes segments that are to be cut
    polled: bool = False   # by a CPU of its own


NET_WAYS = [
    NetWay("virtio, split", "linux", "split"),
    NetWay("virtio, packed", "linux", "packed"),
    NetWay("82540EM", "linux", "e1000", pc=True),
    NetWay("virtio, split, bare guest", "bare", "split", mode="virtio"),
    NetWay("virtio, packed, bare guest", "bare", "packed", mode="packed"),
    NetWay("Socle ring, bare guest", "bare", "socle", mode="socle", long=False),
    NetWay("82540EM, bare guest", "bare", "e1000", mode="e1000", long=False),
    NetWay("virtio, split, polled, bare guest", "bare", "split, polled=yes", mode="virtio", polled=True),
    NetWay("Socle ring, polled, bare guest", "bare", "socle, polled=yes", mode="socle", long=False, polled=True),
]


def own_hypervisor(row, _rows):
    """Without the copying: eight bytes an instruction in Bochs' counting."""
    return row.hypervisor - row.copied / 8


def copied(row, _rows):
    return row.copied


def told(row, _rows):
    """Exits in which the guest tells of frames, by a register or a call."""
    return sum(row.reasons.get(reason, 0) for reason in ("ports", "violations", "vmcall"))


def to_two_ports(row, rows):
    two = rows.get((row.way.replace("64", "2"),) + row.key()[1:])
    return row.hypervisor / two.hypervisor if two else None


BULK = ("virtio, split, bare guest", SEND, 1500, BURST)
NET_BARS = [
    Bar("1500 B sent in bulk, virtio: exits", BULK, exits, 0.1),
    Bar("1500 B sent in bulk, virtio: hypervisor, without copying", BULK, own_hypervisor, 800, counted=True),
    Bar("1500 B sent in bulk, virtio polled: exits to tell of frames", ("virtio, split, polled, bare guest",) + BULK[1:], told, 0.001),
    Bar("1500 B sent in bulk, Socle ring polled: exits to tell of frames", ("Socle ring, polled, bare guest",) + BULK[1:], told,
        0.001),
    # What was checked is what is sent: the header goes through the switch's own memory.
    Bar("1500 B sent in bulk, virtio: bytes copied, header twice", BULK, copied, 1500 + 64 + 12),
]


BY_PORTS = "send by ports"
PORTS = (2, 4, 8, 16, 32, 64)
BY_PORTS_OF = {BULK[0]: "%d ports", "Socle ring, bare guest": "%d ports, Socle ring"}   # what their ways are called
PORTS_WAYS = [name % nr for name in BY_PORTS_OF.values() for nr in PORTS]
NET_BARS += [Bar("64 B sent%s, 64 ports to 2 ports: hypervisor" % by, (name % 64, BY_PORTS, 64, BURST), to_two_ports, 1.1, counted=True)
             for by, name in zip(("", " by Socle ring"), BY_PORTS_OF.values())]


def linux_points(quick):
    """(operation, size, how many) as frames.c takes them."""
    sizes, n = ((64, 1500), 400) if quick else (SIZES, 2000)
    return [("bulk", s, n) for s in sizes] + [("rr", s, n // 4) for s in (sizes[:1] if quick else sizes)] + \
           [("tcp", 65536, n // 4)]


def bare_words(way, quick):
    sizes = (64, 1500) if quick else SIZES + (LONG,) * way.long
    return "op=bulk,rr size=%s n=%d burst=%d" % (",".join(map(str, sizes)), 1000 if quick else 4000, BURST)


# ---- what the guests say ----
FRAMES = re.compile(r"FRAMES (first|second) (\w+) size (\d+) count (\d+) (ticks \d+ exits .*)")
REASONS = ("interrupts", "hlt", "vmcall", "ports", "violations", "msrs", "timer")


def each_of(words, n):
    """Of one frame: what one side's meters say."""
    m = {k: int(v) / n for k, v in zip(words[::2], words[1::2])}
    m["hypervisor"] += m.pop("billed", 0)
    return m


def row_of(way, op, size, burst, n, m, reasons):
    return Row(way.name, op, size, burst, n, m["guest"] + m["hypervisor"], m["guest"], m["hypervisor"], m["exits"],
               {r: round(v, 4) for r, v in reasons.items() if v}, m["notified"], m["copied"], m["ticks"])


def both(a, b):
    return {k: a[k] if k == "ticks" else a[k] + b[k] for k in a if k in b}   # these are of one clock, and the same time


def burst_of(way, size):
    """As the guests have it: the bare one never has more than half of its 256 buffers out."""
    return BURST if way.guest == "linux" else min(BURST, 128 // ((size + 16) // 4096 + 1))


def net_rows(way, text):
    """A row of each side in bulk, one of both together there and back."""
    rows, firsts = [], {}
    for side, op, size, n, rest in FRAMES.findall(text):
        m, size, n = each_of(rest.split(), int(n)), int(size), int(n)
        burst = burst_of(way, size) if op == "bulk" else 1
        if op == "rr":
            if side == "first":
                firsts[size] = m
                continue
            m = both(m, firsts[size])
        name = OPS[op][side == "second" and op != "rr"]
        rows.append(row_of(way, name, size, burst, n, m, {r: m[r] for r in REASONS if r in m}))
    return rows


# ---- measuring ----
def machine(booter, config, files, end, args, cpus=1):
    """What was said until the end."""
    from conftest import Console, emulator_slot   # it needs the build directory's name
    img = booter.image(config, files)
    with emulator_slot():
        console = Console(booter.argv(img, 1024, cpus, args.t, args.emulator, None, ()), args.t)
        try:
            return console.expect(end, timeout=args.t)
        finally:
            console.close()
            os.unlink(img)


def measure_bare_net(booter, way, args):
    config = "".join("[vm %s]\nmemory = 64\nkernel = net.elf\ntestdev = yes\nnet1 = bridge=lan, model=%s\n"
                     "cmdline = mode=%s role=%s %s\n" % (role, way.model, way.mode, role, bare_words(way, args.quick))
                     for role in ("first", "second"))
    text = machine(booter, "[socle]\n" + "poll = 1\n" * way.polled + config, {"net.elf": args.build + "/guests/bench-net.elf"},
                   r"no VM is running", args, 1 + way.polled)
    rows = net_rows(way, text)
    if "FAIL" in text or not rows:
        raise Failed("%s:\n%s" % (way.name, text[-3000:]))
    return clocked(rows, text)


def measure_linux_net(booter, ways, args):
    """All ways of one image in one boot: an interface and a bridge for each."""
    from linux_machine import FILES, vm
    pc, points = ways[0].pc, linux_points(args.quick)
    folder = args.build + "/guests/linux/"
    files = {"boot/vmlinuz": folder + ("vmlinux-pc.elf" if pc else "bzImage"),
             "boot/initrd": folder + ("initrd-pc" if pc else "initrd-net")}
    nets = "".join("net%d = bridge=lan%d, model=%s\n" % (i, i, w.model) for i, w in enumerate(ways, 1)) + "testdev = yes\n"
    words = "frames socle.role=%d socle.points=" + ",".join("%s:%d:%d" % p for p in points)
    config = "".join(vm("linux%d" % role, words % role, nets) for role in (1, 2))
    if pc:   # a Multiboot kernel
        config = config.replace("initrd = ", "module = ")
    text = machine(booter, config, dict(FILES, **files), "frames: end", args)
    parts = re.split(r"frames: interface \d+", text)[1:]
    rows = [row for way, part in zip(ways, parts) for row in net_rows(way, part)]
    if "failed" in text or len(rows) != len(ways) * sum(1 if p[0] == "rr" else 2 for p in points):
        raise Failed("%s:\n%s" % (ways[0].name, text[-3000:]))
    return clocked(rows, text)


def measure_ports(booter, of, nr, args):
    """Two bare guests that send and receive, and idle ones with four interfaces each, on one bridge."""
    config, left = "", nr - 2
    for role in ("first", "second"):
        config += "[vm %s]\nmemory = 64\nkernel = net.elf\ntestdev = yes\nnet1 = bridge=lan, model=%s\n" \
                  "cmdline = mode=%s role=%s op=bulk size=64 n=2000\n" % (role, of.model, of.mode, role)
    while left:
        nics = min(4, left)
        left -= nics
        config += "[vm idle%d]\nmemory = 8\nkernel = net.elf\ncmdline = role=idle\n" % left + "".join(
            "net%d = bridge=lan, model=%s\n" % (i, of.model) for i in range(1, nics + 1))
    text = machine(booter, "[socle]\n" + config, {"net.elf": args.build + "/guests/bench-net.elf"},
                   r"FRAMES second.*\n", args)
    way = dataclasses.replace(of, name=BY_PORTS_OF[of.name] % nr)
    vms, rows = config.count("[vm "), net_rows(way, text + "FRAMES second")
    if text.count(": starts, ") != vms or not rows:
        raise Failed("%s: %d VMs are asked for:\n%s" % (way.name, vms, text[-3000:]))
    return clocked([dataclasses.replace(rows[0], op=BY_PORTS)], text)


def measure_nets(booter, ways, args, progress):
    rows = []
    for pc in (False, True):
        here = [w for w in ways if w.guest == "linux" and w.pc == pc]
        if here:
            progress("networks: " + ", ".join(w.name for w in here))
            rows += measure_linux_net(booter, here, args)
    for way in ways:
        if way.guest == "bare":
            progress("networks: " + way.name)
            rows += measure_bare_net(booter, way, args)
    for way in ways:
        for nr in (PORTS[:1] + PORTS[-1:] if args.quick else PORTS) if way.name in BY_PORTS_OF else ():
            progress("networks: %s, %d ports" % (way.name, nr))
            rows += measure_ports(booter, way, nr, args)
    progress("")
    return rows
