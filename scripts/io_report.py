# SPDX-License-Identifier: Apache-2.0
"""The page that bench-io writes, one file without scripts, and the same figures as JSON and CSV."""
import csv
import dataclasses
import html
import json
import os

from io_nets import NET_BARS, NET_WAYS, PORTS_WAYS
from io_scenes import BARS, MODELS, PEERS, WAYS

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1060px; margin: 2em auto; padding: 0 1em; color: #222 }
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
    return "{:,.0f}".format(value) if value >= 100 else "{:,.2f}".format(value)


def chart(rows, cost):
    """A bar for each way: the guest's instructions, the hypervisor's, and what the exits take by the model."""
    width, label, value, height = 1000, 190, 90, 24
    most = max(r.cycles(cost) for r in rows)
    scale, out = (width - label - value) / most, []
    for i, r in enumerate(rows):
        y, x = height * i, label
        out.append('<text x="0" y="%d">%s</text>' % (y + 14, html.escape(r.way)))
        for part, colour in ((r.guest, GUEST), (r.hypervisor, HYPERVISOR), (r.exits * cost, EXITS)):
            out.append('<rect x="%.1f" y="%d" width="%.1f" height="16" fill="%s"/>' % (x, y + 2, scale * part, colour))
            x += scale * part
        out.append('<text x="%.1f" y="%d">%s</text>' % (x + 6, y + 14, number(r.cycles(cost))))
    total = height * len(rows)
    return '<svg width="%d" height="%d" viewBox="0 0 %d %d">%s</svg>' % (width, total, width, total, "".join(out))


def table(rows):
    head = ("way", "instructions", "guest", "hypervisor", "exits", "exits by reason", "interrupts", "bytes copied",
            "instructions per KiB", "copied per KiB", "QEMU and KVM")
    out = "<table><tr>%s</tr>" % "".join("<th>%s</th>" % h for h in head)
    for r in rows:
        peer = PEERS.get(r.key())
        reasons = " ".join("%s %.2f" % pair for pair in sorted(r.reasons.items(), key=lambda p: -p[1])[:4] if pair[1] >= 0.005)
        out += "<tr>%s</tr>" % "".join("<td>%s</td>" % cell for cell in (
            html.escape(r.way), number(r.total), number(r.guest), number(r.hypervisor), "%.3f" % r.exits, reasons,
            "%.3f" % r.interrupts, number(r.copied), number(r.total * 1024 / r.size), number(r.copied * 1024 / r.size),
            number(peer) if peer else ""))
    return out + "</table>"


def judge(rows):
    """(bar, figure, whether it is kept: None where there is no figure)."""
    by_key = {r.key(): r for r in rows}
    for bar in BARS + NET_BARS:
        row = by_key.get(bar.point)
        got = bar.figure(row, by_key) if row else None
        yield bar, got, None if got is None else got <= bar.most


def bars_table(rows):
    out = "<table><tr><th>what is asked<th>at most<th>aim<th>measured</tr>"
    for bar, got, ok in judge(rows):
        mark = {None: ' class="dim"', True: ' class="ok"', False: ' class="missed"'}[ok]
        out += "<tr><td>%s</td><td>%s</td><td>%s</td><td%s>%s</td></tr>" % (
            html.escape(bar.what), number(bar.most) if bar.most >= 1 else "%.3f" % bar.most,
            number(bar.aim) if bar.aim else "", mark, "not run" if got is None else number(got) if got >= 10 else "%.3f" % got)
    return out + "</table>"


def legend(costs):
    out = '<p><span style="color:%s">■</span> the guest\'s instructions, <span style="color:%s">■</span> the hypervisor\'s, ' \
          '<span style="color:%s">■</span> exits by the model. A cycle for each instruction, and for each exit with its ' \
          'entry:</p><ul>' % (GUEST, HYPERVISOR, EXITS)
    for name, cost in costs.items():
        out += "<li>%s: %s cycles (%s)</li>" % (name, number(cost), html.escape(MODELS[name][1]))
    return out + "</ul>"


def page(rows, costs):
    order = {w.name: i for i, w in enumerate(WAYS + NET_WAYS)}
    order.update((name, i) for i, name in enumerate(PORTS_WAYS))
    parts = ["<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Socle: what input and output cost</title><style>",
             STYLE, "</style><h1>What input and output cost</h1><p>Instructions and VM exits of one operation, measured in the "
             "Bochs emulator, whose time stamp counter counts instructions; the hypervisor tells its own apart. Linux is "
             "Debian's kernel, unmodified, the same image on each way; the bare guest has a small driver of its own. "
             "docs/benchmarks.md says how to read this.</p><h2>Bars</h2>", bars_table(rows), legend(costs)]
    for op, size, depth in sorted({r.key()[1:] for r in rows}):
        here = sorted((r for r in rows if r.key()[1:] == (op, size, depth)), key=lambda r: order[r.way])
        parts.append("<h2>%s %s, %d at a time</h2>%s" % (op, size_text(size), depth, table(here)))
        parts += ["<p>%s, cycles by the model</p>%s" % (name, chart(here, cost)) for name, cost in costs.items()]
    return "".join(parts) + "</html>\n"


def write(folder, rows, costs):
    """report.html, results.json, results.csv; the path of the first."""
    os.makedirs(folder, exist_ok=True)
    with open(folder + "/results.json", "w", encoding="utf-8") as f:
        json.dump([dataclasses.asdict(r) for r in rows], f, indent=1)
    with open(folder + "/results.csv", "w", encoding="utf-8", newline="") as f:
        out = csv.writer(f)
        out.writerow(["way", "op", "size", "depth", "operations", "instructions", "guest", "hypervisor", "exits", "interrupts",
                      "bytes copied"] +
                     ["cycles, " + name for name in costs])
        for r in rows:
            out.writerow([r.way, r.op, r.size, r.depth, r.count] +
                         ["%.3f" % v for v in (r.total, r.guest, r.hypervisor, r.exits, r.interrupts, r.copied)] +
                         ["%.0f" % r.cycles(cost) for cost in costs.values()])
    with open(folder + "/report.html", "w", encoding="utf-8") as f:
        f.write(page(rows, costs))
    return folder + "/report.html"
