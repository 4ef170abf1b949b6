"""Draws the scores: who takes over what, and how long it takes. PNG files and one HTML page with them."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parley.bench.report import Share, percentile
from parley.bench.turns.score import Scores
from parley.errors import ConfigError
from parley.hints import install

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#4338ca", "#0f766e", "#a16207", "#be123c", "#64748b", "#7c3aed", "#0891b2", "#4d7c0f")
MARKS = ("o", "s", "D", "^", "v", "P", "X", "*")


def draw(scores: Sequence[Scores], folder: Path, rule: str = ", synthesised at run time") -> list[Path]:
    """Write ``frontier.png``, ``rates.png`` and ``turns.html``; returns their paths. ``rule``: where the sound is from.

    Raises ConfigError when matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        raise ConfigError(f"Plots need matplotlib; install it with: {install('bench')}.") from None
    mpl.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {"frontier": _frontier(scores), "rates": _rates(scores)}
    written = []
    for name, figure in pictures.items():
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=130)
        written.append(path)
    page = folder / "turns.html"
    page.write_text(_page(scores, pictures, rule), encoding="utf-8")
    return [*written, page]


def _frontier(scores: Sequence[Scores]) -> Figure:
    """Takeover against latency, for interruptions and for turns: the empty corner at the lower left is the goal."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.6), layout="constrained")
    floor, turn = figure.subplots(1, 2)
    for index, entry in enumerate(scores):
        style: dict[str, Any] = {
            "color": COLOURS[index % len(COLOURS)],
            "marker": MARKS[index % len(MARKS)],
            "s": 90,
            "label": entry.name,
        }
        silence = percentile(entry.onset_to_silence, 95)
        if silence is not None:
            floor.scatter(1000 * silence, 100 * float(entry.backchannels_lost), **style)
        latency = percentile(entry.turn_latency, 50)
        if latency is not None:
            turn.scatter(1000 * latency, 100 * float(entry.pauses_taken), **style)
    floor.set(
        xlabel="onset to silence, p95 (ms)",
        ylabel="replies lost to a nod (%)",
        title="When the participant makes a sound",
    )
    turn.set(xlabel="end of turn to answer, p50 (ms)", ylabel="pauses taken for an end (%)", title="When they pause")
    for axes in (floor, turn):
        axes.set_xlim(left=0)
        axes.set_ylim(-4, 104)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    floor.legend(frameon=False, fontsize=8)
    return figure


def _rates(scores: Sequence[Scores]) -> Figure:
    """Every rate as a bar: the two at the left should be high, all others low."""
    from matplotlib.figure import Figure

    names = [
        "interruptions\nhonoured",
        "turns\nanswered",
        "nods that\nlose a reply",
        "noises that\ndo",
        "pauses\ntaken",
    ]
    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / max(1, len(scores))
    for index, entry in enumerate(scores):
        rates = [entry.honoured, entry.turns_answered, entry.backchannels_lost, entry.noises_lost, entry.pauses_taken]
        places = [place + (index - (len(scores) - 1) / 2) * width for place in range(len(names))]
        bars = axes.bar(
            places, [100 * float(rate) for rate in rates], width * 0.92, color=COLOURS[index % len(COLOURS)]
        )
        axes.bar_label(bars, fmt="%.0f", fontsize=7)
        bars.set_label(entry.name)
    axes.set_xticks(range(len(names)), names)
    axes.set(ylabel="%", ylim=(0, 112))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, ncols=len(scores), loc="upper center", bbox_to_anchor=(0.5, 1.12))
    return figure


def _page(scores: Sequence[Scores], pictures: dict[str, Figure], rule: str) -> str:
    images = "".join(f'<img alt="{name}" src="data:image/png;base64,{_embedded(f)}">' for name, f in pictures.items())
    head = "".join(f"<th>{html.escape(title)}</th>" for title, _ in COLUMNS)
    rows = "".join(
        f"<tr>{''.join(f'<td>{html.escape(write(entry))}</td>' for _, write in COLUMNS)}</tr>" for entry in scores
    )
    style = (
        "body{font:15px/1.5 system-ui;margin:2rem auto;max-width:64rem;padding:0 1rem}"
        "img{max-width:100%}table{border-collapse:collapse;font-size:13px}"
        "th,td{text-align:right;padding:.3rem .6rem;border-bottom:1px solid #ddd}"
        "th:first-child,td:first-child{text-align:left}"
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Turns</title>'
        f"<style>{style}</style><h1>Who takes the floor, and when</h1>"
        f"<p>{scores[0].cases if scores else 0} conversations with a known truth{html.escape(rule)}.</p>"
        f"{images}<table><tr>{head}</tr>{rows}</table></html>\n"
    )


def _embedded(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=130)
    return base64.b64encode(buffer.getvalue()).decode()


def _percent(rate: Share) -> str:
    low, high = rate.interval()
    return f"{100 * float(rate):.1f} % ({100 * low:.0f}–{100 * high:.0f})" if rate.of else "–"


def _milliseconds(values: list[float]) -> str:
    middle, high = percentile(values, 50), percentile(values, 95)
    return "–" if middle is None or high is None else f"{1000 * middle:.0f} / {1000 * high:.0f}"


COLUMNS = (
    ("system", lambda s: s.name),
    ("interruptions honoured", lambda s: _percent(s.honoured)),
    ("nods that lose the reply", lambda s: _percent(s.backchannels_lost)),
    ("noises that do", lambda s: _percent(s.noises_lost)),
    ("pauses taken", lambda s: _percent(s.pauses_taken)),
    ("turns answered", lambda s: _percent(s.turns_answered)),
    ("false ends", lambda s: _percent(s.false_ends)),
    ("onset to silence, ms p50 / p95", lambda s: _milliseconds(s.onset_to_silence_quiet)),
    ("resume gap", lambda s: _milliseconds(s.resume_gap)),
    ("end of turn to answer", lambda s: _milliseconds(s.turn_latency)),
)
