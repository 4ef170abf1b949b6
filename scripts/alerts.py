"""The alert rules, as a table, and the files for Prometheus that are made of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boards
import promql
import yaml

PAGE = Path(__file__).resolve().parent.parent / "docs/reference/alerts.md"
RULES = Path(__file__).resolve().parent.parent / "deploy/prometheus/alerts.yaml"
_HEAD = "# Written by scripts/docs.py from scripts/alerts.py: change it there.\n"


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule."""

    name: str
    expression: str
    lasting: str
    """How long it must hold, as Prometheus writes it."""
    severity: str
    """page: somebody is woken; ticket: somebody looks in the morning."""
    summary: str
    """What a participant notices, or soon will."""
    action: str
    """What to look at first."""


def _p(quantile: float, metric: str, by: str = "job", where: str = "") -> str:
    return f"histogram_quantile({quantile}, sum by (le, {by}) (rate({metric}_bucket{where}[5m])))"


def _share(part: str, whole: str, by: str = "job") -> str:
    return f"sum by ({by}) (rate({part}[5m])) / sum by ({by}) (rate({whole}[5m]))"


def _mean_until(stage: str) -> str:
    name, here = "parley_turn_stage_seconds", f'{{stage="{stage}"}}'
    return f"(sum by (job) (rate({name}_sum{here}[5m])) / sum by (job) (rate({name}_count{here}[5m])))"


