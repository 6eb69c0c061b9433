# SPDX-License-Identifier: Apache-2.0
"""What bench-io makes of what guests say: figures, bars, report (M26). No emulator. Repetitions and time: test_bench_real.py."""
import csv
import dataclasses
import html.parser
import importlib.machinery
import importlib.util
import json
import os
import sys
import types

from conftest import TOP

sys.path.insert(0, os.path.join(TOP, "scripts"))
import io_report                                                                                  # noqa: E402
from io_nets import BULK, BY_PORTS, NET_BARS, NET_WAYS, PORTS_WAYS, bare_words, linux_points, net_rows  # noqa: E402
from io_runs import Setting                                                                        # noqa: E402
import io_peer                                                                                    # noqa: E402
from io_outside import WAYS as OUTSIDE_WAYS, outside_rows                                          # noqa: E402
from io_scenes import BARS, MODELS, WAYS, bare_rows, count, linux_meters, linux_row, points       # noqa: E402

COUNTED = Setting("Bochs, an emulator")
METERS = "exits %d guest 900 hypervisor %d billed %d interrupts 3 hlt 0 vmcall 0 ports %d violations 0 msrs 0 timer 2 " \
         "doorbells 0 notified %d copied %d"
EMPTY = "IO count 0 ticks 10 " + METERS % (33, 70, 0, 33, 5, 100)
FULL = "noise\nIO count 100 ticks 1800010 " + METERS % (233, 300070, 1000, 133, 105, 409700)
WAY = {way.name: way for way in WAYS}


def program():
    """scripts/bench-io, as a module."""
    loader = importlib.machinery.SourceFileLoader("bench_io", os.path.join(TOP, "scripts/bench-io"))
    bench_io = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_io", loader))
    loader.exec_module(bench_io)
    return bench_io


def rows():
    found = []
    for name, exits in (("virtio, split", 233), ("IDE, PIO", 50033)):
        full = linux_meters(FULL.replace("exits 233", "exits %d" % exits))
        found += [linux_row(WAY[name], p, full, linux_meters(EMPTY)) for p in points(WAY[name], True)]
    return found


def test_linux_figures():
    row = linux_row(WAY["virtio, split"], ("read", 4096, 1), linux_meters(FULL), linux_meters(EMPTY))
    assert (row.count, row.total, row.hypervisor, row.guest, row.exits) == (100, 18000, 3010, 14990, 2)
    assert row.reasons["ports"] == 1 and "hlt" not in row.reasons
    assert row.cycles(2000) == 18000 + 2 * 2000
    assert (row.interrupts, row.copied) == (1, 4096)
    assert linux_meters("io: read failed: 5") is None


def test_bare_figures():
    text = "a| DISK mode=virtio op=read size=512 depth=4 ops=1000 ticks=3616000 doorbells=2900000 hypervisor=3168000 " \
           "interrupts=900 copied=512000 exits=2001 io=1000 hlt=1001\n"
    row, = bare_rows(WAY["virtio, split, bare guest"], text)
    assert row.key() == ("virtio, split, bare guest", "read", 512, 4)
    assert (row.total, row.guest, row.hypervisor, row.exits) == (3616, 448, 3168, 2.001)
    assert row.reasons == {"io": 1, "hlt": 1.001}
    assert (row.interrupts, row.copied) == (0.9, 512)


def test_bars_are_judged():
    verdicts = {bar.what: ok for bar, _got, ok in io_report.judge(rows(), COUNTED)}
    assert verdicts["4 KiB read, virtio, Linux: whole machine"] is True
    assert verdicts["4 KiB read, depth 1, virtio: hypervisor"] is False      # 3,010
    assert verdicts["4 KiB read, exits of virtio to those of PIO"] is True   # 2 to 500
    assert verdicts["4 KiB read, IDE with DMA, Linux: whole machine"] is None
    assert {bar.point[0] for bar in BARS} <= set(WAY)


def test_every_point_has_enough_requests():
    for way in WAYS:
        for quick in (False, True):
            assert all(count(way, size, quick) >= 16 for _op, size, _depth in points(way, quick))
    some = WAY["virtio, split"]
    assert len(points(some, False)) == len(set(points(some, False))) == 24 and set(points(some, True)) <= set(points(some, False))
    assert {p[1:] for p in points(WAY["ATA PIO, word by word, bare guest"], False)} == {(512, 1), (4096, 1)}


