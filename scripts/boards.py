"""The Grafana boards, as a description, and the files that are made of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql

FOLDER = Path(__file__).resolve().parent.parent / "deploy/grafana"
_WIDTH = 24
"""Columns of a Grafana board."""
_SOURCE = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True, slots=True)
class Query:
    """One expression and what its series are called."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    """As Grafana names it: s, bytes, percentunit, short, ops."""
    kind: str = "timeseries"
    """timeseries, stat, bargauge, heatmap or table."""
    help: str = ""
    width: int = 8
    height: int = 7
    stacked: bool = False
    limit: float | None = None
    """From here on it is red."""


@dataclass(frozen=True, slots=True)
class Board:
    """One board: rows of panels."""

    name: str
    """Of its file, and its address in Grafana."""
    title: str
    instances: str
    """The metric whose instances can be chosen."""
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]


# --- expressions: every one is bound to the instances that are chosen -------------------------


def _here(**labels: str) -> str:
    chosen = ['instance=~"$instance"', *(f'{label}=~"{value}"' for label, value in labels.items())]
    return "{" + ",".join(chosen) + "}"


def now(metric: str, by: str = "", of: str = "sum") -> str:
    """A gauge."""
    return f"{of} by ({by}) ({metric}{_here()})" if by else f"{of}({metric}{_here()})"


def per_second(metric: str, by: str = "", **labels: str) -> str:
    """A counter's rate."""
    return (
        f"sum by ({by}) (rate({metric}{_here(**labels)}[$__rate_interval]))"
        if by
        else (f"sum(rate({metric}{_here(**labels)}[$__rate_interval]))")
    )


def in_range(metric: str, by: str) -> str:
    """A counter's rise over the whole time that is shown."""
    return f"sum by ({by}) (increase({metric}{_here()}[$__range]))"


def quantile(share: float, metric: str, by: str = "", span: str = "$__rate_interval", **labels: str) -> str:
    """Of a histogram."""
    groups = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({groups}) (rate({metric}_bucket{_here(**labels)}[{span}])))"


def mean(metric: str, **labels: str) -> str:
    """Of a histogram."""
    here = _here(**labels)
    return f"sum(rate({metric}_sum{here}[$__rate_interval])) / sum(rate({metric}_count{here}[$__rate_interval]))"


def share(part: str, whole: str) -> str:
    """Of two rates; nothing where there is nothing of the whole."""
    return f"{part} / {whole}"


def spread(metric: str, **labels: str) -> tuple[Query, ...]:
    """Median, and what one in twenty and one in a hundred exceed."""
    return tuple(
        Query(quantile(at, metric, **labels), name)
        for at, name in ((0.5, "half"), (0.95, "95 of 100"), (0.99, "99 of 100"))
    )


def one(expression: str, legend: str = "") -> tuple[Query, ...]:
    """A panel's only query."""
    return (Query(expression, legend),)