GROUPS: dict[str, tuple[Alert, ...]] = {
    "is it there": (
        Alert("ParleyTargetDown", 'up{job=~"parley.*"} == 0', "1m", "page",
              "{{ $labels.instance }} does not answer.",
              "Is the process there, and does Prometheus have its key (server.api_key)?"),
        Alert("ParleyNotReady", "parley_ready == 0", "2m", "page",
              "{{ $labels.instance }} takes no new conversations.",
              "GET /health says why; while it drains this is meant."),
        Alert("ParleyNoWorkers", "parley_workers == 0", "1m", "page",
              "{{ $labels.instance }} knows no worker: nobody can speak.",
              "parley top; do the workers run, and announce themselves in the same registry?"),
        Alert("ParleyRegistryGone", "parley_registry_up == 0", "1m", "page",
              "{{ $labels.instance }} does not reach the registry.",
              "Redis: conversations go on with the workers that are known, and new workers are not found."),
        Alert("ParleyWorkerFails", "max by (job, worker) (parley_worker_avoided) == 1", "2m", "ticket",
              "{{ $labels.worker }} failed so often that others come first.",
              "Its log; restart it under load: others go on at the next word."),
    ),
    "what is heard": (
        Alert("ParleySlowAnswers", _p(0.95, "parley_turn_stage_seconds", where='{stage="sent"}') + " > 2", "5m", "page",
              "One answer in twenty begins more than two seconds after the participant's last word.",
              "The board of one turn says which stage takes the time."),
        Alert("ParleySlowEars", f'{_mean_until("asr")} - {_mean_until("endpoint")} > 0.5', "5m", "ticket",
              "The words of a turn come more than half a second after its end.",
              "Waiting sound and busy decoders: asr.decoders, a faster recogniser, another orchestrator."),
        Alert("ParleySlowModel", f'{_mean_until("llm")} - {_mean_until("asr")} > 1', "5m", "ticket",
              "The language model takes more than a second to its first words.",
              "The endpoint of llm.openai.base_url; session.budget tells participants and asks for less."),
        Alert("ParleySlowVoice", _p(0.95, "parley_first_audio_seconds") + " > 1", "5m", "ticket",
              "One reply in twenty sounds more than a second after the model's first words.",
              "Queues and real-time factors of the workers; add workers, or a faster voice."),
        Alert("ParleyStarving", _share("parley_starved_seconds_total", "parley_reply_heard_seconds_total") + " > 0.02",
              "5m", "page",
              "Replies stand still in the middle for more than 2 % of their time.",
              "The real-time factor of the voice, and how late frames leave."),
        Alert("ParleyLateFrames", _p(0.99, "parley_frame_lateness_seconds") + " > 0.04", "5m", "ticket",
              "One frame in a hundred leaves more than 40 ms late.",
              "Event-loop lag and processor of the orchestrator; more of them (--processes, replicas)."),
        Alert("ParleySlowToFallSilent", _p(0.95, "parley_onset_to_silence_seconds") + " > 0.4", "5m", "ticket",
              "One interruption in twenty is heard only after more than 0.4 s.",
              "Event-loop lag of the orchestrator, and the transport's own delay."),
        Alert("ParleySoundLost",
              'sum by (job, where) (rate(parley_microphone_lost_seconds_total{where!="network"}[5m])) > 0.05',
              "5m", "ticket",
              "Sound of participants is lost before the recogniser ({{ $labels.where }}).",
              "recogniser: it is too far behind; inbox: the event loop is late."),
        Alert("ParleyRepliesFail",
              _share('parley_replies_total{outcome="failed"}', "parley_replies_total") + " > 0.05", "5m", "page",
              "More than one reply in twenty fails.",
              "parley_errors_total by code: the model, the voice, or a tool."),
        Alert("ParleyLateWords",
              _share('parley_late_transcripts_total{outcome=~"lost|empty"}',
                     'parley_turn_stage_seconds_count{stage="endpoint"}') + " > 0.05", "10m", "ticket",
              "Turns go on without their words, which come too late or never.",
              "As for ParleySlowEars; session.limits.asr_timeout."),
    ),
    "who is sent away": (
        Alert("ParleyRefusesPeople", "sum by (job, code) (increase(parley_sessions_refused_total[5m])) > 5", "2m",
              "page", "Conversations are refused ({{ $labels.code }}).",
              "at_capacity: more orchestrators or server.max_sessions; unavailable: GET /health."),
        Alert("ParleySessionsFail",
              "sum by (job, code) (increase(parley_sessions_failed_total[10m])) > 2", "1m", "ticket",
              "Conversations end with an error ({{ $labels.code }}).",
              "The log of the orchestrator at that time; session_failed is a fault of Parley's own."),
        Alert("ParleyFlooded",
              'sum by (job) (rate(parley_excess_total{kind!="agent_audio"}[5m])) > 5 or '
              "sum by (job) (rate(parley_connections_refused_total[5m])) > 5", "2m", "ticket",
              "Somebody sends or connects far more than clients do.",
              "The log names addresses; server.connection_rate, clients.message_rate, a firewall."),
    ),
    "ears, voices, tools": (
        Alert("ParleyEarsBehind", "max by (job, instance) (parley_recognizer_lag_seconds) > 1.5", "1m", "ticket",
              "The recogniser of {{ $labels.instance }} is seconds behind somebody.",
              "asr.decoders, processor of that host, or another orchestrator."),
        Alert("ParleyDecodersDie", "sum by (job) (increase(parley_recognizer_deaths_total[10m])) > 2", "0m", "ticket",
              "Decoders die or hang again and again.",
              "The log says over what; memory of that host."),
        Alert("ParleyVoicesCrowded", "max by (job, worker) (parley_worker_queue_depth) > 4", "2m", "ticket",
              "Utterances wait at {{ $labels.worker }}.",
              "More workers with that model; routing.crowded lets sessions move."),
        Alert("ParleyVoiceTooSlow", "max by (job, worker) (parley_worker_real_time_factor) > 0.9", "5m", "ticket",
              "{{ $labels.worker }} takes nearly as long to speak as the speech lasts.",
              "Fewer sessions for that worker, a GPU, or a faster voice."),
        Alert("ParleyVoicesRefuse", "sum by (job) (increase(parley_utterances_refused_total[5m])) > 3", "1m", "page",
              "Replies find no worker with room.",
              "More workers; worker.max_sessions and worker.max_queue."),
        Alert("ParleyTextGivenUp", "sum by (job) (increase(parley_utterances_given_up_total[10m])) > 0", "0m", "ticket",
              "Text was given up after it broke several workers.",
              "The workers' logs at that time: an engine that dies over some text."),
        Alert("ParleyFailsOver", "sum by (job) (increase(parley_failovers_total[10m])) > 5", "0m", "ticket",
              "Replies move to other workers again and again.",
              "Which worker is avoided or restarts? Its log, its memory."),
        Alert("ParleyToolsFail",
              _share('parley_tool_calls_total{outcome="failed"}', "parley_tool_calls_total", "job, tool") + " > 0.2",
              "5m", "ticket", "More than one call in five of {{ $labels.tool }} fails.",
              "The tool's own log; what the model asked of it stands in no metric."),
    ),
    "inside": (
        Alert("ParleyLoopLate", _p(0.99, "parley_event_loop_lag_seconds", "job, instance") + " > 0.1", "5m", "ticket",
              "The event loop of {{ $labels.instance }} is late: everybody's sound waits there.",
              "log.stall_after=0.1 names what holds it up."),
        Alert("ParleyWorkerLoopLate", _p(0.99, "parley_tts_event_loop_lag_seconds", "job, instance") + " > 0.1", "5m",
              "ticket", "The event loop of the worker {{ $labels.instance }} is late.",
              "worker.models.isolate, and log.stall_after=0.1."),
        Alert("ParleyModelsFailToLoad", "sum by (job) (increase(parley_tts_model_load_failures_total[10m])) > 0", "0m",
              "ticket", "A voice could not be loaded.", "The worker's log names the file or package."),
        Alert("ParleyModelsChurn", "sum by (job) (increase(parley_tts_model_evictions_total[10m])) > 20", "5m",
              "ticket", "Models push each other out of memory.",
              "worker.models.resident_cap and memory_budget_bytes, or workers of their own for some models."),
        Alert("ParleyMemoryNotFreed", "sum by (job) (increase(parley_tts_model_unload_failures_total[1h])) > 0", "0m",
              "ticket", "A model's memory did not all come back.",
              "Restart that worker when it suits; worker.models.isolate."),
        Alert("ParleyBudgetExhausted",
              'sum by (job, stage) (increase(parley_budget_reactions_total{why="no_help"}[10m])) > 10', "5m", "ticket",
              "Reactions to slow answers do not help ({{ $labels.stage }}).",
              "That stage needs another engine or more machines."),
        Alert("ParleyRecordingsBreakOff", "sum by (job) (increase(parley_recordings_broken_total[10m])) > 0", "0m",
              "ticket", "Conversations are not recorded to their end, though they should be.",
              "Room on the disk of recording.folder, and recording.retention_days; conversations go on."),
        Alert("ParleyFilesRunOut", "process_open_fds / process_max_fds > 0.8", "5m", "ticket",
              "{{ $labels.instance }} has nearly as many files and connections open as it may.",
              "ulimit -n, and server.max_connections."),
    ),
}  # fmt: skip
"""Every alert, by what it is about."""


