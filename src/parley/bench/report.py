"""What every benchmark hands back, and how it is shown: rows of percentiles with their goals.

A benchmark is a module with ``run(options: BenchOptions) -> list[Row]``; ``parley bench`` finds it
by name in one table (``parley.cli.bench``), prints its rows and writes them as JSON when asked.
"""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from parley.errors import InvalidRequest

if TYPE_CHECKING:
    from rich.console import Console

Param = str | int | float | bool


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What the command line says to every benchmark."""

    url: str = ""
    """A running Parley to measure; empty: start one for the benchmark."""
    trials: int = 0
    """How many; 0 for the benchmark's own default."""
    sessions: tuple[int, ...] = ()
    """Numbers of sessions; empty for the benchmark's own default."""
    seed: int = 1
    params: Mapping[str, str] = field(default_factory=dict)
    """Everything else, as ``--set name=value``; each benchmark documents its own."""
    read: set[str] = field(default_factory=set, compare=False)
    """Parameters that a benchmark has asked for."""

    @property
    def unread(self) -> list[str]:
        """Parameters that were given and that nobody asked for; names with a dot are settings of the servers."""
        return [name for name in self.params if "." not in name and name not in self.read]

    def number(self, name: str, default: float) -> float:
        """A numeric parameter; InvalidRequest when it is not a number."""
        text = self.text(name)
        try:
            return float(text) if text else default
        except ValueError:
            raise InvalidRequest(f"--set {name}={text}: a number is needed.") from None

    def text(self, name: str, default: str = "") -> str:
        self.read.add(name)
        return self.params.get(name, "") or default


@dataclass(frozen=True, slots=True)
class Goal:
    """What is aimed at; a value that is not set does not matter."""

    p50: float | None = None
    p95: float | None = None
    at_least: bool = False
    """True where more is better."""

    def met(self, row: Row) -> bool | None:
        """None when there is nothing to compare."""
        pairs = [(row.p50, self.p50), (row.p95, self.p95)]
        checks = [
            value >= wanted if self.at_least else value <= wanted
            for value, wanted in pairs
            if wanted is not None and value is not None
        ]
        return all(checks) if checks else None

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        parts = ["–" if value is None else f"{value:g}" for value in (self.p50, self.p95)]
        if self.p95 is None:
            parts = parts[:1]
        return "" if parts == ["–"] else f"{sign} {' / '.join(parts)}"


@dataclass(frozen=True, slots=True)
class Row:
    """One measured number."""

    name: str
    unit: str
    n: int
    p50: float | None
    p95: float | None
    p99: float | None
    goal: Goal = field(default_factory=Goal)
    params: Mapping[str, Param] = field(default_factory=dict)
    load: Mapping[str, float] = field(default_factory=dict)
    """The machine while it was measured: see ``LoadMeter``."""
    note: str = ""
    """What the number is of, where that must be known to judge it; printed once for all rows that have it."""


def row(
    name: str,
    unit: str,
    values: Sequence[float],
    *,
    goal: Goal | None = None,
    params: Mapping[str, Param] | None = None,
    load: Mapping[str, float] | None = None,
) -> Row:
    """A row from its samples; one sample stands for itself and has no percentiles beyond p50."""
    many = len(values) > 1
    return Row(
        name,
        unit,
        len(values),
        percentile(values, 50),
        percentile(values, 95) if many else None,
        percentile(values, 99) if many else None,
        goal or Goal(),
        params or {},
        load or {},
    )


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least ``share`` percent of all do not exceed; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    return float(ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)])


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    hits: int
    of: int

    def __float__(self) -> float:
        """0 to 1; 0 where there were none."""
        return self.hits / self.of if self.of else 0.0

    def interval(self, deviations: float = 1.96) -> tuple[float, float]:
        """Wilson's: where the true share lies, 95 times of 100 (0 to 1, both ends)."""
        if not self.of:
            return 0.0, 1.0
        count, rate, square = self.of, float(self), deviations**2
        middle = (rate + square / (2 * count)) / (1 + square / count)
        half = deviations / (1 + square / count) * math.sqrt(rate * (1 - rate) / count + square / (4 * count**2))
        return max(0.0, middle - half), min(1.0, middle + half)