FLEET = Board("fleet-dashboard", "Parley: fleet", "parley_sessions", (
    ("Now", (
        Panel("Conversations", one(now("parley_sessions")), kind="stat", width=4, height=4),
        Panel("Orchestrators ready", one(now("parley_ready")), kind="stat", width=4, height=4),
        Panel("Workers known", one(now("parley_workers", of="min")), kind="stat", width=4, height=4,
              help="By the orchestrator that knows the fewest."),
        Panel("Registry answers", one(now("parley_registry_up", of="min")), kind="stat", width=4, height=4),
        Panel("Alerts", one('sum by (alertname, severity) (ALERTS{alertstate="firing"})', "{{alertname}}"),
              kind="table", width=8, height=4),
    )),
    ("People", (
        Panel("Conversations by orchestrator", one(now("parley_sessions", "instance"), "{{instance}}"), stacked=True),
        Panel("Begun", one(per_second("parley_sessions_started_total", "transport"), "{{transport}}"), "ops"),
        Panel("How long they last", spread("parley_session_seconds"), "s"),
        Panel("Refused", one(per_second("parley_sessions_refused_total", "code"), "{{code}}"), "ops"),
        Panel("Ended by an error", one(per_second("parley_sessions_failed_total", "code"), "{{code}}"), "ops"),
        Panel("Connections turned away", one(per_second("parley_connections_refused_total", "code"), "{{code}}"),
              "ops"),
        Panel("Beyond a client's bounds", one(per_second("parley_excess_total", "kind, fate"), "{{kind}} {{fate}}"),
              "ops", width=12),
        Panel("Reactions to slow answers",
              one(in_range("parley_budget_reactions_total", "stage, reaction, why"), "{{stage}} {{reaction}} {{why}}"),
              kind="bargauge", width=12, help="Over the time that is shown."),
    )),
    ("Workers, as orchestrators see them", (
        Panel("Sessions", one(now("parley_worker_sessions", "worker", "max"), "{{worker}}"), stacked=True),
        Panel("Utterances that wait", one(now("parley_worker_queue_depth", "worker", "max"), "{{worker}}"), limit=4),
        Panel("Time to the first frame", one(now("parley_worker_first_audio_seconds", "worker", "max"), "{{worker}}"),
              "s"),
        Panel("Work for a second of speech",
              one(now("parley_worker_real_time_factor", "worker", "max"), "{{worker}}"), limit=0.9),
        Panel("Left alone after failures", one(now("parley_worker_avoided", "worker", "max"), "{{worker}}")),
        Panel("Why a worker was chosen", one(per_second("parley_routes_total", "reason"), "{{reason}}"), "ops",
              stacked=True),
        Panel("Utterances", (
            Query(per_second("parley_utterances_total"), "given to workers"),
            Query(per_second("parley_failovers_total"), "moved to another"),
            Query(per_second("parley_utterances_stood_in_total"), "by another voice"),
            Query(per_second("parley_utterances_refused_total"), "refused"),
            Query(per_second("parley_utterances_given_up_total"), "given up"),
        ), "ops", width=24),
    )),
    ("Orchestrators' processes", (
        Panel("Event loop late: 99 of 100", one(quantile(0.99, "parley_event_loop_lag_seconds", "instance"),
              "{{instance}}"), "s", limit=0.1, width=6),
        Panel("Cores", one(per_second("process_cpu_seconds_total", "instance"), "{{instance}}"), width=6),
        Panel("Memory", one(now("process_resident_memory_bytes", "instance"), "{{instance}}"), "bytes", width=6),
        Panel("Open files", (
            Query(now("process_open_fds", "instance"), "{{instance}}"),
            Query(now("process_max_fds", of="min"), "at most"),
        ), width=6),
        Panel("Recordings that broke off", one(in_range("parley_recordings_broken_total", "instance"), "{{instance}}"),
              kind="bargauge", width=24, height=4, help="The disk is full or slow; conversations went on."),
    )),
))  # fmt: skip

