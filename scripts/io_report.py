# SPDX-License-Identifier: Apache-2.0
"""The page that bench-io writes, one file without scripts, and the same figures as JSON and CSV."""
import csv
import dataclasses
import html
import json
import os

from io_nets import NET_BARS, NET_WAYS, PORTS_WAYS
from io_runs import NOT_HERE
from io_scenes import BARS, MODELS, PEERS, WAYS

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1240px; margin: 2em auto; padding: 0 1em; color: #222 }
h1 { font-size: 1.6em } h2 { font-size: 1.15em; margin: 2em 0 .2em; border-top: 1px solid #ddd; padding-top: 1em }
table { border-collapse: collapse; font-size: 13px; margin: .6em 0 }
td, th { text-align: right; padding: 2px 0 2px 16px; border-bottom: 1px solid #eee; white-space: nowrap }
td:first-child, th:first-child { text-align: left; padding-left: 0 }
.ok { color: #2a7a3b } .missed { color: #b3261e; font-weight: bold } .dim { color: #777 }
svg text { font: 12px system-ui, sans-serif; fill: #333 }
"""
GUEST, HYPERVISOR, EXITS = "#5b8db8", "#d9480f", "#e9b44c"


def size_text(size):
    return "%d MiB" % (size >> 20) if size >= 1 << 20 else "%d KiB" % (size >> 10) if size >= 1024 else "%d B" % size


def number(value):
    return "{:,.0f}".format(value) if value >= 100 else "{:,.2f}".format(value) if value >= 0.1 else "{:,.4f}".format(value) if value else "0"


def plus_minus(stat):
    return "" if stat is None or stat.half is None else "± " + number(stat.half)


def shown(stat, of="median"):
    return "" if stat is None else number(getattr(stat, of))


def figure(cell, setting):
    """What only a count of instructions can tell."""
    return NOT_HERE if setting.time else cell


# ---- charts ----
def whisker(x, y, half):
    """A confidence interval around the end of a bar."""
    ends = (max(0, x - half), x + half)
    return '<path class="interval" d="M%.1f %dH%.1fM%.1f %dv8M%.1f %dv8" stroke="#222" fill="none"/>' % (
        ends[0], y + 10, ends[1], ends[0], y + 6, ends[1], y + 6)


def chart(lines):
    """lines: (name, [(length, colour)], Stat). The bar is what its parts are together, the text beside it the Stat's mean, and around
    that is its interval."""
    width, label, value, height = 1000, 190, 150, 24
    most = max(stat.mean + (stat.half or 0) for _name, _parts, stat in lines)
    scale, out = (width - label - value) / (most or 1), []
    for i, (name, parts, stat) in enumerate(lines):
        y, x = height * i, label
        out.append('<text x="0" y="%d">%s</text>' % (y + 14, html.escape(name)))
        for part, colour in parts:
            out.append('<rect x="%.1f" y="%d" width="%.1f" height="16" fill="%s"/>' % (x, y + 2, scale * part, colour))
            x += scale * part
        end = label + scale * stat.mean
        if stat.half is not None:
            out.append(whisker(end, y, scale * stat.half))
            end += scale * stat.half
        out.append('<text x="%.1f" y="%d">%s %s</text>' % (max(x, end) + 6, y + 14, number(stat.mean), plus_minus(stat)))
    total = height * len(lines)
    return '<svg width="%d" height="%d" viewBox="0 0 %d %d">%s</svg>' % (width, total, width, total, "".join(out))


def time_chart(rows):
    stats = [r.stat(type(r).ns) for r in rows]
    return chart([(r.way, [(stat.mean, GUEST)], stat) for r, stat in zip(rows, stats)])


def cost_chart(rows, cost):
    """A bar for each way: the guest's instructions, the hypervisor's, and what the exits take by the model. Means, which
    together are the mean that the text says; medians are not."""
    def parts(r):
        return [(r.stat(lambda run: run.guest).mean, GUEST), (r.stat(lambda run: run.hypervisor).mean, HYPERVISOR),
                (r.stat(lambda run: run.exits).mean * cost, EXITS)]
    return chart([(r.way, parts(r), r.stat(lambda run: run.cycles(cost))) for r in rows])


# ---- tables ----
def head_of(setting):
    sure = ("mean", "± 95 %") if setting.repeat > 1 else ()
    counts = ("exits", "exits by reason", "interrupts", "bytes copied", "copied per KiB")
    if setting.time:
        return ("way", "ns, median", *sure, "MiB/s, median", *sure, "instructions", *counts)
    return ("way", "instructions", *sure, "guest", "hypervisor", "instructions per KiB", *counts, "QEMU and KVM")


def cells_of(r, setting):
    """As head_of() names them."""
    def sure(stat):
        return (shown(stat, "mean"), plus_minus(stat)) if setting.repeat > 1 else ()
    reasons = " ".join("%s %.2f" % pair for pair in sorted(r.reasons.items(), key=lambda p: -p[1])[:4] if pair[1] >= 0.005)
    counts = ("%.3f" % r.exits, reasons, "%.3f" % r.interrupts, number(r.copied), number(r.copied * 1024 / r.size))
    if setting.time:
        ns, rate = r.stat(type(r).ns), r.stat(type(r).mib_s)
        return (r.way, shown(ns), *sure(ns), shown(rate), *sure(rate), NOT_HERE, *counts)
    peer = PEERS.get(r.key())
    return (r.way, number(r.total), *sure(r.stat(lambda run: run.total)), number(r.guest), number(r.hypervisor),
            number(r.total * 1024 / r.size), *counts, number(peer) if peer else "")


def table(rows, setting):
    out = "<table><tr>%s</tr>" % "".join("<th>%s</th>" % h for h in head_of(setting))
    for r in rows:
        out += "<tr>%s</tr>" % "".join("<td>%s</td>" % html.escape(cell) for cell in cells_of(r, setting))
    return out + "</table>"


def terminal(rows, setting):
    """Lines of the same, narrower."""
    def line(cells):
        return "%-34s %-31s %8s %5s " % cells[:4] + " ".join("%12s" % c for c in cells[4:])
    sure = ("mean", "+- 95 %") if setting.repeat > 1 else ()
    head = ("ns", *sure, "MiB/s", *sure) if setting.time else ("instructions", *sure, "guest", "hypervisor")
    yield "%s; %s" % (setting.clock(), setting.machine) + (", %d repetitions" % setting.repeat if setting.repeat > 1 else "")
    if setting.time:
        yield "instructions: " + NOT_HERE
    yield line(("way", "op", "size", "depth", *head, "exits", "interrupts", "bytes copied"))
    for r in rows:
        cells = cells_of(r, setting)[1:2 + len(head) - 1]
        yield line((r.way, r.op, r.size, r.depth, *(c.replace("± ", "") for c in cells), "%.3f" % r.exits,
                    "%.3f" % r.interrupts, "{:,.0f}".format(r.copied)))


# ---- bars ----
def judge(rows, setting):
    """(bar, figure, whether it is kept: None where there is no figure)."""
    by_key = {r.key(): r for r in rows}
    for bar in BARS + NET_BARS:
        row = by_key.get(bar.point)
        got = bar.figure(row, by_key) if row and not (bar.counted and setting.time) else None
        yield bar, got, None if got is None else got <= bar.most


def verdict(bar, got, ok, setting):
    """In words."""
    if got is None:
        return NOT_HERE if bar.counted and setting.time else "not run"
    return "%s %s" % (format(got, ",.6g"), "ok" if ok else "MISSED")


def bars_table(rows, setting):
    out = "<table><tr><th>what is asked<th>at most<th>aim<th>measured</tr>"
    for bar, got, ok in judge(rows, setting):
        mark = {None: ' class="dim"', True: ' class="ok"', False: ' class="missed"'}[ok]
        text = verdict(bar, got, ok, setting) if got is None else number(got) if got >= 10 else "%.3f" % got
        out += "<tr><td>%s</td><td>%s</td><td>%s</td><td%s>%s</td></tr>" % (
            html.escape(bar.what), number(bar.most) if bar.most >= 1 else "%.3f" % bar.most,
            number(bar.aim) if bar.aim else "", mark, text)
    return out + "</table>"


# ---- the page ----
def legend(costs):
    out = '<p><span style="color:%s">■</span> the guest\'s instructions, <span style="color:%s">■</span> the hypervisor\'s, ' \
          '<span style="color:%s">■</span> exits by the model. A cycle for each instruction, and for each exit with its ' \
          'entry:</p><ul>' % (GUEST, HYPERVISOR, EXITS)
    for name, cost in costs.items():
        out += "<li>%s: %s cycles (%s)</li>" % (name, number(cost), html.escape(MODELS[name][1]))
    return out + "</ul>"


def preface(setting):
    """What the figures are, and of which machine."""
    if setting.time:
        text = "<p><b>%s</b>: nanoseconds from the end of one operation to the end of the next one, by the time stamp counter, on %s. " \
               "Instructions are %s, nor are the bars that need them; exits, interrupts and bytes are counted by the hypervisor. " % (
                   setting.clock().capitalize(), html.escape(setting.machine), NOT_HERE)
    else:
        text = "<p>Instructions and VM exits of one operation, measured in the Bochs emulator, whose time stamp counter counts " \
               "instructions; the hypervisor tells its own apart. "
    if setting.repeat > 1:
        text += "%d repetitions, each booted anew; ± is half of the 95 %% confidence interval of the mean (Student's t), and the line at " \
                "the end of a bar is that interval. " % setting.repeat
    return text + "Linux is Debian's kernel, unmodified, the same image on each way; the bare guest has a small driver of its own. " \
                  "docs/benchmarks.md says how to read this.</p>"


def page(rows, costs, setting):
    order = {w.name: i for i, w in enumerate(WAYS + NET_WAYS)}
    order.update((name, i) for i, name in enumerate(PORTS_WAYS))
    parts = ["<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Socle: what input and output cost</title><style>",
             STYLE, "</style><h1>What input and output cost</h1>", preface(setting), "<h2>Bars</h2>", bars_table(rows, setting)]
    if not setting.time:
        parts.append(legend(costs))
    for op, size, depth in sorted({r.key()[1:] for r in rows}):
        here = sorted((r for r in rows if r.key()[1:] == (op, size, depth)), key=lambda r: order[r.way])
        parts.append("<h2>%s %s, %d at a time</h2>%s" % (op, size_text(size), depth, table(here, setting)))
        if setting.time:
            parts.append("<p>nanoseconds (%s)</p>%s" % (setting.clock(), time_chart(here)))
        else:
            parts += ["<p>%s, cycles by the model</p>%s" % (name, cost_chart(here, cost)) for name, cost in costs.items()]
    return "".join(parts) + "</html>\n"


# ---- the same for programs ----
def columns(r, costs, setting):
    """{name: value} of a row of results.csv; empty where one repetition cannot tell."""
    def fixed(value):
        return "" if value is None else "%.3f" % value
    def of(name, stat):
        return {name: fixed(stat and stat.median), name + ", mean": fixed(stat and stat.mean),
                name + ", +- 95 %": fixed(stat and stat.half)}
    known = {"way": r.way, "op": r.op, "size": r.size, "depth": r.depth, "operations": r.count, "repetitions": len(r.runs) or 1,
             "clock": setting.clock()}
    if setting.time:
        known.update(of("ns", r.stat(type(r).ns)))
        known.update(of("MiB/s", r.stat(type(r).mib_s)))
        known.update(dict.fromkeys(("instructions", "guest", "hypervisor"), NOT_HERE))
    else:
        known.update(of("instructions", r.stat(lambda run: run.total)))
        known.update({"guest": fixed(r.guest), "hypervisor": fixed(r.hypervisor)})
    known.update({"exits": fixed(r.exits), "interrupts": fixed(r.interrupts), "bytes copied": fixed(r.copied)})
    cycles = {name: r.stat(lambda run, cost=cost: run.cycles(cost)).median for name, cost in costs.items()}
    known.update(("cycles, " + name, figure("%.0f" % median, setting)) for name, median in cycles.items())
    return known


def plain(r, setting):
    """A row for results.json, with all of its repetitions; what was not measured is null."""
    row = dataclasses.asdict(dataclasses.replace(r, runs=[]))
    row["runs"] = [plain(run, setting) for run in r.runs]
    if setting.time:
        row.update(dict.fromkeys(("total", "guest", "hypervisor")))
        for name, stat in (("ns", r.stat(type(r).ns)), ("mib_s", r.stat(type(r).mib_s))):
            row[name] = stat and stat.median
            row[name + "_of_runs"] = stat and dataclasses.asdict(stat)
    else:
        row["total_of_runs"] = dataclasses.asdict(r.stat(lambda run: run.total))
    return row


def write(folder, rows, costs, setting):
    """report.html, results.json, results.csv; the path of the first."""
    os.makedirs(folder, exist_ok=True)
    with open(folder + "/results.json", "w", encoding="utf-8") as f:
        json.dump({"clock": setting.clock(), "machine": setting.machine, "repetitions": setting.repeat,
                   "rows": [plain(r, setting) for r in rows]}, f, indent=1)
    with open(folder + "/results.csv", "w", encoding="utf-8", newline="") as f:
        lines = [columns(r, costs, setting) for r in rows]
        out = csv.DictWriter(f, list(lines[0]))
        out.writeheader()
        out.writerows(lines)
    with open(folder + "/report.html", "w", encoding="utf-8") as f:
        f.write(page(rows, costs, setting))
    return folder + "/report.html"