def share(hits: Sequence[bool]) -> Share:
    """How many of these are true."""
    return Share(sum(hits), len(hits))


def percentage(
    name: str,
    value: Share,
    *,
    goal: Goal | None = None,
    params: Mapping[str, Param] | None = None,
    load: Mapping[str, float] | None = None,
) -> Row:
    """A row for a share, with its interval; n is what it is a share of. Nothing is said of none."""
    if not value.of:
        return Row(name, "%", 0, None, None, None, goal or Goal(), params or {}, load or {})
    low, high = value.interval()
    within = {"95 %": f"{100 * low:.1f}–{100 * high:.1f}"}
    return Row(
        name, "%", value.of, 100 * float(value), None, None, goal or Goal(), {**(params or {}), **within}, load or {}
    )


class LoadMeter:
    """How busy the machine was between making this and asking: others' work disturbs every timing."""

    def __init__(self) -> None:
        import psutil

        self._psutil = psutil
        self._before = psutil.cpu_times()

    def read(self) -> dict[str, float]:
        """``load1``, ``cpu`` (share of all cores in use), ``steal`` (share taken by other machines), ``cores``."""
        after = self._psutil.cpu_times()
        spent = {name: getattr(after, name) - getattr(self._before, name) for name in after._fields}
        guest = spent.get("guest", 0.0) + spent.get("guest_nice", 0.0)  # counted in user and nice, too
        total = max(1e-9, sum(spent.values()) - guest)
        idle = spent.get("idle", 0.0) + spent.get("iowait", 0.0)
        return {
            "load1": round(os.getloadavg()[0], 2),
            "cpu": round(1 - idle / total, 3),
            "steal": round(spent.get("steal", 0.0) / total, 3),
            "cores": float(os.cpu_count() or 1),
        }


def to_json(rows: Sequence[Row]) -> str:
    """The rows as a JSON list of objects."""
    return json.dumps([{**asdict(r), "goal": str(r.goal), "met": r.goal.met(r)} for r in rows], indent=1)


def write_json(path: Path, rows: Sequence[Row]) -> None:
    path.write_text(to_json(rows) + "\n", encoding="utf-8")


def show(console: Console, title: str, rows: Sequence[Row]) -> None:
    """A table for people; one line per row."""
    from rich.table import Table

    caption = "\n".join([*dict.fromkeys(item.note for item in rows if item.note), _machine(rows)])
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    table.add_column("number", overflow="fold")
    table.add_column("with", overflow="fold")
    for column in ("unit", "n", "p50", "p95", "p99", "goal", ""):
        table.add_column(column, justify="left" if column in ("unit", "goal", "") else "right", no_wrap=True)
    for item in rows:
        met = item.goal.met(item)
        table.add_row(
            item.name,
            ", ".join(f"{key} {value}" for key, value in item.params.items()),
            item.unit,
            str(item.n),
            *(_number(value) for value in (item.p50, item.p95, item.p99)),
            str(item.goal),
            "" if met is None else "[green]✓[/]" if met else "[red]✗[/]",
        )
    console.print(table)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.4f}" if abs(value) < 0.1 else f"{value:.2f}"


def _machine(rows: Sequence[Row]) -> str:
    loads = [r.load for r in rows if r.load]
    busy = ""
    if loads:
        shares = [100 * load["cpu"] for load in loads]
        highest = max(load["load1"] for load in loads)
        stolen = 100 * max(load["steal"] for load in loads)
        busy = f"; {loads[0]['cores']:.0f} cores, {min(shares):.0f} to {max(shares):.0f} % busy with everything"
        busy += f", load {highest:.1f}, stolen {stolen:.0f} %"
    return f"Python {platform.python_version()} on {platform.system()} {platform.machine()}{busy}"