QUALITY = Board("quality-dashboard", "Parley: how conversations sound", "parley_sessions", (
    ("Answers", (
        Panel("From the last word to the first sound sent", spread("parley_turn_stage_seconds", stage="sent"), "s",
              limit=2),
        Panel("... to the first sound heard", spread("parley_turn_stage_seconds", stage="heard"), "s",
              help="Of clients that tell when they play."),
        Panel("Replies by their end", one(per_second("parley_replies_total", "outcome"), "{{outcome}}"), "ops",
              stacked=True),
        Panel("Silence before a turn counts as over",
              one(quantile(0.5, "parley_turn_end_seconds", "reason"), "{{reason}}"), "s"),
        Panel("Early replies that were right", one(share(
            per_second("parley_speculations_total", used="yes"), per_second("parley_speculations_total"))),
            "percentunit"),
        Panel("Agent speech heard per second", one(per_second("parley_reply_heard_seconds_total")),
              help="How many replies are heard at a time."),
    )),
    ("Interruptions", (
        Panel("From the first sound over a reply to silence", spread("parley_onset_to_silence_seconds"), "s",
              limit=0.4),
        Panel("Silent until it is judged", one(quantile(0.95, "parley_barge_in_hold_seconds", "outcome"),
              "{{outcome}}"), "s", help="95 of 100 are judged by then."),
        Panel("What sounds over replies were", one(per_second("parley_barge_in_hold_seconds_count", "outcome"),
              "{{outcome}}"), "ops", stacked=True),
        Panel("What a false alarm costs", spread("parley_resume_gap_seconds"), "s", width=24),
    )),
    ("Sound", (
        Panel("Standing still in mid-reply", one(share(
            per_second("parley_starved_seconds_total"), per_second("parley_reply_heard_seconds_total"))),
            "percentunit", limit=0.02),
        Panel("Times it stood still", one(per_second("parley_starved_total")), "ops"),
        Panel("Frames leave late", spread("parley_frame_lateness_seconds"), "s", limit=0.04),
        Panel("Jitter", spread("parley_frame_jitter_seconds"), "s"),
        Panel("Microphone lost", one(per_second("parley_microphone_lost_seconds_total", "where"), "{{where}}"), "s"),
        Panel("Errors that people were told", one(per_second("parley_errors_total", "code"), "{{code}}"), "ops"),
    )),
    ("Ears", (
        Panel("Behind: the worst turn", one(now("parley_recognizer_lag_seconds", "instance", "max"), "{{instance}}"),
              "s", limit=1.5),
        Panel("Sound that waits", one(now("parley_recognizer_waiting_seconds", "instance"), "{{instance}}"), "s"),
        Panel("Turns heard or waiting", one(now("parley_recognizer_turns", "instance"), "{{instance}}")),
        Panel("Decoders", (
            Query(now("parley_recognizer_decoders"), "there are"),
            Query(now("parley_recognizer_decoders_busy"), "at work"),
        )),
        Panel("Decoders that died", one(in_range("parley_recognizer_deaths_total", "instance"), "{{instance}}"),
              kind="bargauge", help="Over the time that is shown."),
        Panel("Words that came late or never", one(per_second("parley_late_transcripts_total", "outcome"),
              "{{outcome}}"), "ops"),
    )),
    ("Tools", (
        Panel("Calls", one(per_second("parley_tool_calls_total", "tool, outcome"), "{{tool}} {{outcome}}"), "ops",
              width=12),
        Panel("How long they take: 95 of 100", one(quantile(0.95, "parley_tool_seconds", "tool"), "{{tool}}"), "s",
              width=12),
    )),
))  # fmt: skip

