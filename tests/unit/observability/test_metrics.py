"""Metrics: every name is in one table, and the table is what Prometheus sees."""

from __future__ import annotations

import re

from parley.observability.metrics import METRICS, Metrics, Sample, reference
from parley.session.log import (
    Decided,
    Failed,
    Latency,
    ReplyOver,
    Resumed,
    Silenced,
    Speculated,
    Starved,
    TurnClosed,
    Unheard,
)


def exposed(metrics: Metrics) -> str:
    return metrics.exposition().decode()


def test_every_metric_of_the_table_is_exposed_and_no_other() -> None:
    metrics = Metrics()
    metrics.read_from(lambda: [Sample(metric.name, 1.0, "w") for metric in METRICS if metric.read])
    names = {
        name if kind != "counter" or name.endswith("_total") else f"{name}_total"
        for name, kind in re.findall(r"^# TYPE (parley_\w+) (\w+)$", exposed(metrics), re.MULTILINE)
        if not name.endswith("_created")
    }
    assert names == {metric.name for metric in METRICS}


def test_a_session_is_counted_while_it_lasts() -> None:
    metrics = Metrics()
    metrics.session_started("websocket")
    assert "\nparley_sessions 1.0" in exposed(metrics)
    metrics.session_ended(12.0, "timed_out")
    text = exposed(metrics)
    assert "\nparley_sessions 0.0" in text
    assert 'parley_sessions_failed_total{code="timed_out"} 1.0' in text


def test_what_a_session_logs_is_counted() -> None:
    metrics = Metrics()
    metrics.logged(Decided(0, "u", "backchannel", (), 0.2))
    metrics.logged(TurnClosed(0, 1, "silence", 0.2))
    metrics.logged(Latency(0, 1, {"llm": 100.0, "sent": 150.0}))
    metrics.logged(ReplyOver(0, "u", "finished", 2.5))
    metrics.logged(Speculated(0, 1, used=True))
    metrics.logged(Failed(0, "unavailable", "gone"))
    metrics.logged(Silenced(0, "u", 0.045))
    metrics.logged(Resumed(0, "u", 0.3))
    metrics.logged(Starved(0, "u", 0.75))
    metrics.logged(Unheard(0, 1, 1.5))
    metrics.frame_sent(0.003)
    metrics.frame_sent(0.004, 0.002)
    metrics.loop_lag(0.25)
    text = exposed(metrics)
    for line in (
        'parley_barge_in_hold_seconds_count{outcome="backchannel"} 1.0',
        'parley_turn_end_seconds_sum{reason="silence"} 0.2',
        'parley_turn_stage_seconds_sum{stage="sent"} 0.15',
        "parley_first_audio_seconds_count 1.0",
        "parley_reply_heard_seconds_total 2.5",
        'parley_speculations_total{used="yes"} 1.0',
        'parley_errors_total{code="unavailable"} 1.0',
        "parley_frame_lateness_seconds_count 2.0",
        "parley_frame_jitter_seconds_sum 0.005",
        "parley_onset_to_silence_seconds_sum 0.045",
        "parley_resume_gap_seconds_sum 0.3",
        "parley_starved_total 1.0",
        "parley_starved_seconds_total 0.75",
        'parley_microphone_lost_seconds_total{where="recogniser"} 1.5',
        'parley_event_loop_lag_seconds_bucket{le="0.2"} 0.0',
        'parley_event_loop_lag_seconds_bucket{le="0.5"} 1.0',
    ):
        assert line in text


def test_a_counter_that_is_kept_elsewhere_is_not_counted_twice() -> None:
    metrics = Metrics()
    metrics.read_from(lambda: [Sample("parley_failovers_total", 3.0)])
    exposed(metrics)
    exposed(metrics)
    assert "parley_failovers_total 3.0" in exposed(metrics)


def test_a_counter_that_is_kept_by_label_elsewhere_is_shown_by_label() -> None:
    metrics = Metrics()
    metrics.read_from(
        lambda: [Sample("parley_routes_total", 3.0, "sticky"), Sample("parley_routes_total", 1.0, "only")]
    )
    text = exposed(metrics)
    assert 'parley_routes_total{reason="sticky"} 3.0' in text
    assert 'parley_routes_total{reason="only"} 1.0' in text


def test_the_reference_page_names_every_metric() -> None:
    assert [metric.name for metric in METRICS if f"`{metric.name}`" not in reference()] == []
