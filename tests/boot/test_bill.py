# SPDX-License-Identifier: Apache-2.0
"""M40, M41: scripts/bill: meters and prices make an invoice, the same whenever it is made, and a changed log is noticed."""
import json
import os
import subprocess

import pytest
from conftest import TOP

BILL = os.path.join(TOP, "scripts/bill")
PRICES = "[prices]\ncurrency = EUR\ncpu_hour = 0.04\nmemory_gib_hour = 0.005\n[prices web]\ncpu_hour = 0.5\n"


def vm(name, number, seconds, mib, **more):
    return {"name": name, "id": number, "memory_mib": 512, "populated_mib": mib, "vcpus": 1, "state": "r-----",
            "time_s": seconds, **more}


NO_IO = {"disk_million_ops": "0.000000", "disk_gib": "0.000000", "network_gib": "0.000000"}


@pytest.fixture
def bill(tmp_path):
    """Runs it in tmp_path with the key; returns status and output."""
    (tmp_path / "key").write_bytes(b"secret")
    (tmp_path / "other").write_bytes(b"guess")
    (tmp_path / "prices").write_text(PRICES)

    def call(*args, said="", key="key"):
        done = subprocess.run([BILL, *args, "-k", key], cwd=tmp_path, input=said.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        return done.returncode, done.stdout.decode()
    return call


def reading(bill, at, *vms):
    said = "socle> list -j\r\n[]\r\n" + json.dumps(list(vms)) + "\r\n{\"nr_cpus\":1}\r\nsocle> "
    assert bill("append", "log", "--at", at, said=said) == (0, "")


@pytest.fixture
def log(bill, tmp_path):
    """Four readings: batch computes for two hours; web is destroyed and comes again."""
    reading(bill, "2020-01-01T00:00:00Z", vm("batch", 1, 0, 1024), vm("web", 2, 10, 0))
    reading(bill, "2020-01-01T01:00:00Z", vm("batch", 1, 3600, 2048), vm("web", 2, 1810, 0))
    reading(bill, "2020-01-01T02:00:00Z", vm("batch", 1, 7200, 2048), vm("web", 3, 90, 0))
    reading(bill, "2020-01-01T02:30:00Z", vm("web", 3, 1890, 0))
    return tmp_path / "log"


def test_an_invoice_and_the_same_again(bill, log):
    assert bill("check", "log")[1].startswith("log: 4 readings, the last signature is ")
    status, said = bill("invoice", "log", "prices", "-j")
    told = json.loads(said)
    # batch: 2 h of CPU, 1 GiB for an hour and 2 GiB for one; web: 1810 s, then 1890.
    assert status == 0 and told["vms"] == [
        {"name": "batch", "cpu_hours": "2.000000", "memory_gib_hours": "3.000000", "amount": "0.10", **NO_IO},
        {"name": "web", "cpu_hours": "1.027778", "memory_gib_hours": "0.000000", "amount": "0.51", **NO_IO}]
    assert (told["total"], told["currency"]) == ("0.61", "EUR")
    assert bill("invoice", "log", "prices", "-j") == (0, said)
    (log.parent / "copy").write_bytes(log.read_bytes())
    assert bill("invoice", "copy", "prices", "-j") == (0, said)
    text = bill("invoice", "log", "prices")[1].splitlines()
    assert text[0] == "From 2020-01-01T00:00:00+00:00 to 2020-01-01T02:30:00+00:00, 4 readings"
    assert text[2].split() == ["batch", "2.000000", "3.000000", *NO_IO.values(), "0.10"] and text[-1].split() == ["total", "0.61"]


def swap(lines):
    lines[1], lines[2] = lines[2], lines[1]


def cheaper(lines):
    lines[2] = lines[2].replace('"cpu_ms":7200000', '"cpu_ms":7100000')
    assert "7100000" in lines[2]


@pytest.mark.parametrize("what, line", [(swap, 2), (cheaper, 3), (lambda lines: lines.pop(0), 1),
                                        (lambda lines: lines.pop(1), 2), (lambda lines: lines.insert(2, lines[1]), 3),
                                        (lambda lines: lines.append("{}\n"), 5), (lambda lines: lines.insert(0, "\n"), 1)])
def test_what_was_changed_is_noticed(bill, log, what, line):
    lines = log.read_text().splitlines(True)
    what(lines)
    log.write_text("".join(lines))
    for verb in (("check", "log"), ("invoice", "log", "prices"), ("append", "log")):
        status, said = bill(*verb, said="[]")
        assert status == 1 and said.startswith("bill: log:%d: not what was written" % line), verb
    assert log.read_text() == "".join(lines)


def test_a_line_cannot_be_written_without_the_key(bill, log):
    assert bill("append", "log", said="[]", key="other")[0] == 1
    whole = log.read_text()
    log.write_text(whole[:whole.rindex("\n", 0, -1) + 1])
    assert bill("check", "log")[1] != bill("check", "log", key="other")[1]
    assert bill("check", "log")[1].startswith("log: 3 readings")   # the last one is missing: the number tells


def moved(reads, writes, bytes_each, sent, received):
    return {"disk_reads": reads, "disk_writes": writes, "disk_bytes_read": reads * bytes_each,
            "disk_bytes_written": writes * bytes_each, "net_bytes_sent": sent, "net_bytes_received": received}


def test_disks_and_networks(bill, tmp_path):
    (tmp_path / "prices").write_text("[prices]\ndisk_million_ops = 0.2\ndisk_gib = 0.01\nnetwork_gib = 0.5\n"
                                     "[prices free]\nnetwork_gib = 0\n")
    gib = 1 << 30
    reading(bill, "2020-01-01T00:00:00Z", vm("a", 1, 0, 0, **moved(0, 0, 0, 0, 0)), vm("free", 2, 0, 0))
    reading(bill, "2020-01-01T01:00:00Z", vm("a", 1, 0, 0, **moved(1000000, 1500000, 4096, gib, 2 * gib)),
            vm("free", 2, 0, 0, **moved(0, 0, 0, gib, gib)))
    # A new life under a new number, and one under the same: both count from 0.
    reading(bill, "2020-01-01T02:00:00Z", vm("a", 3, 0, 0, **moved(500000, 0, 4096, 0, gib)),
            vm("free", 2, 0, 0, **moved(0, 0, 0, gib // 2, 0)))
    told = json.loads(bill("invoice", "log", "prices", "-j")[1])["vms"]
    assert told[0] == {"name": "a", "cpu_hours": "0.000000", "memory_gib_hours": "0.000000", "disk_million_ops": "3.000000",
                       "disk_gib": "%.6f" % (3000000 * 4096 / gib), "network_gib": "4.000000", "amount": "2.71"}
    assert (told[1]["network_gib"], told[1]["amount"]) == ("2.500000", "0.00")
    text = bill("invoice", "log", "prices")[1].splitlines()
    assert text[1].split()[-6:] == ["Mops", "disk", "GiB", "network", "GiB", "amount"]


def test_the_help_has_prices_that_can_be_used(bill, tmp_path):
    said = subprocess.run([BILL, "--help"], stdout=subprocess.PIPE, check=True).stdout.decode()
    (tmp_path / "prices").write_text("".join(line[2:] + "\n" for line in said[said.index("  [prices]"):].split("\n\n")[0]
                                             .splitlines()))
    reading(bill, "2020-01-01T00:00:00Z", vm("web", 1, 3600, 0, **moved(1000000, 0, 1024, 1 << 30, 0)))
    told = json.loads(bill("invoice", "log", "prices", "-j")[1])
    assert (told["currency"], told["total"]) == ("EUR", "0.24")   # 0.03 + 0.20 + 0.0095, and the network is free


def test_one_that_started_again_under_its_number(bill):
    reading(bill, "2020-01-01T00:00:00Z", vm("a", 1, 3600, 0))
    reading(bill, "2020-01-01T01:00:00Z", vm("a", 1, 1800, 0))
    assert json.loads(bill("invoice", "log", "prices", "-j")[1])["vms"][0]["cpu_hours"] == "1.500000"


@pytest.mark.parametrize("args, said, told", [
    (("append", "log"), "nothing", "standard input: expected an answer to `list -j`"),
    (("append", "log", "--at", "noon"), "[]", "--at noon: expected a time such as 2030-01-31T12:00:00Z"),
    (("append", "log", "--at", "2019-01-01"), "[]", "log: its last reading is of 2020-01-01T02:30:00+00:00, this one would"),
    (("invoice", "none", "prices"), "", "none: no readings"),
    (("invoice", "log", "nowhere"), "", "[Errno 2] No such file or directory: 'nowhere'"),
    (("invoice", "log", "bad"), "", "bad: [prices] cpu_hour = much: expected a number, 0 or more"),
    (("invoice", "log", "worse"), "", "worse: [prices] disk: expected one of cpu_hour, currency, disk_gib, disk_million_ops, memory_gib_hour, "
     "network_gib"),
    (("invoice", "log", "worst"), "", "worst: [price]: expected [prices] or [prices VM]"),
])
def test_wrong_words(bill, log, args, said, told):
    for name, text in (("bad", "[prices]\ncpu_hour = much\n"), ("worse", "[prices]\ndisk = 1\n"), ("worst", "[price]\n")):
        (log.parent / name).write_text(text)
    status, answer = bill(*args, said=said)
    assert status == 1 and answer.startswith("bill: " + told)


def test_keys(bill):
    assert bill("check", "log", key="nowhere") == (1, "bill: --key nowhere: No such file or directory\n")
    assert bill("check", "log", key="/dev/null") == (1, "bill: --key /dev/null: it is empty\n")