WORKER = Board("worker-dashboard", "Parley: workers and GPUs", "parley_tts_sessions", (
    ("Speech", (
        Panel("Sessions", one(now("parley_tts_sessions", "instance"), "{{instance}}"), stacked=True),
        Panel("Utterances that wait", one(now("parley_tts_queue_depth", "instance"), "{{instance}}"), limit=4),
        Panel("Draining", one(now("parley_tts_draining", "instance"), "{{instance}}")),
        Panel("Time to the first frame", one(now("parley_tts_first_audio_seconds", "instance", "max"), "{{instance}}"),
              "s", limit=1),
        Panel("Work for a second of speech", one(now("parley_tts_real_time_factor", "instance", "max"), "{{instance}}"),
              limit=0.9, help="At 1 a voice takes as long to make as to hear."),
        Panel("Replies made at a time",
              one(f"{per_second('parley_tts_frames_total', 'instance')} / 50", "{{instance}}"),
              help="Frames of 20 ms, fifty to a second."),
        Panel("Utterances", (
            Query(per_second("parley_tts_utterances_total"), "begun"),
            Query(per_second("parley_tts_completed_total"), "spoken"),
            Query(per_second("parley_tts_stopped_total"), "stopped"),
            Query(per_second("parley_tts_failed_total"), "failed"),
            Query(per_second("parley_tts_refused_total"), "refused"),
        ), "ops", width=24),
    )),
    ("Models", (
        Panel("Memory of models", one(now("parley_tts_memory_bytes", "instance"), "{{instance}}"), "bytes",
              stacked=True),
        Panel("Come and gone", (
            Query(per_second("parley_tts_model_loads_total"), "loaded"),
            Query(per_second("parley_tts_model_unloads_total"), "freed"),
            Query(per_second("parley_tts_model_evictions_total"), "of these pushed out or idle"),
        ), "ops"),
        Panel("Trouble", (
            Query(per_second("parley_tts_model_load_failures_total"), "could not be read"),
            Query(per_second("parley_tts_model_unload_failures_total"), "memory not all back"),
            Query(per_second("parley_tts_model_refusals_total"), "refused"),
        ), "ops"),
        Panel("Event loop late: 99 of 100", one(quantile(0.99, "parley_tts_event_loop_lag_seconds", "instance"),
              "{{instance}}"), "s", limit=0.1, width=24),
    )),
    ("GPUs (dcgm-exporter)", (
        Panel("At work", one("avg by (gpu, modelName) (DCGM_FI_DEV_GPU_UTIL) / 100", "{{gpu}} {{modelName}}"),
              "percentunit", width=6),
        Panel("Memory used", one("avg by (gpu) (DCGM_FI_DEV_FB_USED / (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE))",
              "{{gpu}}"), "percentunit", limit=0.95, width=6),
        Panel("Temperature", one("max by (gpu) (DCGM_FI_DEV_GPU_TEMP)", "{{gpu}}"), "celsius", width=6),
        Panel("Power", one("max by (gpu) (DCGM_FI_DEV_POWER_USAGE)", "{{gpu}}"), "watt", width=6),
    )),
))  # fmt: skip

_STAGE = "parley_turn_stage_seconds"


def _added(stage: str, before: str, what: str) -> Query:
    return Query(f"{mean(_STAGE, stage=stage)} - {mean(_STAGE, stage=before)}", what)


TURN = Board("turn-dashboard", "Parley: where a turn's time goes", "parley_sessions", (
    ("From the participant's last word: when each stage is over", (
        Panel("Half of the turns", one(quantile(0.5, _STAGE, "stage", "$__range"), "{{stage}}"), "s", "bargauge",
              "vad: speech ends; endpoint: the turn is over; asr: its words are there; llm: the model's first words; "
              "tts: the voice's first sound; sent: it leaves; heard: it arrives. Over the time that is shown.",
              width=12, height=8),
        Panel("95 of 100", one(quantile(0.95, _STAGE, "stage", "$__range"), "{{stage}}"), "s", "bargauge",
              width=12, height=8),
    )),
    ("What each stage adds, on average", (
        Panel("Stages", (
            Query(mean(_STAGE, stage="endpoint"), "waiting whether more is said"),
            _added("asr", "endpoint", "ears"),
            _added("llm", "asr", "language model"),
            _added("tts", "llm", "voice"),
            _added("sent", "tts", "to the transport"),
            _added("heard", "sent", "to the ear"),
        ), "s", width=16, height=9, help="Below zero: what was begun early was ready before."),
        Panel("How answers spread", one(f"sum by (le) (rate({_STAGE}_bucket{_here(stage='sent')}[$__rate_interval]))",
              "{{le}}"), "s", "heatmap", height=9),
    )),
    ("What may have held it up", (
        Panel("Model's first words to first frame", spread("parley_first_audio_seconds"), "s", limit=1),
        Panel("Ears behind", one(now("parley_recognizer_lag_seconds", of="max"), "worst turn"), "s", limit=1.5),
        Panel("Tools", one(quantile(0.95, "parley_tool_seconds", "tool"), "{{tool}}"), "s"),
        Panel("Voices crowded", one(now("parley_worker_queue_depth", "worker", "max"), "{{worker}}"), limit=4),
        Panel("Event loop late: 99 of 100", one(quantile(0.99, "parley_event_loop_lag_seconds")), "s", limit=0.1),
        Panel("What was done about it",
              one(per_second("parley_budget_reactions_total", "stage, reaction"), "{{stage}} {{reaction}}"), "ops"),
    )),
))  # fmt: skip