def alerts() -> Iterator[Alert]:
    """All of them."""
    for group in GROUPS.values():
        yield from group


def rules() -> dict[str, Any]:
    """As Prometheus reads them."""
    return {
        "groups": [
            {
                "name": f"parley: {title}",
                "rules": [
                    {
                        "alert": alert.name,
                        "expr": alert.expression,
                        "for": alert.lasting,
                        "labels": {"severity": alert.severity},
                        "annotations": {"summary": alert.summary, "description": alert.action},
                    }
                    for alert in group
                ],
            }
            for title, group in GROUPS.items()
        ]
    }


_HEADING = """\
# Alerts

<!-- Written by scripts/docs.py from scripts/alerts.py: change it there. -->

The rules of `deploy/prometheus/alerts.yaml`: what each says, what to look at first, and the panels that
show the same figures.
`page` wakes somebody, `ticket` waits until the morning.
[What was done to a running Parley, and what was seen of it](faults.md).
"""


def shown(alert: Alert) -> list[str]:
    """The panels that show what the alert looks at, one to a board; first those that show little else."""
    wanted = set(promql.asked(alert.expression).metrics)
    found = []
    for board in boards.BOARDS:
        near = []
        for _, row in board.rows:
            for panel in row:
                asked = {name for query in panel.queries for name in promql.asked(query.expression).metrics}
                if wanted & asked:
                    near.append((len(asked - wanted), -len(wanted & asked), len(near), panel.title))
        if near:
            *order, title = min(near)
            found.append((tuple(order), f"{board.name.removesuffix('-dashboard')}: {title}"))
    return [title for _, title in sorted(found)]


def page() -> str:
    """The text of docs/reference/alerts.md."""
    lines = [_HEADING]
    for title, group in GROUPS.items():
        lines += [f"## {title[0].upper()}{title[1:]}", "", "| alert | after | says | look at first | panels |"]
        lines += ["| --- | --- | --- | --- | --- |"]
        for alert in group:
            said = re.sub(r"{{ \$labels\.(\w+) }}", r"`\1`", alert.summary)
            where = "; ".join(shown(alert)) or "none: Prometheus' own page of targets"
            lines.append(f"| `{alert.name}` ({alert.severity}) | {alert.lasting} | {said} | {alert.action} | {where} |")
        lines.append("")
    return "\n".join(lines)


def documents() -> dict[Path, str]:
    """The files and their text. Raises ValueError for a rule that asks for what there is not."""
    wrong = [f"{alert.name}: {text}" for alert in alerts() for text in promql.complaints(alert.expression)]
    if wrong:
        raise ValueError("\n".join(wrong))
    return {PAGE: page(), RULES: _HEAD + yaml.safe_dump(rules(), sort_keys=False, width=140, allow_unicode=True)}