def test_bare_guests_with_disks():
    """All of them are in one configuration: each has a name and a disk of its own, and they fit into the machine's 1 GiB."""
    bench_io = program()
    ways = [way for way in WAYS if way.guest == "bare"]
    for quick in (False, True):
        vms = list(bench_io.bare_vms(ways, types.SimpleNamespace(quick=quick)))
        assert len({name for _way, name, _section, _disks in vms}) == len({path for vm in vms for path in vm[3]}) == len(vms)
        assert sum(24 + bench_io.DISK_MIB for vm in vms) < 900 and all("memory = 24\n" in vm[2] for vm in vms)
        assert {vm[0] for vm in vms} == set(ways)


SIDE = "FRAMES %s %s size %d count 100 ticks 900000 exits %d guest 20000 hypervisor %d billed 1000 interrupts 5 hlt 2 " \
       "ports %d timer 0 notified 300 copied %d\n"
NETS = "a| " + SIDE % ("first", "bulk", 1500, 7, 99000, 2, 156400) + SIDE % ("second", "bulk", 1500, 9, 5000, 3, 0) + \
       SIDE % ("first", "rr", 64, 300, 150000, 100, 6400) + SIDE % ("second", "rr", 64, 310, 160000, 100, 6400)


def test_network_figures():
    way = next(w for w in NET_WAYS if w.name == BULK[0])
    sent, received, both = net_rows(way, NETS)
    assert sent.key() == BULK and received.key() == (way.name, "receive", 1500, 64)
    assert (sent.count, sent.guest, sent.hypervisor, sent.total, sent.exits) == (100, 200, 1000, 1200, 0.07)
    assert (sent.interrupts, sent.copied, sent.reasons) == (3, 1564, {"interrupts": 0.05, "hlt": 0.02, "ports": 0.02})
    assert received.hypervisor == 60
    assert both.key() == (way.name, "round trip", 64, 1)                # of both guests together
    assert (both.exits, both.hypervisor, both.copied) == (6.1, 3120, 128)
    verdicts = {bar.what: ok for bar, _got, ok in io_report.judge([sent, received, both], COUNTED)}
    assert [verdicts[bar.what] for bar in NET_BARS] == [True, False, None, None, True, None, None]   # 1000 - 1564 / 8 is above 800
    polled = dataclasses.replace(sent, way="Socle ring, polled, bare guest")
    assert [(got, ok) for bar, got, ok in io_report.judge([polled], COUNTED) if "Socle ring polled: exits to tell" in bar.what] == [(0.02, False)]
    assert {bar.point[0] for bar in NET_BARS} <= {w.name for w in NET_WAYS} | set(PORTS_WAYS)
    few, many = (dataclasses.replace(sent, way="%d ports" % n, op=BY_PORTS, size=64, hypervisor=h) for n, h in ((2, 100), (64, 109)))
    by = [(got, ok) for bar, got, ok in io_report.judge([few, many], COUNTED) if "64 ports" in bar.what]
    assert by == [(1.09, True), (None, None)]   # the second is of Socle rings


