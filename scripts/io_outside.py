# SPDX-License-Identifier: Apache-2.0
"""What bench-io measures of frames that leave the machine: the bridge has its 82540EM, and that a tap interface in a network
namespace of its own, where io_peer.py answers."""
import os
import re
import shutil
import subprocess
import sys

from io_nets import BURST, FRAMES, NET_WAYS, REASONS, each_of, row_of
from io_runs import Failed, clocked

PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "io_peer.py")
OPS = {"bulk": "send to the outside", "get": "receive from the outside", "rr": "round trip to the outside"}
STREAMS = {"tcp": "send by TCP to the outside", "get": "receive by TCP from the outside"}
WAYS = [w for w in NET_WAYS if w.name in ("virtio, split", "virtio, split, bare guest", "Socle ring, bare guest")]

OUTSIDE_BURST = 16   # two of them have room in the 63 descriptors that Socle's driver gives the card to send


def can_tap():
    trial = "ip link set lo up && ip tuntap add tap0 mode tap"
    return bool(shutil.which("unshare") and shutil.which("ip")) and not subprocess.run(
        ["unshare", "-n", "sh", "-c", trial], stderr=subprocess.DEVNULL, check=False).returncode


def outside_rows(way, text):
    """Of the guest's side alone: the other one is not Socle's."""
    rows = []
    for side, op, size, n, rest in FRAMES.findall(text):
        if side != "first":
            continue
        m, ops = each_of(rest.split(), int(n)), OPS if way.guest == "bare" else dict(OPS, **STREAMS)
        burst = 1 if op in ("rr", "tcp") or ops[op] == STREAMS["get"] else OUTSIDE_BURST if way.guest == "bare" else BURST
        rows.append(row_of(way, ops[op], int(size), burst, int(n), m, {r: m[r] for r in REASONS if r in m}))
    return rows


def words_of(way, quick):
    n = 600 if quick else 2000
    if way.guest == "bare":
        return "mode=%s role=first op=bulk,get,rr size=%s n=%d burst=%d" % (
            way.mode, "1500" if quick else "64,1500", n, OUTSIDE_BURST)
    return "frames socle.role=1 socle.points=" + ",".join(
        "%s:%d:%d" % p for p in (("bulk", 1500, n), ("tcp", 65536, n // 12), ("get", 65536, n // 12)))


def config_of(ways, quick):
    """The Linux guest runs by itself, those behind it are made when they are wanted."""
    from linux_machine import vm
    config = "[socle]\non_idle = wait\nuplink = out\n"
    for i, way in enumerate(ways):
        more = "testdev = yes\nnet1 = bridge=out, model=%s\nautostart = %s\n" % (way.model, "no" if i else "yes")
        config += vm("way%d" % i, words_of(way, quick), more) if way.guest == "linux" else \
            "[vm way%d]\nmemory = 64\nkernel = net.elf\ncmdline = %s\n%s" % (i, words_of(way, quick), more)
    return config


def measure_outside(booter, ways, args, progress):
    from conftest import Console, emulator_slot
    from linux_machine import FILES
    ways = [w for w in WAYS if w in ways]
    if not ways:
        return []
    if not can_tap():
        print("bench-io: not run: the outside (a tap interface needs root and /dev/net/tun)", file=sys.stderr)
        return []
    img = booter.image(config_of(ways, args.quick), dict(FILES, **{
        "boot/initrd": args.build + "/guests/linux/initrd-net", "net.elf": args.build + "/guests/bench-net.elf"}))
    argv = ["unshare", "-n", sys.executable, PEER, *booter.argv(img, 1024, 1, args.t, args.emulator, None, ()), "--tap", "tap0"]
    rows = []
    with emulator_slot():
        console = Console(argv, args.t)
        try:
            for i, way in enumerate(ways):
                progress("outside: " + way.name)
                if i:
                    console.send("create way%d\r" % i)
                text = console.expect(r"no VM is running", timeout=args.t)
                if i == 0:
                    console.expect("socle> ", timeout=60)
                found = outside_rows(way, text)
                if re.search(r"\bFAIL\b|frames: .*failed|no uplink", text) or len(found) < 3:
                    raise Failed("outside, %s:\n%s" % (way.name, text[-3000:]))
                rows += found
        finally:
            console.close()
            progress("")
            os.unlink(img)
    return clocked(rows, console.text())
