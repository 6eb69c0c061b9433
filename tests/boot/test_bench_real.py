# SPDX-License-Identifier: Apache-2.0
"""bench-io --real: repetitions, confidence intervals, time (M27), and that it never pretends. What KVM would measure is measured in
Bochs here, by the same code, and is said to be."""
import csv
import dataclasses
import glob
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import test_bench_io as counted
from conftest import BUILD, TOP

sys.path.insert(0, os.path.join(TOP, "scripts"))
import io_report                                                                                  # noqa: E402
import run_kvm                                                                                    # noqa: E402
from io_nets import NET_WAYS, net_rows                                                            # noqa: E402
from io_outside import can_tap                                                                    # noqa: E402
from io_runs import NOT_HERE, Failed, Setting, clocked, merged, stat, t_quantile, t_within        # noqa: E402
from io_scenes import BARS, MODELS                                                                # noqa: E402

BENCH = os.path.join(TOP, "scripts/bench-io")
COSTS = {name: cost for name, (cost, _source) in MODELS.items()}
SAID = "[socle    2.8] TSC %d.500 MHz, measured against the 8254\n"
REAL = Setting("Processor 9 <fast>, nested in KVM of Linux 6", 3, True)
EMULATED = "emulated time, from an emulator: not a measurement of hardware"


def test_students_t():
    """Against the usual table, which has three places; and where it is known exactly."""
    known = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 9: 2.262, 10: 2.228, 20: 2.086, 30: 2.042,
             60: 2.000, 120: 1.980}
    for freedom, t in known.items():
        assert round(t_quantile(freedom), 3) == pytest.approx(t, abs=1e-9), freedom
    assert round(t_quantile(6, 0.99), 3) == 3.707 and round(t_quantile(1, 0.99), 2) == 63.66
    assert t_within(1, 1) == pytest.approx(0.5) and t_within(0, 5) == 0


def test_intervals():
    three = stat([10, 12, 17])
    assert (three.count, three.median, three.mean) == (3, 12, 13)
    assert three.half == pytest.approx(4.3027 * 13 ** 0.5 / 3 ** 0.5, rel=1e-4)   # the variance is (9 + 1 + 16) / 2
    assert stat([5, 5]).half == 0
    assert stat([7]).half is None and stat([7]).median == 7      # one tells nothing
    assert stat([]) is None and stat([None, None]) is None


def repetitions(mhz=(999, 1000, 1001), slower=(1, 1.2, 1.1)):
    """Three of them, by clocks that are not quite the same. The middle one of the times is not that by the middle clock."""
    every = counted.rows() + net_rows(NET_WAYS[0], counted.NETS)
    return [[dataclasses.replace(r, elapsed=r.elapsed * factor) for r in clocked(every, SAID % n)] for n, factor in zip(mhz, slower)]


def test_the_clock_of_a_boot():
    row = repetitions()[0][0]
    assert (row.khz, row.elapsed) == (999500, 18000)
    assert row.ns() == pytest.approx(18000 / 0.9995) and row.mib_s() == pytest.approx(4096 / (18000 / 0.9995) * 1e9 / 2 ** 20)
    with pytest.raises(Failed, match="how fast"):
        clocked([row], "no word of it")
    sent, received, both = repetitions()[0][-3:]
    assert sent.elapsed == received.elapsed == both.elapsed == 9000   # the same time for both sides, and not twice
    assert both.mib_s() is None and sent.mib_s() > 0


def test_repetitions_become_one():
    runs = repetitions()
    runs[2] = [r for r in runs[2] if r.op != "round trip"]   # one was not measured each time
    one = merged(runs)
    assert [r.key() for r in one] == [r.key() for r in runs[0]]
    assert one[0].khz == 1000500 and [r.khz for r in one[0].runs] == [999500, 1000500, 1001500]
    ns = [r.ns() for r in one[0].runs]
    assert ns[0] < ns[2] < ns[1] and one[0].stat(type(one[0]).ns).median == ns[2] and one[0].reasons == runs[0][0].reasons
    assert one[0].ns() != pytest.approx(ns[2], rel=1e-4)     # medians of both, of no run
    assert len(one[-1].runs) == 2
    alone = merged(runs[:1])
    assert alone == runs[0] and not alone[0].runs


