"""The page of ``parley bench report``: a table and bars for each benchmark, in one HTML file.

A bar is the median, the line behind it reaches to p95, the mark across it is the goal, the pale bar below it is the
earlier run. Bars of one unit share a scale, which is logarithmic where they differ by more than a hundred times.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from itertools import groupby

from parley.bench.compared import Figure, Pair

_LEFT, _WIDTH, _LINE = 330, 900, 36
"""Pixels: of the names, of the whole plot, of one figure."""
_SPREAD = 100.0
"""Largest over smallest, above which a scale is logarithmic."""
_STYLE = """
:root { color-scheme: light dark; --ink: #1e293b; --dim: #64748b; --paper: #fff; --line: #e2e8f0; --bar: #4338ca;
  --pale: #c7d2fe; --goal: #0f766e; --bad: #be123c; --good: #0f766e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e2e8f0; --dim: #94a3b8; --paper: #0f172a; --line: #334155;
  --bar: #818cf8; --pale: #3730a3; --goal: #2dd4bf; --bad: #fb7185; --good: #2dd4bf; } }
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--paper); }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
p, nav { color: var(--dim); } nav a { color: var(--bar); margin-right: .8rem; white-space: nowrap; }
table { border-collapse: collapse; width: 100%; font-size: 13px; } td, th { padding: .25rem .5rem; text-align: right;
  white-space: nowrap; border-bottom: 1px solid var(--line); } td:first-child, th:first-child { text-align: left;
  white-space: normal; }
.scroll { overflow-x: auto; } .better { color: var(--good); } .worse, .missed { color: var(--bad); font-weight: 600; }
svg { display: block; margin: .8rem 0; width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif;
  fill: var(--ink); } svg .unit { fill: var(--dim); } .bar { fill: var(--bar); } .pale { fill: var(--pale); }
