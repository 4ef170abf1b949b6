"""What benchmarks report: percentiles, goals, tables and JSON."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from parley.bench.report import BenchOptions, Goal, LoadMeter, percentile, row, show, to_json
from parley.errors import InvalidRequest


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 50, None), ([7], 99, 7), ([1, 2, 3, 4], 50, 2), (range(1, 101), 95, 95), ([3, 1, 2], 100, 3)],
)
def test_a_percentile_is_a_value_that_was_measured(values: list[float], share: float, expected: float | None) -> None:
    assert percentile(list(values), share) == expected


@pytest.mark.parametrize(
    ("goal", "met", "text"),
    [
        (Goal(), None, ""),
        (Goal(35, 95), True, "≤ 35 / 95"),
        (Goal(35, 90), False, "≤ 35 / 90"),
        (Goal(p95=95), True, "≤ – / 95"),
        (Goal(34), False, "≤ 34"),
        (Goal(30, at_least=True), True, "≥ 30"),
        (Goal(36, at_least=True), False, "≥ 36"),
    ],
)
def test_a_goal_says_whether_it_is_met(goal: Goal, met: bool | None, text: str) -> None:
    measured = row("x", "ms", [35.0] * 19 + [95.0] * 2, goal=goal)
    assert (goal.met(measured), str(goal)) == (met, text)


def test_one_sample_has_no_tail() -> None:
    assert (row("x", "MB", [180]).p50, row("x", "MB", [180]).p95) == (180, None)


def test_the_json_has_what_it_promises() -> None:
    body = json.loads(to_json([row("x", "ms", [1, 2], goal=Goal(3), params={"n": 1}, load=LoadMeter().read())]))
    assert set(body[0]) == {"name", "unit", "n", "p50", "p95", "p99", "goal", "met", "params", "load", "note"}
    assert set(body[0]["load"]) == {"load1", "cpu", "steal", "cores"}
    assert body[0]["met"] is True


def test_the_table_shows_every_row() -> None:
    out = io.StringIO()
    show(Console(file=out, width=140), "title", [row("first", "ms", [1.5, 2], goal=Goal(1)), row("second", "MB", [])])
    assert "first" in out.getvalue()
    assert "✗" in out.getvalue()
    assert "second" in out.getvalue()


def test_a_parameter_that_is_no_number_is_refused() -> None:
    options = BenchOptions(params={"snr": "loud"})
    with pytest.raises(InvalidRequest, match="--set snr=loud"):
        options.number("snr", 20)
    assert options.number("other", 20) == 20


def test_what_the_numbers_are_of_is_printed_once() -> None:
    out = io.StringIO()
    rows = [row("first", "ms", [1.5]), replace(row("second", "ms", [2]), note="of 7 cases, the reporting side")]
    show(Console(file=out, width=140), "title", [*rows, replace(rows[1], name="third")])
    assert out.getvalue().count("of 7 cases, the reporting side") == 1