def report(tmp_path, setting, every):
    page = io_report.write(str(tmp_path), merged(every), COSTS, setting)
    with open(page, encoding="utf-8") as f:
        text = f.read()
    checker = counted.Checker()
    checker.feed(text)
    assert not checker.open
    with open(tmp_path / "results.csv", newline="", encoding="utf-8") as f:
        return text, json.loads((tmp_path / "results.json").read_text()), list(csv.DictReader(f))


def test_report_of_time(tmp_path):
    text, found, table = report(tmp_path, REAL, repetitions())
    assert "Real time" in text and "Processor 9 &lt;fast&gt;" in text and "emulat" not in text
    assert text.count('class="interval"') == len(found["rows"]) and "± " in text
    assert "cycles by the model" not in text and "guest\'s instructions" not in text
    assert text.count(NOT_HERE) >= len(found["rows"]) + sum(bar.counted for bar in BARS)
    assert (found["clock"], found["machine"], found["repetitions"]) == ("real time", REAL.machine, 3)
    row = found["rows"][0]
    assert row["total"] is row["guest"] is row["hypervisor"] is None and row["exits"] == 2
    assert [run["total"] for run in row["runs"]] == [None] * 3
    assert row["ns_of_runs"]["half"] > 0 and row["ns_of_runs"]["count"] == 3
    for row in found["rows"]:
        for name in ("ns", "mib_s"):
            values = [run[name] for run in row["runs"]]
            assert row[name] == (None if None in values else sorted(values)[1])
            assert (row[name + "_of_runs"] or {"median": None})["median"] == row[name]
    assert table[0]["instructions"] == table[0]["cycles, nested"] == NOT_HERE and table[0]["repetitions"] == "3"
    low, high = (float(table[0]["ns, mean"]) + sign * float(table[0]["ns, +- 95 %"]) for sign in (-1, 1))
    assert low < float(table[0]["ns"]) < high and float(table[0]["MiB/s, +- 95 %"]) > 0
    assert all(line["MiB/s"] == "" for line in table if line["op"] == "round trip")


def test_bars_of_time():
    """Exits are counted anywhere; what needs instructions is not judged by ticks."""
    verdicts = {bar.what: (got, ok, io_report.verdict(bar, got, ok, REAL)) for bar, got, ok in io_report.judge(merged(repetitions()), REAL)}
    assert verdicts["4 KiB read, virtio, Linux: whole machine"] == (None, None, NOT_HERE)
    assert verdicts["4 KiB read, depth 1, virtio: exits"] == (2, True, "2 ok")
    assert verdicts["4 KiB read, depth 1, Socle ring polled: exits of the guest"][2] == "not run"
    assert all(got is None for bar, got, _ok in io_report.judge(merged(repetitions()), REAL) if bar.counted)


def test_one_repetition(tmp_path):
    text, found, table = report(tmp_path, Setting("somewhere", 1, True), repetitions()[:1])
    assert "±" not in text and 'class="interval"' not in text
    assert table[0]["ns, +- 95 %"] == "" and found["rows"][0]["ns_of_runs"]["half"] is None


def test_instructions_repeat_too(tmp_path):
    every = repetitions()
    every[1] = [type(r)(**dict(vars(r), total=r.total + 30, guest=r.guest + 30)) for r in every[1]]
    text, found, table = report(tmp_path, Setting("Bochs", 3), every)
    assert "± " in text and text.count('class="interval"') == 2 * len(found["rows"]) and NOT_HERE not in text
    assert float(table[0]["instructions"]) == 18000 and float(table[0]["instructions, mean"]) == 18010
    assert float(table[0]["instructions, +- 95 %"]) == pytest.approx(4.3027 * 10, rel=1e-3)
    assert found["clock"] == "instructions" and "ns" not in table[0]


