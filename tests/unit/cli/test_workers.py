"""`parley workers`: the fleet as a table and as JSON."""

from __future__ import annotations

import dataclasses
import io

from rich.console import Console

from parley.cli.workers import View, _draw
from parley.registry import WorkerMetrics
from parley.testing.registries import worker


def drawn(view: View, width: int = 80) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(_draw(view))
    return out.getvalue()


def test_each_worker_has_a_line_with_its_figures() -> None:
    text = drawn(View([(worker("alpha"), worker("beta", port=7200))]))
    assert "2 workers, 6 sessions" in text
    for part in ("alpha", "10.0.0.5:7100", "beta", "10.0.0.5:7200", "3/8", "12 ms", "0.25", "tone"):
        assert part in text


def test_a_narrow_terminal_still_shows_every_column() -> None:
    assert all(part in drawn(View([(worker(),)])) for part in ("sessions", "queue", "memory", "device", "MB"))


def test_a_worker_that_is_known_twice_is_shown_once() -> None:
    assert "1 worker, 3 sessions" in drawn(View([(worker(),), (worker(),)]))


def test_a_draining_worker_is_marked() -> None:
    assert "(draining)" in drawn(View([(dataclasses.replace(worker(), draining=True),)]))


def test_figures_that_are_not_known_are_left_empty() -> None:
    text = drawn(View([(dataclasses.replace(worker(), metrics=WorkerMetrics(), resident_models=()),)]))
    assert "nothing" in text
    assert " ms" not in text


def test_a_name_is_no_markup() -> None:
    assert "[/red] [bold]x" in drawn(View([(dataclasses.replace(worker(), name="[/red] [bold]x"),)]))


def test_trouble_with_the_registry_is_said_below() -> None:
    assert "cannot be reached" in drawn(View([()], "The registry cannot be reached."))
