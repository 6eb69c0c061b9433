# SPDX-License-Identifier: Apache-2.0
"""What bench-io measures: ways to a disk, points on each, the bars, and the price of an exit on hardware."""
import dataclasses
import re

from io_runs import stat

READ, WRITE = "read", "write"
SIZES = (512, 4096, 65536, 1048576)
DEPTHS = (1, 4, 32)
QUICK = [(READ, 4096, 1), (READ, 4096, 32), (READ, 1048576, 1), (WRITE, 4096, 1)]
INSTRUCTIONS = 60_000_000   # about so many for each point, so that what the measuring itself takes vanishes


@dataclasses.dataclass(frozen=True)
class Way:
    """How a guest comes to its disk. guest: linux, or bare. words: behind the path in socle.conf. device: how Linux calls
    such a disk, before its letter.
    mode: of the bare guest. guess: instructions of a request of 4 KiB, to choose how many requests there are."""
    name: str
    guest: str
    words: str
    device: str = ""
    mode: str = ""
    guess: int = 20_000
    polled: bool = False   # by a CPU of its own, which the guest's do not wait for
    most: int = 1 << 20    # bytes of a request
    deepest: int = 32


WAYS = [
    Way("IDE, PIO", "linux", "pio", device="sd", guess=600_000),
    Way("IDE, DMA", "linux", "ide", device="sd", guess=60_000),
    Way("virtio, split", "linux", "split", device="vd"),
    Way("virtio, packed", "linux", "packed", device="vd"),
    Way("ATA PIO, word by word, bare guest", "bare", "pio", mode="pio", guess=1_500_000, most=4096, deepest=1),
    Way("virtio, split, bare guest", "bare", "split", mode="virtio", guess=4_000),
    Way("virtio, packed, bare guest", "bare", "packed", mode="packed", guess=4_000),
    Way("Socle ring, bare guest", "bare", "socle", mode="socle", guess=2_000),
    Way("Socle ring, polled, bare guest", "bare", "socle, polled", mode="polled", guess=2_000, polled=True),
    Way("virtio, split, polled, bare guest", "bare", "split, polled", mode="virtio", guess=4_000, polled=True),
]


@dataclasses.dataclass
class Row:
    """Of one operation: instructions of the whole machine, of them the guest's and the hypervisor's, VM exits, and
    these by reason; interrupts of the device; bytes that the hypervisor copied. count: operations. elapsed: ticks of
    the time stamp counter until all was done, and khz how many of these a millisecond has, 0 where that is not known. runs:
    the repetitions that this is the median of, empty where there was one."""
    way: str
    op: str
    size: int
    depth: int
    count: int
    total: float
    guest: float
    hypervisor: float
    exits: float
    reasons: dict
    interrupts: float = 0
    copied: float = 0
    elapsed: float = 0
    khz: float = 0
    runs: list = dataclasses.field(default_factory=list)

    def key(self):
        return self.way, self.op, self.size, self.depth

    def cycles(self, cost):
        """By the model: an instruction a cycle, and each exit and entry its price."""
        return self.total + self.exits * cost

    def ns(self):
        """From one operation's end to the next one's."""
        return self.elapsed * 1e6 / self.khz

    def mib_s(self):
        """None for there and back."""
        return None if self.op.startswith("round trip") else self.size / self.ns() * 1e9 / (1 << 20)

    def stat(self, figure):
        """Of figure(run) over all repetitions; None where it has none."""
        return stat([figure(run) for run in self.runs or [self]])


# Cycles of an exit and the entry behind it, beyond the instructions that Bochs counts.
MODELS = {
    "bare metal": (2_000, "direct cost of an exit on a Xeon X5570: A. Landau, M. Ben-Yehuda, A. Gordon, SplitX, WIOV 2011, table 1"),
    "nested": (20_000, "an assumption, ten times that: each exit of the inner guest makes the outer hypervisor emulate "
                       "entry and exit; measure your own with --nested"),
}


@dataclasses.dataclass(frozen=True)
class Bar:
    """What is asked of a figure: figure(row, rows), with all rows by key. counted: it needs instructions, not only exits or
    bytes."""
    what: str
    point: tuple
    figure: object
    most: float
    aim: float = None
    counted: bool = False


def total(row, _rows):
    return row.total


def hypervisor(row, _rows):
    return row.hypervisor


def exits(row, _rows):
    return row.exits


def exits_of_guest(row, _rows):
    """Those that the guest's own instructions cause: not of the hypervisor's timer and of interrupts for it."""
    return row.exits - row.reasons.get("preemption-timer", 0) - row.reasons.get("interrupt", 0)


def beside_copying(row, _rows):
    """The hypervisor's, less what copying the data takes at 8 bytes an instruction, whatever the way."""
    return row.hypervisor - row.copied / 8


def to_exits_of(way):
    """How often the exits of another way stand for one of this, upside down: at most 1 / 50."""
    def figure(row, rows):
        other = rows.get((way,) + row.key()[1:])
        return row.exits / other.exits if other and other.exits else None
    return figure