.tail { stroke: var(--bar); stroke-width: 2; opacity: .5; } .goal { stroke: var(--goal); stroke-width: 2; }
.missed .bar { fill: var(--bad); } .missed .tail { stroke: var(--bad); }
"""


def page(pairs: Sequence[Pair], folder: str, earlier: str) -> str:
    """The whole file; ``folder`` and ``earlier`` say where the figures are from, "" for no earlier run."""
    ordered = sorted(pairs, key=lambda pair: pair.figure.bench)  # stable: rows keep their order
    benches = [(bench, list(group)) for bench, group in groupby(ordered, key=lambda pair: pair.figure.bench)]
    links = " ".join(f'<a href="#{_e(bench)}">{_e(bench)}</a>' for bench, _ in benches)
    beside = f", beside {_e(earlier)} (pale)" if earlier else ""
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Benchmarks</title>',
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>Benchmarks</h1>\n<p>Figures of {_e(folder)}{beside}. Bar: median; line: p95; mark: goal.</p>",
            f"<nav>{links}</nav>",
            _standing_out(pairs),
            *(_section(bench, group, bool(earlier)) for bench, group in benches),
            "</body></html>\n",
        ]
    )


def _standing_out(pairs: Sequence[Pair]) -> str:
    """What to look at first: what got worse by most, then what misses its goal."""
    worse = sorted((pair for pair in pairs if pair.verdict == "worse"), key=lambda pair: -abs(pair.change or 0.0))
    lines = [f"{_e(pair.figure.bench)}: {_e(pair.figure.label)} {_percent(pair)} than before" for pair in worse]
    lines += [
        f"{_e(pair.now.bench)}: {_e(pair.now.label)} misses its goal {_e(pair.now.goal)} {_e(pair.now.unit)}"
        for pair in pairs
        if pair.now is not None and pair.now.met is False
    ]
    return f"<ul>{''.join(f'<li class=missed>{line}</li>' for line in lines)}</ul>" if lines else ""


def _section(bench: str, pairs: Sequence[Pair], compared: bool) -> str:
    by_unit: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_unit.setdefault(pair.figure.unit, []).append(pair)
    plots = [plot(unit, group) for unit, group in by_unit.items()]
    return f'<h2 id="{_e(bench)}">{_e(bench)}</h2>\n{"".join(plots)}\n{_table(pairs, compared)}\n{_load(pairs)}'


def _table(pairs: Iterable[Pair], compared: bool) -> str:
    heads = ["number", "unit", "n", "p50", "p95", "goal", *(["before", "change"] if compared else [])]
    rows = "".join(_row(pair, compared) for pair in pairs)
    head = "".join(f"<th>{each}</th>" for each in heads)
    return f'<div class="scroll"><table><tr>{head}</tr>{rows}</table></div>'


def _row(pair: Pair, compared: bool) -> str:
    figure, now = pair.figure, pair.now
    cells = [
        f"<td>{_e(figure.label)}</td><td>{_e(figure.unit)}</td><td>{now.n if now else ''}</td>",
        f"<td>{number(now.p50 if now else None)}</td><td>{number(now.p95 if now else None)}</td>",
        f'<td class="{"missed" if now and now.met is False else ""}">{_e(figure.goal)}</td>',
    ]
    if compared:
        before = pair.before.p50 if pair.before else None
        cells.append(f'<td>{number(before)}</td><td class="{pair.verdict}">{_percent(pair)}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _percent(pair: Pair) -> str:
    """The change of the median and the verdict on it."""
    if pair.change is None or pair.verdict == "same":
        return pair.verdict
    return f"{100 * pair.change:+.0f} % {pair.verdict}"


def _load(pairs: Iterable[Pair]) -> str:
    """How busy the machine was: it belongs to the figures."""
    loads = [pair.now.load for pair in pairs if pair.now is not None and pair.now.load]
    if not loads:
        return ""
    busy = [100 * load["cpu"] for load in loads]
    stolen = 100 * max(load["steal"] for load in loads)
    cores = f"{loads[0]['cores']:.0f} cores"
    return f"<p>{cores}, {min(busy):.0f} to {max(busy):.0f} % busy with everything, stolen {stolen:.0f} %</p>"


# --- plots -------------------------------------------------------------------------------


class Scale:
    """From a value to pixels beside the names: from 0 on, or logarithmic from a little below the smallest."""

    def __init__(self, values: Sequence[float]) -> None:
        known = [value for value in values if value > 0]
        self.logarithmic = bool(known) and len(known) == len(values) and max(known) / min(known) > _SPREAD
        self._low = min(known) / 2 if self.logarithmic else 0.0
        self._high = max(known, default=1.0)

    def __call__(self, value: float) -> float:
        """Pixels from the left end of the bars; values outside end at the edges."""
        if self.logarithmic:
            share = math.log(max(value, self._low) / self._low) / math.log(self._high / self._low)
        else:
            share = value / self._high
        return round(min(1.0, max(0.0, share)) * (_WIDTH - _LEFT - 80), 1)


def plot(unit: str, pairs: Sequence[Pair]) -> str:
    """Bars of all figures of one unit; "" where none of them has a value, or all are 0: the table says so in less."""
    shown = [
        pair for pair in pairs if any(each is not None and each.p50 is not None for each in (pair.now, pair.before))
    ]
    if not any(each and (each.p50 or each.p95) for pair in shown for each in (pair.now, pair.before)):
        return ""
    figures = [each for pair in shown for each in (pair.now, pair.before) if each is not None]
    scale = Scale([value for each in figures for value in (each.p50, each.p95, each.target) if value is not None])
    height = _LINE * len(shown) + 24
    said = f"{unit or 'number'}{', logarithmic' if scale.logarithmic else ''}"
    lines = "".join(_bars(place, pair, scale) for place, pair in enumerate(shown))
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{_e(said)}">'
        f'<text class="unit" x="{_LEFT}" y="14">{_e(said)}</text>{lines}</svg>\n'
    )


def _bars(place: int, pair: Pair, scale: Scale) -> str:
    top = 22 + place * _LINE
    figure, right = pair.figure, f'x="{_LEFT - 8}" text-anchor="end"'
    parts = [
        f'<text {right} y="{top + 11}">{_e(_short(figure.name))}</text>',
        f'<text {right} y="{top + 25}" class="unit">{_e(_short(figure.taken_with))}</text>',
    ]
    if pair.before is not None and pair.before.p50 is not None:
        parts.append(f'<rect class="pale" x="{_LEFT}" y="{top + 13}" width="{scale(pair.before.p50)}" height="8"/>')
    if pair.now is not None and pair.now.p50 is not None:
        parts += _now(top, pair.now, pair.now.p50, scale)
    missed = ' class="missed"' if pair.now is not None and pair.now.met is False else ""
    return f"<g{missed}><title>{_e(_told(pair))}</title>{''.join(parts)}</g>"


def _now(top: int, figure: Figure, median: float, scale: Scale) -> list[str]:
    end = scale(max(median, figure.p95 or median))
    parts = [f'<rect class="bar" x="{_LEFT}" y="{top + 3}" width="{max(1.0, scale(median))}" height="10"/>']
    if figure.p95 is not None:
        parts.append(f'<path class="tail" d="M{_LEFT + scale(median)} {top + 8}H{_LEFT + end}"/>')
    if figure.target is not None:
        parts.append(f'<path class="goal" d="M{_LEFT + scale(figure.target)} {top}v20"/>')
    parts.append(f'<text x="{_LEFT + end + 6}" y="{top + 13}">{number(median)}</text>')
    return parts


def _told(pair: Pair) -> str:
    """What stands beside the pointer."""
    parts = [
        f"{name}: p50 {number(each.p50)}, p95 {number(each.p95) or 'none'} {each.unit} of {each.n}"
        for name, each in (("now", pair.now), ("before", pair.before))
        if each is not None
    ]
    return "; ".join([pair.figure.label, *parts, pair.verdict])


def number(value: float | None) -> str:
    """Three digits that count; "" for none."""
    if value is None:
        return ""
    return f"{value:.0f}" if value == 0 or abs(value) >= 100 else f"{value:.3g}"


def _short(text: str, most: int = 46) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _e(text: str) -> str:
    return html.escape(text, quote=True)