BOARDS = (FLEET, QUALITY, WORKER, TURN)


def panels() -> list[Panel]:
    """Of all boards."""
    return [panel for board in BOARDS for _, row in board.rows for panel in row]


# --- as Grafana reads them --------------------------------------------------------------------


def dashboard(board: Board) -> dict[str, Any]:
    """The whole file."""
    laid: list[dict[str, Any]] = []
    top = 0
    for title, row in board.rows:
        laid.append({"id": len(laid) + 1, "type": "row", "title": title, "collapsed": False, "panels": [],
                     "gridPos": {"x": 0, "y": top, "w": _WIDTH, "h": 1}})  # fmt: skip
        left, top, tallest = 0, top + 1, 0
        for panel in row:
            if left + panel.width > _WIDTH:
                left, top, tallest = 0, top + tallest, 0
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            laid.append({"id": len(laid) + 1, "gridPos": place, **_panel(panel)})
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest
    return {
        "uid": f"parley-{board.name.removesuffix('-dashboard')}",
        "title": board.title,
        "tags": ["parley"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "links": [{"type": "dashboards", "tags": ["parley"], "title": "Parley", "asDropdown": True, "keepTime": True}],
        "templating": {"list": _variables(board)},
        "panels": laid,
    }


def _variables(board: Board) -> list[dict[str, Any]]:
    query = f"label_values({board.instances}, instance)"
    return [
        {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus", "refresh": 1},
        {"name": "instance", "label": "Process", "type": "query", "datasource": _SOURCE, "refresh": 2,
         "query": {"query": query, "refId": "instances"}, "definition": query, "sort": 1,
         "multi": True, "includeAll": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"}},
    ]  # fmt: skip


def _panel(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.limit is not None:
        steps.append({"color": "red", "value": panel.limit})
    defaults: dict[str, Any] = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "fillOpacity": 20 if panel.stacked else 0,
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "off" if panel.limit is None else "line"},
            "showPoints": "never",
            "spanNulls": False,
        }
    instant = panel.kind in ("stat", "bargauge", "table")
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.help,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _OPTIONS[panel.kind],
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": query.expression,
             "legendFormat": query.legend or "__auto", "instant": instant, "range": not instant,
             "format": {"heatmap": "heatmap", "table": "table"}.get(panel.kind, "time_series")}
            for number, query in enumerate(panel.queries)
        ],
    }  # fmt: skip


_OPTIONS: dict[str, dict[str, Any]] = {
    "timeseries": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "none"},
    "bargauge": {"reduceOptions": {"calcs": ["lastNotNull"]}, "orientation": "horizontal", "displayMode": "basic"},
    "heatmap": {"calculate": False, "yAxis": {"unit": "s"}, "color": {"mode": "scheme", "scheme": "Blues"}},
    "table": {"showHeader": True},
}


def documents() -> dict[Path, str]:
    """The files and their text. Raises ValueError for a panel that asks for what there is not."""
    wrong = [
        f"{panel.title}: {text}"
        for panel in panels()
        for query in panel.queries
        for text in promql.complaints(query.expression, query.legend)
    ]
    if wrong:
        raise ValueError("\n".join(wrong))
    return {
        FOLDER / f"{board.name}.json": json.dumps(dashboard(board), indent=1, ensure_ascii=False) + "\n"
        for board in BOARDS
    }