BARS = [
    Bar("4 KiB read, virtio, Linux: whole machine", ("virtio, split", READ, 4096, 1), total, 20_000, 12_000, True),
    Bar("4 KiB read, IDE with DMA, Linux: whole machine", ("IDE, DMA", READ, 4096, 1), total, 80_000, 40_000, True),
    Bar("1 MiB read, virtio, Linux: whole machine", ("virtio, split", READ, 1048576, 1), total, 300_000, counted=True),
    Bar("4 KiB read, depth 1, virtio: exits", ("virtio, split", READ, 4096, 1), exits, 2),
    Bar("4 KiB read, depth 1, virtio: hypervisor", ("virtio, split", READ, 4096, 1), hypervisor, 3_000, counted=True),
    Bar("4 KiB read, depth 32, virtio: exits", ("virtio, split", READ, 4096, 32), exits, 0.2),
    Bar("4 KiB read, depth 1, Socle ring: hypervisor less copying", ("Socle ring, bare guest", READ, 4096, 1),
        beside_copying, 1_000, counted=True),
    Bar("4 KiB read, depth 32, Socle ring: hypervisor less copying", ("Socle ring, bare guest", READ, 4096, 32),
        beside_copying, 300, counted=True),
    Bar("4 KiB read, depth 1, Socle ring polled: exits of the guest", ("Socle ring, polled, bare guest", READ, 4096, 1),
        exits_of_guest, 0.001),
    Bar("4 KiB read, depth 32, Socle ring polled: exits of the guest", ("Socle ring, polled, bare guest", READ, 4096, 32),
        exits_of_guest, 0.001),
    Bar("4 KiB read, exits of virtio to those of PIO", ("virtio, split", READ, 4096, 1), to_exits_of("IDE, PIO"), 1 / 50),
    Bar("4 KiB read, bare guest: exits of virtio to those of PIO by words", ("virtio, split, bare guest", READ, 4096, 1),
        to_exits_of("ATA PIO, word by word, bare guest"), 1 / 50),
]
# QEMU 7.2 with KVM in the same emulator, whole machine (docs/benchmarks.md).
PEERS = {("virtio, split", READ, 4096, 1): 85_074, ("IDE, DMA", READ, 4096, 1): 358_745,
         ("virtio, split", WRITE, 4096, 1): 83_527, ("IDE, DMA", WRITE, 4096, 1): 341_864,
         ("virtio, split", READ, 65536, 1): 132_280, ("IDE, DMA", READ, 65536, 1): 393_551,
         ("virtio, split", WRITE, 65536, 1): 133_551, ("IDE, DMA", WRITE, 65536, 1): 400_408,
         ("virtio, split", READ, 1048576, 1): 927_785, ("IDE, DMA", READ, 1048576, 1): 1_550_213,
         ("virtio, split", WRITE, 1048576, 1): 865_156, ("IDE, DMA", WRITE, 1048576, 1): 1_613_649}


def points(way, quick):
    all_points = QUICK if quick else [(op, size, depth) for op in (READ, WRITE) for size in SIZES for depth in DEPTHS]
    return [p for p in all_points if p[1] <= way.most and p[2] <= way.deepest]


def count(way, size, quick):
    """How many requests of that size."""
    each = way.guess * (1 + size / 16384)
    return max(16, int(INSTRUCTIONS / (4 if quick else 1) / each))


# ---- what the guests say ----
LINUX = re.compile(r"IO count (\d+) ticks (\d+) (exits .*)")
REASONS = ("interrupts", "hlt", "vmcall", "ports", "violations", "msrs", "timer")


def linux_meters(text):
    """{name: number} of the last line of io."""
    found = LINUX.findall(text)
    if not found:
        return None
    n, ticks, rest = found[-1]
    words = rest.split()
    return dict(zip(words[::2], map(int, words[1::2])), count=int(n), ticks=int(ticks))


def linux_row(way, point, meters, empty):
    """empty: what measuring nothing gave, which every measurement holds."""
    n = meters["count"]
    def each(name):
        return max(0, meters[name] - empty.get(name, 0)) / n
    hypervisor_each = each("hypervisor") + each("billed")
    return Row(way.name, *point, n, each("ticks"), each("ticks") - hypervisor_each, hypervisor_each, each("exits"),
               {r: round(each(r), 4) for r in REASONS if meters[r] > empty.get(r, 0)}, each("notified"), each("copied"),
               each("ticks"))


BARE = re.compile(r"DISK mode=(\S+) op=(\S+) size=(\d+) depth=(\d+) ops=(\d+) ticks=(\d+) doorbells=\d+ hypervisor=(\d+) "
                  r"interrupts=(\d+) copied=(\d+) exits=(\d+)(.*)")


def bare_rows(way, text):
    rows = []
    for _mode, op, size, depth, n, ticks, hyp, irqs, copied, all_exits, rest in BARE.findall(text):
        n, ticks, hyp = int(n), int(ticks), int(hyp)
        reasons = {k: round(int(v) / n, 4) for k, v in (w.split("=") for w in rest.split())}
        total = ticks + hyp if way.polled else ticks   # who polls works beside the guest, while that waits
        rows.append(Row(way.name, op, int(size), int(depth), n, total / n, (total - hyp) / n, hyp / n,
                        int(all_exits) / n, reasons, int(irqs) / n, int(copied) / n, ticks / n))
    return rows