BAR = re.compile(r'<rect x="([\d.]+)" y="(\d+)" width="([\d.]+)"')
INTERVAL = re.compile(r'class="interval" d="M([\d.]+) (\d+)H([\d.]+)M')


def ends_of(chart):
    """{line: where its last part ends} and {line: the middle of its interval}."""
    bars = {int(y) - 2: float(x) + float(width) for x, y, width in BAR.findall(chart)}
    return bars, {int(y) - 10: (float(low) + float(high)) / 2 for low, y, high in INTERVAL.findall(chart)}


def test_bars_end_at_their_means(tmp_path):
    """The guest's part varies in one repetition, the hypervisor's and the exits in another: medians do not add up."""
    every = repetitions()
    every[0] = [dataclasses.replace(r, total=r.total + 3000, guest=r.guest + 3000) for r in every[0]]
    every[1] = [dataclasses.replace(r, total=r.total + 6000, hypervisor=r.hypervisor + 6000, exits=r.exits + 5) for r in every[1]]
    rows = merged(every)
    assert all(r.guest + r.hypervisor != r.total for r in rows)
    for r in rows:
        assert r.stat(lambda run: run.guest).mean + r.stat(lambda run: run.hypervisor).mean == pytest.approx(r.stat(lambda run: run.total).mean)
    for chart in (io_report.time_chart(rows), *(io_report.cost_chart(rows, cost) for cost in COSTS.values())):
        bars, intervals = ends_of(chart)
        assert len(bars) == len(rows) and bars == pytest.approx(intervals, abs=0.21)   # four figures of one place
    table = report(tmp_path, Setting("Bochs", 3), every)[2]
    cycles = sorted(run.cycles(COSTS["nested"]) for run in rows[0].runs)
    assert float(table[0]["cycles, nested"]) == cycles[1]


def test_terminal():
    lines = list(io_report.terminal(merged(repetitions()), REAL))
    assert lines[0] == "real time; %s, 3 repetitions" % REAL.machine and lines[1] == "instructions: " + NOT_HERE
    assert lines[2].split() == "way op size depth ns mean +- 95 % MiB/s mean +- 95 % exits interrupts bytes copied".split()
    assert len({len(line) for line in lines[2:]}) == 1
    assert next(io_report.terminal([], Setting("x", 1, True, True))).startswith(EMULATED)
    plain = list(io_report.terminal(merged(repetitions()[:1]), Setting("Bochs, an emulator")))
    assert plain[0] == "instructions; Bochs, an emulator" and "18,000" in plain[2]
    assert plain[1].split() == "way op size depth instructions guest hypervisor exits interrupts bytes copied".split()


def test_without_vtx(tmp_path):
    """Whatever of it is missing is said, and nothing else comes out."""
    (tmp_path / "none").write_text("processor : 0\nmodel name : An x86\nflags : fpu svm\n")
    (tmp_path / "has").write_text("processor : 0\nmodel name : An x86\nflags : fpu vmx\n")
    has, none = str(tmp_path / "has"), str(tmp_path / "none")
    assert run_kvm.kvm_refusal(cpuinfo=none) == run_kvm.NO_VMX == run_kvm.kvm_refusal(cpuinfo=str(tmp_path / "gone"))
    assert run_kvm.kvm_refusal(str(tmp_path / "kvm"), has) == "%s: No such file or directory" % (tmp_path / "kvm")
    assert run_kvm.kvm_refusal("/dev/null", has) == "/dev/null: Inappropriate ioctl for device"
    assert run_kvm.cpu_line("model name", has) == "An x86"


