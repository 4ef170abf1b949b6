"""Why a worker was chosen: one line of the log at level debug, and a metric, all the way to what Prometheus reads."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from parley.observability.metrics import Metrics
from parley.server.fleet import figures_of
from parley.testing.workers import FakeWorker

if TYPE_CHECKING:
    from .conftest import Talk

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("workers", "settings", "reasons"),
    [
        ("a", {"sticky": False}, ["only", "only"]),
        ("ab", {}, ["load", "sticky"]),
        ("ab", {"policy": "random", "sticky": False}, ["chance", "chance"]),
        ("ab", {"policy": "least-busy", "sticky": False}, ["load", "load"]),
    ],
)
async def test_why_a_worker_was_chosen_is_logged_and_counted(
    talk: Talk, caplog: pytest.LogCaptureFixture, workers: str, settings: dict[str, object], reasons: list[str]
) -> None:
    caplog.set_level(logging.DEBUG, "parley.routing.pool")
    pool = await talk.fleet(*map(FakeWorker, workers), **settings)
    metrics = Metrics()
    metrics.read_from(lambda: figures_of(pool))
    first = talk.say("1 2 3")
    await anext(first)  # type: ignore[arg-type]
    await talk.hear("1")
    await first.aclose()
    lines = [record for record in caplog.records if record.message == "worker chosen"]
    assert [line.__dict__["why"] for line in lines] == reasons
    assert {line.__dict__["worker"] for line in lines} <= set(workers)
    text = metrics.exposition().decode()
    for reason in set(reasons):
        assert f'parley_routes_total{{reason="{reason}"}} {float(reasons.count(reason))}' in text
