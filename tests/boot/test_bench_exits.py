# SPDX-License-Identifier: Apache-2.0
"""The table of bench-exits --each: what a feature of VT-x saves at each kind of exit (M26). Its figures are the machine's, so only what is made
of them is tested; test_features.py boots without each feature."""
import importlib.machinery
import importlib.util
import os
import sys

from conftest import TOP

sys.path.insert(0, os.path.join(TOP, "scripts"))
LOADER = importlib.machinery.SourceFileLoader("bench_exits", os.path.join(TOP, "scripts/bench-exits"))


def module():
    spec = importlib.util.spec_from_loader(LOADER.name, LOADER)
    made = importlib.util.module_from_spec(spec)
    LOADER.exec_module(made)
    return made


def test_each_feature_has_its_column(capsys):
    bench = module()
    said = "".join("BENCH %s %d.5 100 20000 cpuid=19990 interrupt=10\n" % (row[0], n) for n, row in enumerate(bench.ROWS))
    found = bench.parse(said)
    without = dict(found, **{"in-pic": (300.0, 290, "60000", "io=40000 cpuid=20000")})
    assert bench.each_table({"all": found, "no vid": without})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(bench.ROWS) and lines[0].split()[-3:] == ["all", "no", "vid"]
    line = next(text for text in lines if text.startswith("IN 0x21"))
    at = [row[0] for row in bench.ROWS].index("in-pic")
    assert line.split()[-4:] == ["%d.5," % at, "1.00", "300.0,", "3.00"]   # what is not the loop's own does not count
    del without["in-pic"]
    assert not bench.each_table({"all": found, "no vid": without})
    assert "missing" in capsys.readouterr().out
