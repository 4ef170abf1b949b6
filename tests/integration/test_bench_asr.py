"""``parley bench asr`` in real time."""

from __future__ import annotations

from parley.bench.asr import run
from parley.bench.report import BenchOptions


def test_a_recogniser_that_needs_no_time_ends_with_the_turn() -> None:
    rows = run(BenchOptions(trials=1, sessions=(1,), params={"engine": "instant"}))
    final = next(row for row in rows if "final" in row.name)
    assert final.n == 1
    assert final.p50 is not None
    assert 0 <= final.p50 < 1_000
