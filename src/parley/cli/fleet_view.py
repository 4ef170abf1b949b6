"""The fleet as a table: a row for each worker, and below it one for each model that it holds in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from parley.registry import AnnouncedModel, Announcement

WIDE = 120
"""Columns from which on address and device have columns of their own."""
_FIGURES = ("sessions", "queue", "first", "pace", "refused", "memory")
_AROUND = 8
"""Lines of a picture that are no rows: title, head, rule, trouble, what is left out, legend (at most two), cursor."""
_LEGEND = (
    "first: median time to the first audio; pace: seconds of work for a second of audio; queue: utterances that wait; "
    "refused: since it started; *: speaks unless another model is named"
)

Row = tuple[list[str], str]
"""Cells and a style."""


def draw(fleet: Sequence[Announcement], trouble: str, *, width: int, height: int | None = None) -> RenderableType:
    """The fleet, at most ``width`` columns and ``height`` lines of it; ``trouble`` is said below."""
    wide = width >= WIDE
    rows = [row for said in fleet for row in _rows(said, wide=wide)]
    shown = _that_fit(rows, height)
    table = Table(
        title=title(fleet),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for column in ("worker, models", "address", "device") if wide else ("worker, models",):
        table.add_column(column)
    for index, column in enumerate(_FIGURES):
        # A name may be cut where there is no room; a figure without its end is another figure.
        longest = max((len(cells[index - len(_FIGURES)]) for cells, _ in shown), default=0)
        table.add_column(column, justify="right", no_wrap=True, min_width=max(len(column), longest))
    for cells, style in shown:
        # Text: what a worker calls itself is no markup
        table.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in cells), style=style)
    notes = [Text(trouble, style="yellow")] if trouble else []
    if len(shown) < len(rows):
        notes.append(Text(f"{len(rows) - len(shown)} more lines have no room here; --once prints all of them.", "dim"))
    return Group(table, *notes, Text(_LEGEND, style="dim"))


def title(fleet: Sequence[Announcement]) -> str:
    """All of it in one line."""
    sessions = sum(said.metrics.sessions for said in fleet)
    waiting = sum(said.metrics.queue_depth for said in fleet)
    refused = sum(said.metrics.refused for said in fleet)
    draining = sum(said.draining for said in fleet)
    return ", ".join(
        [
            f"{len(fleet)} worker{'s' * (len(fleet) != 1)}" + (f" ({draining} draining)" if draining else ""),
            f"{sessions} session{'s' * (sessions != 1)}",
            f"{waiting} waiting",
            f"{refused} refused",
        ]
    )


def _that_fit(rows: Sequence[Row], height: int | None) -> Sequence[Row]:
    return rows if height is None else rows[: max(1, height - _AROUND)]


def _rows(said: Announcement, *, wide: bool) -> list[Row]:
    metrics = said.metrics
    most = f"/{metrics.max_sessions}" if metrics.max_sessions else ""
    name = said.name + (" (draining)" if said.draining else "")
    where = [said.address, said.device] if wide else []
    style = "dim" if said.draining else "bold"
    figures = [
        f"{metrics.sessions}{most}",
        str(metrics.queue_depth),
        f"{metrics.first_audio_p50_ms:.0f} ms" if metrics.first_audio_p50_ms else "",
        _pace(metrics.real_time_factor),
        str(metrics.refused),
        _memory(metrics.memory_used_bytes, metrics.memory_budget_bytes),
    ]
    rows: list[Row] = [([name, *where, *figures], style)]
    if not wide:
        place = said.device if said.address == said.name else f"{said.address}, {said.device}"
        rows.append(([f"  {place}", *[""] * len(figures)], "dim"))
    rows += [
        (_model(model_id, said.model(model_id), blanks=len(where)), "dim" * said.draining)
        for model_id in said.resident_models
    ]
    if not said.resident_models:
        rows.append((["  no model in memory", *[""] * (len(where) + len(figures))], "dim"))
    return rows


def _model(model_id: str, model: AnnouncedModel | None, *, blanks: int) -> list[str]:
    """A LoRA is resident as "model+lora", and no entry of the catalog."""
    pace = _pace(model.real_time_factor) if model else ""
    memory = _memory(model.memory_bytes, 0) if model else ""
    mark = " *" if model is not None and model.is_default else ""
    return [f"  {model_id}{mark}", *[""] * (blanks + 3), pace, "", memory]


def _pace(factor: float) -> str:
    return f"{factor:.2f}" if factor else ""


def _memory(used: int, budget: int) -> str:
    """In megabytes up to 10 GB, from there on in gigabytes; one unit for both."""
    if not used and not budget:
        return ""
    unit, places, name = (1e6, 0, "MB") if max(used, budget) < 1e10 else (1e9, 1, "GB")
    bound = f"/{budget / unit:.{places}f}" if budget else ""
    return f"{used / unit:.{places}f}{bound} {name}"
