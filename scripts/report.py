# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
The results of scripts/bench as one HTML file that needs nothing else: for each load a table and bars, and beneath the bars
the single runs as dots, so that the spread is seen. What is written is what `bench --json` writes.
"""

import html
import math

CHARTS = ("delivered/s", "p50 µs", "p99 µs", "CPU µs/msg")
STYLE = """
:root { color-scheme: light dark; --ink: #1c1d21; --soft: #666b76; --line: #dfe1e6; --page: #fff; --bars: #3b6ea8; --dots: #d2691e }
@media (prefers-color-scheme: dark) {
 :root { --ink: #e6e7ea; --soft: #9aa0ac; --line: #33363d; --page: #16181c; --bars: #6ea4e0; --dots: #f0a060 }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 78rem; margin: 2rem auto;
 padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { margin-top: 2.5rem; font-size: 1.25rem } h3 { margin: 2rem 0 .5rem; font-size: 1.05rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.5rem } dt { color: var(--soft) } dd { margin: 0 }
.wide { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100% }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left } td small { color: var(--soft) }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 1rem 2rem; margin: 1rem 0 }
svg { width: 100%; height: auto } svg text { font-size: 11px; fill: var(--ink) } svg .soft { fill: var(--soft) }
svg rect { fill: var(--bars) } svg circle { fill: var(--dots) } svg line { stroke: var(--line) }
"""
NAMES, BARS, ROW, HEAD = 150, 210, 26, 22  # px: width of names and bars, height of a row and of the title


def _short(value):
    """A number for the end of a bar."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def chart(metric, by_broker):
    """Bars of the medians, dots for the runs. On a logarithmic scale where the values are of different orders."""
    values = {name: one["medians"].get(metric) for name, one in by_broker.items()}
    known = [value for value in values.values() if value]
    if not known:
        return ""
    runs = {name: [value for value in one["values"].get(metric, []) if value] for name, one in by_broker.items()}
    top = max([*known, *(value for some in runs.values() for value in some)])
    bottom = min([*known, *(value for some in runs.values() for value in some)])
    steep = top / bottom > 50
    floor = 10 ** math.floor(math.log10(bottom)) / 2

    def x(value):
        part = math.log(value / floor) / math.log(top / floor) if steep else value / top
        return NAMES + BARS * max(0.0, part)

    height = HEAD + ROW * len(values)
    lines = [f'<svg viewBox="0 0 {NAMES + BARS + 70} {height}" role="img" aria-label="{html.escape(metric)}">',
             f'<text x="0" y="14" class="soft">{html.escape(metric)}{", logarithmic" if steep else ""}</text>',
             f'<line x1="{NAMES}" x2="{NAMES}" y1="{HEAD}" y2="{height}"/>']
    for row, (name, value) in enumerate(values.items()):
        y = HEAD + ROW * row
        lines.append(f'<text x="0" y="{y + 15}">{html.escape(name)}</text>')
        if not value:
            lines.append(f'<text x="{NAMES + 6}" y="{y + 15}" class="soft">not measured</text>')
            continue
        lines.append(f'<rect x="{NAMES}" y="{y + 4}" width="{x(value) - NAMES:.1f}" height="14" rx="2"/>')
        lines += [f'<circle cx="{x(run):.1f}" cy="{y + 21}" r="1.8"/>' for run in runs[name]]
        lines.append(f'<text x="{x(value) + 6:.1f}" y="{y + 15}">{_short(value)}</text>')
    return "\n".join([*lines, "</svg>"])


def table(by_broker):
    """Medians, and beside them the ratios."""
    metrics = list(next(iter(by_broker.values()))["texts"])
    head = "".join(f"<th>{html.escape(metric)}</th>" for metric in ("broker", *metrics))
    rows = []
    for name, one in by_broker.items():
        cells = []
        for metric in metrics:
            ratio = one["ratios"].get(metric)
            cells.append(f"<td>{html.escape(one['texts'][metric])}"
                         + (f" <small>{ratio:.2f}×</small>" if ratio is not None and ratio != 1 else "") + "</td>")
        rows.append(f"<tr><td>{html.escape(name)}</td>{''.join(cells)}</tr>")
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(rows)}</table></div>'


def page(data):
    """The whole file, of what `bench --json` has."""
    facts = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(str(value))}</dd>"
                    for name, value in data["environment"].items())
    parts = ["<!DOCTYPE html>", '<html lang="en"><meta charset="utf-8">',
             '<meta name="viewport" content="width=device-width, initial-scale=1">',
             f"<title>Benchmark</title><style>{STYLE}</style><h1>Benchmark</h1>",
             f"<p>Medians of the runs, which are the dots; the small numbers are ratios to {html.escape(data['reference'])}. "
             f"Use the ratios: the numbers themselves belong to the machine.</p><dl>{facts}</dl>"]
    for road, loads in data["roads"].items():
        parts.append(f"<h2>Clients on the {html.escape(road)} road</h2>")
        for load, by_broker in loads.items():
            parts.append(f"<h3>{html.escape(load)}</h3>")
            parts += [f"<p>{html.escape(line)}</p>" for line in by_broker_notes(by_broker)]
            parts.append(f'<div class="charts">{"".join(chart(metric, by_broker) for metric in CHARTS)}</div>')
            parts.append(table(by_broker))
    return "\n".join(parts) + "\n"


def by_broker_notes(by_broker):
    """What went wrong with whom."""
    return [f"{name}: {one['trouble']}" for name, one in by_broker.items() if one.get("trouble")]
