"""A worker's figures in Prometheus' text format, and in its log."""

from __future__ import annotations

from parley.loop_watch import Lags
from parley.worker.figures import FIGURES, as_log_fields, exposition

(LAG,) = (figure for figure in FIGURES if figure.kind == "histogram")


def test_a_histogram_is_shown_with_buckets_that_add_up() -> None:
    lags = Lags()
    for seconds in (0.0005, 0.04, 9.0):
        lags.add(seconds)
    lines = exposition([(LAG, lags)]).splitlines()
    name = LAG.name
    assert f'{name}_bucket{{le="0.001"}} 1' in lines
    assert f'{name}_bucket{{le="0.05"}} 2' in lines
    assert f'{name}_bucket{{le="5.0"}} 2' in lines
    assert f'{name}_bucket{{le="+Inf"}} 3' in lines
    assert f"{name}_count 3" in lines


def test_the_log_is_told_what_most_looks_did_not_exceed() -> None:
    lags = Lags()
    lags.add(0.04)
    assert as_log_fields([(LAG, lags)]) == {"event_loop_lag_seconds": 0.05}
