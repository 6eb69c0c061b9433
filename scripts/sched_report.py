# SPDX-License-Identifier: Apache-2.0
"""The page that bench-sched writes: a summary, and for each scene a chart per policy. One file, no script."""
import html
import math
import os

from sched_scenes import POLICIES, SCENES, judge

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1060px; margin: 2em auto; padding: 0 1em; color: #222 }
h1 { font-size: 1.6em } h2 { font-size: 1.15em; margin: 2em 0 .2em; border-top: 1px solid #ddd; padding-top: 1em }
p { margin: .3em 0 .8em } .dim { color: #777 }
table { border-collapse: collapse; font-size: 13px }
td, th { text-align: left; padding: 2px 12px 2px 0; border-bottom: 1px solid #eee; white-space: nowrap }
.ok { color: #2a7a3b } .missed { color: #b3261e; font-weight: bold }
.row { display: flex; flex-wrap: wrap; gap: 18px } figure { margin: 0 } figcaption { font-weight: 600; font-size: 13px }
svg text { font: 12px system-ui, sans-serif; fill: #333 } svg .dim { fill: #888 }
"""
WIDTH, LABEL, VALUE, ROW = 305, 62, 58, 20   # of a chart of bars: all, name, number; height of a bar's row
MANY = 16                                    # more VMs than that become points


def text(x, y, words, extra=""):
    return '<text x="%.1f" y="%.1f" %s>%s</text>' % (x, y, extra, html.escape(words))


def bars(rows, most):
    """Rows: (name, value, aim or None) in parts of one. most: what the widest bar stands for."""
    scale, out = (WIDTH - LABEL - VALUE) / most, []
    for i, (name, value, aim) in enumerate(rows):
        y = ROW * i + 3
        out.append(text(0, y + 11, name))
        out.append('<rect x="%d" y="%d" width="%.1f" height="13" rx="2" fill="#5b8db8"/>' % (LABEL, y, scale * value))
        if aim is not None:
            x = LABEL + scale * aim
            out.append('<path d="M%.1f %dv19" stroke="#d9480f" stroke-width="2"/>' % (x, y - 3))
        out.append(text(WIDTH, y + 11, "%.2f %%" % (100 * value), 'text-anchor="end"'))
    return svg(WIDTH, ROW * len(rows) + 4, out)


def points(rows):
    """Rows as of bars(), too many for these: how far each is from its aim, in percent of it."""
    errors = [100 * (value / aim - 1) for _, value, aim in rows if aim]
    high, height = max(1.0, max(abs(e) for e in errors)), 120
    out = ['<path d="M%d %dH%d" stroke="#d9480f"/>' % (LABEL, height // 2, WIDTH)]
    for label, y in (("+%.1f %%" % high, 12), ("0", height // 2 + 4), ("-%.1f %%" % high, height - 2)):
        out.append(text(LABEL - 8, y, label, 'text-anchor="end" class="dim"'))
    for i, e in enumerate(errors):
        out.append('<circle cx="%.1f" cy="%.1f" r="1.8" fill="#5b8db8"/>' % (
            LABEL + 4 + (WIDTH - LABEL - 8) * i / len(errors), height / 2 - e / high * (height / 2 - 6)))
    return svg(WIDTH, height, out)


def svg(width, height, parts):
    return '<svg width="%d" height="%d" viewBox="0 0 %d %d">%s</svg>' % (width, height, width, height, "".join(parts))


def chart_rows(run):
    scene = SCENES[run.scene]
    if len([vm for vm in scene.vms if vm.share is not None]) == 1:   # a victim: of the CPU, not of the rounds
        return [(vm.name, run.cpu(vm.name), 1 / len(scene.vms)) for vm in scene.vms if vm.share is not None]
    return [(vm.name, got, want) for vm, got, want in run.shares()]


def panel(run):
    rows = chart_rows(run)
    most = max(max(value, aim or 0) for _, value, aim in rows)
    drawn = points(rows) if len(rows) > MANY else bars(rows, most)
    return "<figure><figcaption>%s</figcaption>%s</figure>" % (run.policy, drawn)


def late_chart(runs):
    """p50, p99 and the worst on a logarithmic scale from 1 us to 1 s, a row for each run."""
    width, left, height = 900, 130, 34 * len(runs) + 26
    def at(us):
        return left + (width - left - 20) * math.log10(max(us, 1)) / 6
    out = []
    for power, label in enumerate(("1 us", "10 us", "100 us", "1 ms", "10 ms", "100 ms", "1 s")):
        x = at(10 ** power)
        out.append('<path d="M%.1f 0V%d" stroke="%s"/>' % (x, height - 20, "#d9480f" if power == 3 else "#e4e4e4"))
        out.append(text(x, height - 6, label, 'text-anchor="middle" class="dim"'))
    for i, run in enumerate(runs):
        y = 34 * i + 17
        p50, p99, worst = run.late
        out.append(text(0, y + 4, "%s, %s" % (run.policy, "with warp" if run.scene == "warp" else "without warp")
                        if run.policy == "bvt" else run.policy))
        out.append('<path d="M%.1f %dH%.1f" stroke="#b9cfe2" stroke-width="8"/>' % (at(p50), y, at(worst)))
        out.append('<path d="M%.1f %dH%.1f" stroke="#5b8db8" stroke-width="8"/>' % (at(p50), y, at(p99)))
        out.append('<circle cx="%.1f" cy="%d" r="5" fill="#2f6190"/>' % (at(p99), y))
        out.append(text(at(p99) + 9, y - 7, "%.0f us" % p99))
    return svg(width, height, out)


def cell(figure):
    if figure is None:
        return "<td></td>"
    mark = {None: "", True: ' class="ok"', False: ' class="missed"'}[figure.ok]
    got, _, detail = figure.got.partition(" (")
    return '<td%s title="%s">%s%s</td>' % (mark, html.escape(detail.rstrip(")")), html.escape(got),
                                           " missed" if figure.ok is False else "")


def summary(results):
    """A row for each figure of a scene, a column for each policy; details where the pointer rests."""
    rows = ""
    for name in SCENES:
        by_policy = {p: judge(results[name, p]) for p in POLICIES if (name, p) in results}
        for i, first in enumerate(next(iter(by_policy.values()), ())):
            rows += "<tr><td>%s</td><td>%s</td><td>%s</td>%s</tr>" % (
                name if i == 0 else "", html.escape(first.name), html.escape(first.aim),
                "".join(cell(by_policy[p][i] if p in by_policy else None) for p in POLICIES))
    return "<table><tr><th>scene<th>figure<th>aim%s</tr>%s</table>" % (
        "".join("<th>" + p for p in POLICIES), rows)


def section(name, results):
    runs = [results[name, p] for p in SCENES[name].policies if (name, p) in results]
    if not runs:
        return ""
    return '<h2>%s</h2><p>%s. <span class="dim">%s simulated seconds; run %s</span></p><div class="row">%s</div>' % (
        name, html.escape(SCENES[name].what[0].upper() + SCENES[name].what[1:]), runs[0].more.get("seconds", "?"),
        ", ".join(sorted({r.more.get("when", "?")[:10] for r in runs})), "".join(panel(r) for r in runs))


def write(path, results):
    ordered = [results[name, p] for name in SCENES for p in POLICIES if (name, p) in results]
    late = [r for r in ordered if r.late]
    parts = ["<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Socle: who gets the CPU</title><style>", STYLE,
             "</style><h1>Who gets the CPU</h1><p>Measured in the Bochs emulator, where a tick of the time stamp counter is "
             "an instruction, 50 of them a microsecond. Blue: what each guest got of all the work that was done, or the "
             "victim of the CPU; orange: what it should get.</p>", summary(results)]
    if late:
        parts += ["<h2>How late a guest wakes</h2><p>It wakes every 10 ms beside three guests that compute without end. "
                  "Point: the 99th percentile; dark bar: from the median to there; light: to the worst. Orange: the aim with "
                  "warp.</p>",
                  late_chart(late)]
    parts += [section(name, results) for name in SCENES]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write("".join(parts) + "</html>\n")
    return path
