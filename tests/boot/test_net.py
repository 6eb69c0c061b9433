# SPDX-License-Identifier: Apache-2.0
"""Two guests of Debian's unmodified kernel on one bridge, with its own virtio_net (M12, M73, M77, M78): one with split
rings and a pair of queues for each of its two vCPUs, one with packed ones. They ping each other and fetch files both ways over TCP, by IPv4 and IPv6, whose checksums
are right; and long segments cross whole."""
import os
import re
import subprocess
import types

import pytest
from conftest import BUILD, Booter, Machine, emulator_slot
from linux_machine import FILES, vm

pytestmark = pytest.mark.xdist_group("net")
MIB = 1 << 20
SIZE = 2 * MIB
NETS = {"left": "vcpus = 2\nnet1 = bridge=lan\nfilter = drop, in, tcp, port=81\nfilter = drop, out, tcp, port=82-90\n", "right": "net1 = model=packed, mac=52:54:00:12:34:56, rate=1GB/s\n"}
NAMES = list(NETS)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What each said, without the marks; and the machine."""
    booter = Booter(tmp_path_factory.mktemp("net"))
    config = "".join(vm(name, "net socle.role=%d" % (n + 1), NETS[name]) for n, name in enumerate(NAMES))
    img = booter.image(config, dict(FILES, **{"boot/initrd": os.path.join(BUILD, "guests/linux/initrd-net")}))
    with emulator_slot():
        done = subprocess.run(booter.argv(img, 1024, 1, 500, "bochs", None, ()), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    os.unlink(img)
    machine = Machine(done.returncode, done.stdout, done.stderr.decode(errors="replace"))
    print(machine.socle[-20000:])
    said = {name: [] for name in NAMES}
    for line in machine.socle.splitlines():
        match = re.match(r"(?:(\w+)\| )?net: (.*)", line)
        if match:
            said[match.group(1) or "left"].append(match.group(2))
    return types.SimpleNamespace(machine=machine, said=said)


def of(told, name, word):
    return [line.partition(word)[2].strip() for line in told.said[name] if line.startswith(word)]


def test_it_ends(told):
    assert told.machine.status == 0, told.machine
    # Whose console is in front when the other has gone has no mark any more.
    assert told.machine.socle.count("net: end\n") == 2, told.machine
    for name in NAMES:
        assert not of(told, name, "trouble") and not of(told, name, "failed"), told.machine


def test_what_was_negotiated(told):
    for name in NAMES:
        bits = of(told, name, "features")[0]
        have = {i for i, bit in enumerate(bits) if bit == "1"}
        # Checksums and TSO both ways, MAC, mergeable buffers, status, control queue with filters, and the rings'.
        # And several pairs of queues, or packed rings.
        more = {"left": {22}, "right": {34}}[name]
        assert have == {0, 1, 5, 7, 8, 11, 12, 15, 16, 17, 18, 28, 29, 32} | more, bits
    assert of(told, "left", "queues") == ["rx-0 rx-1 tx-0 tx-1"] and of(told, "right", "queues") == ["rx-0 tx-0"]
    assert of(told, "right", "address") == ["52:54:00:12:34:56"]
    assert re.fullmatch("[0-9a-f][26ae](:[0-9a-f]{2}){5}", of(told, "left", "address")[0])


@pytest.mark.parametrize("name", NAMES)
def test_ping(told, name):
    pings = of(told, name, "ping")
    assert len(pings) == 5
    assert all("3 packets received, 0% packet loss" in ping for ping in pings), pings


@pytest.mark.parametrize("name", NAMES)
def test_files(told, name):
    other = NAMES[1 - NAMES.index(name)]
    has = of(told, other, "has")[0].split()[0]
    got = [line.split() for line in of(told, name, "got")]
    assert [md5 for host, md5, dash in got] == [has, has], (has, got)
    assert [":" in host for host, md5, dash in got] == [False, True]


def test_filter(told):
    """Left lets nobody in at one port (M93); what it sends there itself is not meant."""
    assert of(told, "right", "port 81") == ["is silent"]
    assert of(told, "left", "port 81") == ["answers"]


@pytest.mark.parametrize("name", NAMES)
def test_long_segments(told, name):
    """Two files came, in fewer packets, acknowledgements among them, than Ethernet would need: segments crossed uncut."""
    packets, size = int(of(told, name, "rx_packets")[0]), int(of(told, name, "rx_bytes")[0])
    assert size > 2 * SIZE
    assert packets < size / 1700, (packets, size)
    for word in ("rx_errors", "tx_errors"):
        assert of(told, name, word) == ["0"]


@pytest.mark.parametrize("name", NAMES)
def test_interrupts(told, name):
    """Messages; fewer than packets, which is what suppression is for."""
    lines = [line.split() for line in of(told, name, "interrupts")]
    counts = {line[-1]: sum(int(n) for n in line[1:] if n.isdigit()) for line in lines}
    assert all("MSI" in " ".join(line) for line in lines), lines
    packets = int(of(told, name, "rx_packets")[0]) + int(of(told, name, "tx_packets")[0])
    for way, least in (("input", 10), ("output", -1)):
        names = [n for n in counts if n.startswith("virtio0-%s." % way)]
        assert len(names) == (2 if name == "left" else 1), counts
        assert least < sum(counts[n] for n in names) < packets, (counts, packets)
