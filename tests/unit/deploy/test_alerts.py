"""Each alert fires over its fault, and none in a quiet hour: Prometheus' own tool says so."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.deploy.scripts import script

alerts, promql = script("alerts"), script("promql")
pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)"
)

MINUTES = 60
AT = {"job": "parley", "instance": "o:8080"}
Series = dict[str, str]


def named(name: str, **labels: str) -> str:
    inside = ",".join(f'{label}="{value}"' for label, value in {**AT, **labels}.items())
    return f"{name}{{{inside}}}"


def steady(value: float) -> str:
    return f"{value}x{MINUTES}"


def rising(by: float) -> str:
    """A counter that rises by so much a minute."""
    return f"0+{by}x{MINUTES}"


def histogram(name: str, bounds: Mapping[str, float], total: float = 0.0, **labels: str) -> Series:
    """Observations a minute up to each bound, and the seconds of them all."""
    buckets = {named(f"{name}_bucket", le=bound, **labels): rising(count) for bound, count in bounds.items()}
    number = max(bounds.values())
    return {**buckets, named(f"{name}_count", **labels): rising(number), named(f"{name}_sum", **labels): rising(total)}


def stages(**means: float) -> Series:
    """Sixty turns a minute whose stages end after so long on average."""
    found: Series = {}
    for stage, seconds in means.items():
        fast, slow = ("0.7", "4.0") if seconds < 0.7 else ("4.0", "4.0")
        bounds = {"0.4": 0.0, "0.7": 60.0 if fast == "0.7" else 0.0, slow: 60.0, "+Inf": 60.0}
        found |= histogram("parley_turn_stage_seconds", bounds, 60 * seconds, stage=stage)
    return found


QUIET: Series = {
    named("up"): steady(1),
    named("parley_ready"): steady(1),
    named("parley_workers"): steady(2),
    named("parley_registry_up"): steady(1),
    named("parley_worker_avoided", worker="w1"): steady(0),
    named("parley_worker_queue_depth", worker="w1"): steady(1),
    named("parley_worker_real_time_factor", worker="w1"): steady(0.2),
    **stages(endpoint=0.42, asr=0.45, llm=0.5, sent=0.6),
    **histogram("parley_first_audio_seconds", {"0.25": 60.0, "+Inf": 60.0}),
    **histogram("parley_frame_lateness_seconds", {"0.01": 3000.0, "+Inf": 3000.0}),
    **histogram("parley_onset_to_silence_seconds", {"0.15": 20.0, "+Inf": 20.0}),
    **histogram("parley_event_loop_lag_seconds", {"0.01": 1200.0, "+Inf": 1200.0}),
    **histogram("parley_tts_event_loop_lag_seconds", {"0.01": 1200.0, "+Inf": 1200.0}),
    named("parley_starved_seconds_total"): rising(0.1),
    named("parley_reply_heard_seconds_total"): rising(300),
    named("parley_microphone_lost_seconds_total", where="inbox"): rising(0),
    named("parley_microphone_lost_seconds_total", where="network"): rising(20),
    named("parley_replies_total", outcome="finished"): rising(60),
    named("parley_replies_total", outcome="failed"): rising(1),
    named("parley_late_transcripts_total", outcome="lost"): rising(0.5),
    named("parley_sessions_refused_total", code="at_capacity"): rising(0),
    named("parley_sessions_failed_total", code="session_failed"): rising(0),
    named("parley_excess_total", kind="message", fate="waited"): rising(10),
    named("parley_connections_refused_total", code="unauthorized"): rising(10),
    named("parley_recognizer_lag_seconds"): steady(0.2),
    named("parley_recognizer_deaths_total"): rising(0),
    named("parley_utterances_refused_total"): rising(0),
    named("parley_utterances_given_up_total"): rising(0),
    named("parley_failovers_total"): rising(0.2),
    named("parley_tool_calls_total", tool="time", outcome="done"): rising(20),
    named("parley_tool_calls_total", tool="time", outcome="failed"): rising(1),
    named("parley_tts_model_load_failures_total"): rising(0),
    named("parley_tts_model_evictions_total"): rising(0.5),
    named("parley_tts_model_unload_failures_total"): rising(0),
    named("parley_budget_reactions_total", stage="voice", reaction="brief", why="no_help"): rising(0.1),
    named("parley_recordings_broken_total"): rising(0),
    named("process_open_fds"): steady(200),
    named("process_max_fds"): steady(1024),
}
"""A fleet that nobody has to look at."""

FAULTS: dict[str, Series] = {
    "ParleyTargetDown": {named("up"): steady(0)},
    "ParleyNotReady": {named("parley_ready"): steady(0)},
    "ParleyNoWorkers": {named("parley_workers"): steady(0)},
    "ParleyRegistryGone": {named("parley_registry_up"): steady(0)},
    "ParleyWorkerFails": {named("parley_worker_avoided", worker="w1"): steady(1)},
    "ParleySlowAnswers": stages(sent=3.5),
    "ParleySlowEars": stages(endpoint=0.42, asr=1.2),
    "ParleySlowModel": stages(asr=0.45, llm=2.0),
    "ParleySlowVoice": histogram("parley_first_audio_seconds", {"1.0": 0.0, "2.0": 60.0, "+Inf": 60.0}),
    "ParleyStarving": {named("parley_starved_seconds_total"): rising(30)},
    "ParleyLateFrames": histogram("parley_frame_lateness_seconds", {"0.04": 2000.0, "0.08": 3000.0, "+Inf": 3000.0}),
    "ParleySlowToFallSilent": histogram("parley_onset_to_silence_seconds", {"0.4": 10.0, "0.7": 20.0, "+Inf": 20.0}),
    "ParleySoundLost": {named("parley_microphone_lost_seconds_total", where="inbox"): rising(10)},
    "ParleyRepliesFail": {named("parley_replies_total", outcome="failed"): rising(20)},
    "ParleyLateWords": {named("parley_late_transcripts_total", outcome="lost"): rising(10)},
    "ParleyRefusesPeople": {named("parley_sessions_refused_total", code="at_capacity"): rising(4)},
    "ParleySessionsFail": {named("parley_sessions_failed_total", code="session_failed"): rising(1)},
    "ParleyFlooded": {named("parley_excess_total", kind="message", fate="waited"): rising(6000)},
    "ParleyEarsBehind": {named("parley_recognizer_lag_seconds"): steady(4)},
    "ParleyDecodersDie": {named("parley_recognizer_deaths_total"): rising(1)},
    "ParleyVoicesCrowded": {named("parley_worker_queue_depth", worker="w1"): steady(9)},
    "ParleyVoiceTooSlow": {named("parley_worker_real_time_factor", worker="w1"): steady(1.3)},
    "ParleyVoicesRefuse": {named("parley_utterances_refused_total"): rising(3)},
    "ParleyTextGivenUp": {named("parley_utterances_given_up_total"): rising(0.5)},
    "ParleyFailsOver": {named("parley_failovers_total"): rising(2)},
    "ParleyToolsFail": {named("parley_tool_calls_total", tool="time", outcome="failed"): rising(15)},
    "ParleyLoopLate": histogram("parley_event_loop_lag_seconds", {"0.1": 600.0, "0.5": 1200.0, "+Inf": 1200.0}),
    "ParleyWorkerLoopLate": histogram(
        "parley_tts_event_loop_lag_seconds", {"0.1": 600.0, "0.5": 1200.0, "+Inf": 1200.0}
    ),
    "ParleyModelsFailToLoad": {named("parley_tts_model_load_failures_total"): rising(1)},
    "ParleyModelsChurn": {named("parley_tts_model_evictions_total"): rising(10)},
    "ParleyMemoryNotFreed": {named("parley_tts_model_unload_failures_total"): rising(0.5)},
    "ParleyBudgetExhausted": {
        named("parley_budget_reactions_total", stage="voice", reaction="brief", why="no_help"): rising(5)
    },
    "ParleyRecordingsBreakOff": {named("parley_recordings_broken_total"): rising(1)},
    "ParleyFilesRunOut": {named("process_open_fds"): steady(1000)},
}
"""What each alert is there for."""
KEPT = {
    "ParleyWorkerFails": ("job", "worker"),
    "ParleySoundLost": ("job", "where"),
    "ParleyRefusesPeople": ("job", "code"),
    "ParleySessionsFail": ("job", "code"),
    "ParleyVoicesCrowded": ("job", "worker"),
    "ParleyVoiceTooSlow": ("job", "worker"),
    "ParleyToolsFail": ("job", "tool"),
    "ParleyBudgetExhausted": ("job", "stage"),
}
"""Labels of those alerts that are not one to a job or to an instance."""
WHOLE = {"where": "inbox", "worker": "w1", "tool": "time", "stage": "voice"}
CODES = {"ParleyRefusesPeople": "at_capacity", "ParleySessionsFail": "session_failed"}


def expected(alert: Any, job: str = "parley") -> dict[str, Any]:
    """The alert as Prometheus has to send it."""
    instance = "{{ $labels.instance }}" in alert.summary or "instance" in alert.expression
    labels = KEPT.get(alert.name, ("job", "instance") if instance or "by" not in alert.expression else ("job",))
    values = {label: {**AT, **WHOLE, "job": job, "code": CODES.get(alert.name, "")}[label] for label in labels}
    said = {"summary": alert.summary, "description": alert.action}
    filled = {
        name: re.sub(r"{{ \$labels\.(\w+) }}", lambda found: values[found[1]], text) for name, text in said.items()
    }
    return {"exp_labels": {**values, "severity": alert.severity}, "exp_annotations": filled}


def verdict(folder: Path, tests: list[dict[str, Any]]) -> str:
    """What the tool complains of."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(alerts.rules()), "utf-8")
    text = yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests})
    (folder / "tests.yaml").write_text(text, "utf-8")
    done = subprocess.run(
        ["promtool", "test", "rules", "tests.yaml"], cwd=folder, capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def over_quiet(fault: Series) -> Series:
    """The quiet fleet with this fault in it: a histogram of the fault's takes the whole place of the quiet one."""
    spread = {name.partition("{")[0] for name in fault if "_bucket{" in name}
    return {name: values for name, values in QUIET.items() if name.partition("{")[0] not in spread} | fault


def alone(alert: Any) -> Series:
    """What the alert asks for, with its fault in it, as a job of its own."""
    asked = promql.asked(alert.expression).metrics
    return {
        name.replace('job="parley"', f'job="parley-{alert.name}"'): values
        for name, values in over_quiet(FAULTS[alert.name]).items()
        if name.partition("{")[0] in asked
    }


def hour(series: Series, *looks: tuple[int, str, list[dict[str, Any]]]) -> dict[str, Any]:
    """These series, and what is wanted of which alert in which minute."""
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": wanted} for minute, alert, wanted in looks
        ],
    }


