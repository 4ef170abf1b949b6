"""Figures that benchmarks wrote with ``--json``, read again and held against an earlier run.

A folder holds one file for each benchmark, named after it: ``turn.json``, ``barge-in.json``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parley.errors import ConfigError

NOTICEABLE = 0.1
"""Share of the earlier median by which the later one must differ to be called another."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of a benchmark; numbers are in ``unit``."""

    bench: str
    name: str
    unit: str
    n: int
    p50: float | None
    p95: float | None
    goal: str = ""
    met: bool | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    load: Mapping[str, float] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name, and with what it was taken."""
        return f"{self.name} ({self.taken_with})" if self.params else self.name

    @property
    def taken_with(self) -> str:
        """What tells it from others of its name."""
        return ", ".join(f"{key} {value}" for key, value in self.params.items())

    @property
    def target(self) -> float | None:
        """The first number of the goal; None without one."""
        numbers = [part for part in self.goal.lstrip("≤≥ ").split(" / ") if part and part != "–"]
        return float(numbers[0]) if numbers else None


@dataclass(frozen=True, slots=True)
class Pair:
    """A figure and the earlier one of the same thing; one of them may be missing."""

    now: Figure | None
    before: Figure | None

    @property
    def figure(self) -> Figure:
        """Whichever there is, the later one first."""
        found = self.now or self.before
        assert found is not None
        return found

    @property
    def change(self) -> float | None:
        """Of the medians, as a share of the earlier one; None where there is nothing to compare."""
        if self.now is None or self.before is None or self.now.p50 is None or not self.before.p50:
            return None
        return (self.now.p50 - self.before.p50) / abs(self.before.p50)

    @property
    def verdict(self) -> str:
        """new, gone, same, better, worse, or changed where no goal says which way is better."""
        if self.before is None:
            return "new"
        if self.now is None:
            return "gone"
        if self.change is None or abs(self.change) < NOTICEABLE:
            return "same"
        if not self.figure.goal:
            return "changed"
        return "better" if (self.change > 0) == self.figure.goal.startswith("≥") else "worse"


def read(folder: Path) -> list[Figure]:
    """All figures of a folder. Raises ConfigError when there are none, or a file is not what ``--json`` writes."""
    files = sorted(folder.glob("*.json"))
    if not files:
        raise ConfigError(f"No figures in {folder}: run `parley bench NAME --json {folder}/NAME.json` first.")
    return [figure for path in files for figure in _of_file(path)]


def _of_file(path: Path) -> list[Figure]:
    kept = ("name", "unit", "n", "p50", "p95", "goal", "met", "params", "load")
    try:
        rows = json.loads(path.read_text("utf-8"))
        return [Figure(path.stem, **{key: row[key] for key in kept}) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not what `parley bench --json` writes ({error}): take it away.") from None


def pairs(now: Sequence[Figure], before: Sequence[Figure]) -> list[Pair]:
    """Each figure of now with its earlier one, in their order; then those that are gone.

    Rows of one name and unit are told apart by what they were taken with; where that differs, because a figure
    stands in it that was measured, they are paired in their order if there are as many.
    """
    left: dict[tuple[str, str, str], list[Figure]] = defaultdict(list)
    for figure in before:
        left[_kind(figure)].append(figure)
    found = {id(figure): _take(left[_kind(figure)], figure) for figure in now}
    lone: dict[tuple[str, str, str], list[Figure]] = defaultdict(list)
    for figure in now:
        if found[id(figure)] is None:
            lone[_kind(figure)].append(figure)
    for kind, figures in lone.items():
        if len(figures) == len(left[kind]):
            found |= {id(figure): other for figure, other in zip(figures, left.pop(kind), strict=True)}
    gone = [Pair(None, figure) for figures in left.values() for figure in figures]
    return [*(Pair(figure, found[id(figure)]) for figure in now), *gone]


def _kind(figure: Figure) -> tuple[str, str, str]:
    return figure.bench, figure.name, figure.unit


def _take(among: list[Figure], figure: Figure) -> Figure | None:
    """The one that was taken with the same, out of the list."""
    for place, other in enumerate(among):
        if other.params == figure.params:
            return among.pop(place)
    return None
