# SPDX-License-Identifier: Apache-2.0
"""Repetitions of what bench-io measures: where they ran, what their clock is, and how sure their figures are."""
import dataclasses
import math
import re
import statistics

CONFIDENCE = 0.95
NOT_HERE = "not measured here"
TSC = re.compile(r"TSC (\d+\.\d+) MHz, measured against")   # Socle says it when it starts


class Failed(Exception):
    """A run that gave no figures, or could not begin."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """machine: what the runs ran on. time: figures are times, not instructions; emulated: of an emulator's clock."""
    machine: str
    repeat: int = 1
    time: bool = False
    emulated: bool = False

    def clock(self):
        """What the figures are."""
        if not self.time:
            return "instructions"
        return "emulated time, from an emulator: not a measurement of hardware" if self.emulated else "real time"


# ---- Student's t ----
def t_within(t, freedom):
    """How probable it is that |T| is at most t: Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine, term, total = math.cos(angle), 1.0, 0.0
    first = freedom % 2
    if first:
        term = math.cos(angle)
    for k in range(2 + first, freedom + 1, 2):
        total += term
        term *= cosine * cosine * (k - 1) / k
    total *= math.sin(angle)
    return (angle + total) * 2 / math.pi if first else total


def t_quantile(freedom, confidence=CONFIDENCE):
    """The t that |T| keeps within with that probability."""
    low, high = 0.0, 1.0
    while t_within(high, freedom) < confidence:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if t_within(middle, freedom) < confidence else (low, middle)
    return high


@dataclasses.dataclass(frozen=True)
class Stat:
    """half: the confidence interval is mean - half to mean + half; None where one repetition cannot tell."""
    count: int
    median: float
    mean: float
    half: float = None


def stat(values):
    """None of nothing."""
    values = [v for v in values if v is not None]
    if not values:
        return None
    mean, n = statistics.fmean(values), len(values)
    half = t_quantile(n - 1) * statistics.stdev(values) / math.sqrt(n) if n > 1 else None
    return Stat(n, statistics.median(values), mean, half)


# ---- rows ----
def clocked(rows, said):
    """Rows of a boot, with the frequency of the TSC that they were measured by. said: all that the machine said."""
    found = TSC.search(said)
    if not found:
        raise Failed("Socle did not say how fast the time stamp counter is:\n" + said[-2000:])
    return [dataclasses.replace(r, khz=float(found.group(1)) * 1000) for r in rows]


def merged(repetitions):
    """A row for each key, of the medians; its runs are what it is made of. repetitions: a list of rows for each."""
    by_key = {}
    for rows in repetitions:
        for row in rows:
            by_key.setdefault(row.key(), []).append(row)
    return [merge(runs) for runs in by_key.values()]


def merge(runs):
    if len(runs) == 1:
        return runs[0]
    first = runs[0]
    numbers = {f.name: statistics.median(getattr(r, f.name) for r in runs)
               for f in dataclasses.fields(first) if f.type is float}
    names = dict.fromkeys(name for r in runs for name in r.reasons)
    reasons = {name: statistics.median(r.reasons.get(name, 0) for r in runs) for name in names}
    return dataclasses.replace(first, reasons=reasons, runs=runs, **numbers)