def test_each_alert_has_a_fault_that_it_is_tried_with() -> None:
    assert set(FAULTS) == {alert.name for alert in alerts.alerts()}


def test_each_alert_fires_over_its_fault_and_over_no_other(tmp_path: Path) -> None:
    series = {name: values for alert in alerts.alerts() for name, values in alone(alert).items()}
    looks = [(25, alert.name, [expected(alert, f"parley-{alert.name}")]) for alert in alerts.alerts()]
    assert verdict(tmp_path, [hour(series, *looks)]) == ""


def test_a_quiet_hour_fires_none(tmp_path: Path) -> None:
    looks = [(minute, alert.name, []) for alert in alerts.alerts() for minute in (5, 30, 60)]
    assert verdict(tmp_path, [hour(QUIET, *looks)]) == ""


def test_the_tool_notices_an_alert_that_does_not_fire(tmp_path: Path) -> None:
    alert = next(alerts.alerts())
    assert "FAILED" in verdict(tmp_path, [hour(QUIET, (25, alert.name, [expected(alert)]))])


def test_a_slow_model_is_not_blamed_on_ears_voice_or_process(tmp_path: Path) -> None:
    slow_model = over_quiet(stages(endpoint=0.42, asr=0.45, llm=2.0, sent=2.3))
    silent = ("ParleySlowEars", "ParleySlowVoice", "ParleyStarving", "ParleyRepliesFail", "ParleyLoopLate")
    assert verdict(tmp_path, [hour(slow_model, *((25, name, []) for name in silent))]) == ""