def test_network_points():
    assert set(linux_points(True)) < {(op, size, n // 5) for op, size, n in linux_points(False)}
    split, socle = (next(w for w in NET_WAYS if w.name == name) for name in (BULK[0], "Socle ring, bare guest"))
    assert "size=64,1500 " in bare_words(split, True) and "65000" in bare_words(split, False)
    assert "1500 " in bare_words(socle, False)   # its frames are not longer


class Checker(html.parser.HTMLParser):
    """Tags are closed in their order, those that must be."""
    FREE = {"meta", "rect", "path", "tr", "th", "td", "li", "html"}

    def __init__(self):
        super().__init__()
        self.open, self.count = [], 0

    def handle_starttag(self, tag, attrs):
        self.count += 1
        if tag not in self.FREE:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.FREE:
            assert self.open.pop() == tag


def test_report(tmp_path):
    nets = net_rows(NET_WAYS[0], NETS)
    page = io_report.write(str(tmp_path), rows() + nets, {name: cost for name, (cost, _source) in MODELS.items()}, COUNTED)
    with open(page, encoding="utf-8") as f:
        text = f.read()
    checker = Checker()
    checker.feed(text)
    assert not checker.open and checker.count > 100
    assert "SplitX" in text and "missed" in text and "http" not in text and "<script" not in text
    assert len(json.loads((tmp_path / "results.json").read_text())["rows"]) == 8 + 3
    with open(tmp_path / "results.csv", newline="", encoding="utf-8") as f:
        table = list(csv.DictReader(f))
    assert table[0]["way"] == "virtio, split" and float(table[0]["instructions"]) == 18000
    assert float(table[0]["interrupts"]) == 1 and float(table[0]["bytes copied"]) == 4096
    assert "copied per KiB" in text
    assert [row["op"] for row in table[8:]] == ["send", "receive", "round trip"] and "round trip" in text
    assert float(table[0]["cycles, bare metal"]) == 18000 + 2 * MODELS["bare metal"][0]


def test_outside_figures():
    """The guest's side alone: the other one has no meters."""
    bare = next(w for w in OUTSIDE_WAYS if w.name == BULK[0])
    linux = next(w for w in OUTSIDE_WAYS if w.guest == "linux")
    text = NETS + "a| " + SIDE % ("first", "get", 65536, 7, 99000, 2, 156400)
    sent, both, got = outside_rows(linux, text)
    assert (sent.key(), sent.hypervisor, sent.exits) == ((linux.name, "send to the outside", 1500, 64), 1000, 0.07)
    assert both.key() == (linux.name, "round trip to the outside", 64, 1)
    assert got.key() == (linux.name, "receive by TCP from the outside", 65536, 1)
    assert [r.op for r in outside_rows(bare, text)][2] == "receive from the outside"


class Wire:
    """What a peer has said, as (kind, value, length)."""
    def __init__(self):
        self.said = []

    def send(self, frame):
        kind, value, _more = io_peer.BODY.unpack_from(frame, io_peer.BODY_AT)
        self.said.append((kind, value, len(frame)))

    def take(self):
        said, self.said = self.said, []
        return said


def test_the_peer_of_the_bare_guest():
    wire, guest = Wire(), b"\x02guest"
    peer = io_peer.Talker(wire.send)
    def say(kind, value=0, more=b"", to=io_peer.OWN):
        head = to + guest + b"\x08\x00" + bytes(io_peer.BODY_AT - 14)
        peer.take((head + io_peer.BODY.pack(kind, value, 0) + more).ljust(64, b"\0"))
    say(io_peer.HELLO, to=b"\xff" * 6)
    assert wire.take() == [(io_peer.WELCOME, 0, 64)] and peer.other == guest
    say(io_peer.DATA, to=guest)
    say(io_peer.ORDER, more=io_peer.WORDS.pack(io_peer.TX, 1500, 5, 2))
    for i in range(5):
        say(io_peer.DATA, i)
    assert wire.take() == [(io_peer.COUNT, n, 64) for n in (2, 4, 5)]
    say(io_peer.ORDER, more=io_peer.WORDS.pack(io_peer.RX, 1500, 7, 2))
    assert wire.take() == [(io_peer.DATA, n, 1500) for n in range(4)]   # two bursts, and no more before it has them
    say(io_peer.COUNT, 4)
    assert wire.take() == [(io_peer.DATA, n, 1500) for n in range(4, 7)]
    say(io_peer.ORDER, more=io_peer.WORDS.pack(io_peer.RR, 700, 1, 1))
    say(io_peer.PING, 9)
    say(io_peer.ASK)
    assert wire.take() == [(io_peer.PONG, 9, 700), (io_peer.TELL, 0, 320)]


def test_the_peer_of_linux():
    peer, body = io_peer.Server(), io_peer.L_BODY
    def ask(kind, op=0, value=0, size=0, count=0):
        said = peer.answer(body.pack(kind, op, value, size, count).ljust(58, b"\0"))
        return (*body.unpack_from(said)[:3:2], len(said)) if said else None
    assert ask(io_peer.L_HELLO) == (io_peer.L_WELCOME, 0, 16)
    assert ask(io_peer.L_ORDER, io_peer.L_BULK, 0, 1500, 65) == (io_peer.L_READY, 0, 16)
    assert [n for n in range(65) if ask(io_peer.L_DATA, 0, n)] == [63, 64]
    ask(io_peer.L_ORDER, io_peer.L_RR, 0, 1500, 1)
    assert ask(io_peer.L_DATA, 0, 3) == (io_peer.L_DATA, 3, 1458)
    assert ask(io_peer.L_ASK)[0] == io_peer.L_TELL and peer.answer(b"short") == b""