@pytest.mark.skipif(run_kvm.kvm_refusal() is None, reason="VT-x can be nested here")
def test_real_is_refused(tmp_path):
    """On a machine without VT-x: --real, and QEMU with KVM or nothing."""
    done = subprocess.run([BENCH, "--real", "--build", BUILD, "--report", str(tmp_path / "report")], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "") and not (tmp_path / "report").exists()
    assert done.stderr.startswith("bench-io: --real: ") and "kvm_intel nested=1" in done.stderr
    done = subprocess.run([TOP + "/scripts/run", "-e", "kvm", "-i", BENCH], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("run: -e kvm: ")


def test_arguments(capsys):
    bench = counted.program()
    assert bench.names_in(["disks", "virtio,", "split"]) == ["disks", "virtio, split"]
    assert bench.names_in(["virtio, split, bare guest", "linux"]) == ["virtio, split, bare guest", "linux"]
    for words, what in ((["--repeat", "0"], "expected 1 or more"), (["--emulator", "kvm"], "only with --real"), (["disk"], '"disk": ')):
        done = subprocess.run([BENCH, *words], stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 2 and what in done.stderr
    for words in (["--real", "--nested", "0"], ["--real", "--emulator", "bochs", "--bare-metal", "2000"]):
        with pytest.raises(SystemExit, match="2"):
            bench.parse(words)
        assert "--bare-metal, --nested: not with --real" in capsys.readouterr().err
    known = {name: MODELS[name][0] for name in COSTS}
    assert bench.parse([]).costs == bench.parse(["--real"]).costs == known
    assert bench.parse(["--nested", "0"]).costs == dict(known, nested=0)
    assert bench.parse(["--bare-metal", "7", "--nested", "70"]).costs == {"bare metal": 7, "nested": 70}


# ---- whole runs ----
PATIENCE = 900   # others may have the emulators


@pytest.fixture
def start(tmp_path):
    """Starts bench-io with a temporary directory of its own, by which its leftovers are known. It takes its own slot."""
    started = []

    def run(*words):
        argv = [BENCH, "--quick", "--build", BUILD, "--report", str(tmp_path / "report"), *words]
        started.append(subprocess.Popen(argv, env=dict(os.environ, TMPDIR=str(tmp_path)), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]
    yield run
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.communicate()


def left(tmp_path):
    """Folders, and processes that know of them."""
    found = glob.glob(str(tmp_path / "socle-*"))
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as f:
                words = f.read()
        except OSError:
            continue
        if str(tmp_path).encode() in words:
            found.append(words)
    return found


def test_the_machinery_in_an_emulator(start, tmp_path):
    """Two repetitions, each in a machine of its own: times that fit to the instructions that they are here."""
    process = start("--real", "--emulator", "bochs", "--repeat", "2", "disks", "Socle ring, bare guest")
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert out.startswith(EMULATED + "; Bochs") and "repetition 2 of 2" in err
    assert re.search(r"Socle ring: hypervisor less copying .*: " + NOT_HERE, out)
    assert re.search(r"Socle ring, bare guest +read +4096 +1 ", out)
    with open(tmp_path / "report/results.json", encoding="utf-8") as f:
        found = json.load(f)
    assert found["clock"] == EMULATED and len(found["rows"]) == 5   # each size with each depth of its
    for row in found["rows"]:
        ns = [run["ns"] for run in row["runs"]]
        assert len(ns) == 2 and row["ns_of_runs"]["half"] is not None
        assert all(abs(run["khz"] - 50000) < 500 and 100 < run["ns"] < 1e8 for run in row["runs"])
        assert max(ns) < 1.05 * min(ns), "the emulator's clock is not that uncertain"
    assert EMULATED in (tmp_path / "report/report.html").read_text(encoding="utf-8").replace("Emulated", "emulated")
    assert not left(tmp_path)


def ended(process, tmp_path, number):
    """It is ended in the middle of a run, and nothing is left."""
    deadline = time.monotonic() + PATIENCE
    while not any(b"bochs-bin" in found for found in left(tmp_path) if isinstance(found, bytes)) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.2)
    time.sleep(0.5)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number and not out and "Traceback" not in err
    deadline = time.monotonic() + 10
    while left(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left(tmp_path)


def test_ended_by_a_signal(start, tmp_path):
    ended(start("disks", "Socle ring, bare guest"), tmp_path, signal.SIGTERM)


def test_ended_with_a_tap(start, tmp_path):
    """The emulator is then the child of a child in a network namespace."""
    if not can_tap():
        pytest.skip("a tap interface needs root and /dev/net/tun")
    ended(start("outside", "Socle ring, bare guest"), tmp_path, signal.SIGHUP)
