"""Every metric of Parley: its name, what it counts, and where it is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector

from parley.loop_watch import BUCKETS as _LAGS
from parley.session.log import (
    BudgetReacted,
    Decided,
    Failed,
    Latency,
    ReplyOver,
    Resumed,
    Silenced,
    Speculated,
    Starved,
    ToolCalled,
    TranscriptLate,
    TurnClosed,
    Unheard,
)

if TYPE_CHECKING:
    from parley.session.log import LogEntry

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_FAST = (0.01, 0.02, 0.035, 0.05, 0.075, 0.095, 0.15, 0.25, 0.4, 0.7, 1.0, 2.0, 4.0)
_TOOL = (0.05, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)
_LATE = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.2, 1.0)
_LONG = (1, 5, 15, 60, 300, 900, 3600)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as Prometheus shows it."""

    name: str
    kind: str
    """gauge, counter or histogram."""
    doc: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    read: bool = False
    """Kept elsewhere, by its one label, and read when Prometheus asks."""


METRICS: tuple[Metric, ...] = (
    Metric("parley_sessions", "gauge", "Conversations that are held now."),
    Metric("parley_sessions_started_total", "counter", "Conversations begun.", ("transport",)),
    Metric("parley_sessions_refused_total", "counter", "Conversations refused before they began.", ("code",)),
    Metric("parley_sessions_failed_total", "counter", "Conversations that an error ended.", ("code",)),
    Metric("parley_session_seconds", "histogram", "Length of conversations.", (), _LONG),
    Metric("parley_barge_in_hold_seconds", "histogram",
           "Silence from the pause of a reply to the decision what the speech over it was.", ("outcome",), _FAST),
    Metric("parley_onset_to_silence_seconds", "histogram",
           "From the first voiced sample over a reply, as it arrived, to silence at the transport.", (), _FAST),
    Metric("parley_resume_gap_seconds", "histogram",
           "Silence of a reply that was held and goes on: what a false alarm costs.", (), _FAST),
    Metric("parley_turn_end_seconds", "histogram",
           "From the last speech of a turn to the decision that it is over.", ("reason",), _FAST),
    Metric("parley_turn_stage_seconds", "histogram",
           "From the last speech of a turn to the end of a stage: vad, endpoint, asr, llm, tts, sent, heard.",
           ("stage",), _FAST),
    Metric("parley_first_audio_seconds", "histogram",
           "From the first words of the language model to the first frame sent.", (), _FAST),
    Metric("parley_frame_lateness_seconds", "histogram", "How much later than due a frame was sent.", (), _LATE),
    Metric("parley_frame_jitter_seconds", "histogram",
           "By how much the lateness of a frame differs from the lateness of the one before it.", (), _LATE),
    Metric("parley_starved_total", "counter", "Times that a listener had heard all that was sent in mid-reply."),
    Metric("parley_starved_seconds_total", "counter", "Silence in mid-reply that came of it."),
    Metric("parley_event_loop_lag_seconds", "histogram",
           "How late the event loop was, looked at 20 times a second; log.stall_after tells what held it up.", (),
           _LAGS),
    Metric(
        "parley_late_transcripts_total",
        "counter",
        "Turns whose last words came, or failed to come, when the conversation had gone on, by what became of them.",
        ("outcome",),
    ),
    Metric("parley_tool_calls_total", "counter", "Calls of tools by what became of them.", ("tool", "outcome")),
    Metric("parley_tool_seconds", "histogram", "Time that calls of tools took.", ("tool",), _TOOL),
    Metric("parley_replies_total", "counter", "Replies by how they ended.", ("outcome",)),
    Metric("parley_reply_heard_seconds_total", "counter", "Speech of the agent that was heard."),
    Metric("parley_speculations_total", "counter", "Replies begun before the turn was surely over.", ("used",)),
    Metric("parley_budget_reactions_total", "counter",
           "Changes of how a session talks because answers came too late, by stage, reaction, and why it began "
           "(overrun) or ended (calm, no_help).", ("stage", "reaction", "why")),
    Metric("parley_errors_total", "counter", "Errors that a participant was told of.", ("code",)),
    Metric("parley_excess_total", "counter",
           "What a client sent (message, audio, datagram, mistake), was to be sent (agent_audio), or left on its data "
           "channel (unread) beyond its bounds, by what became of it: waited, dropped, or the client was closed.",
           ("kind", "fate")),
    Metric("parley_microphone_lost_seconds_total", "counter",
           "Participants' sound that was lost: on the network, in the inbox (nobody took it in time), or before the "
           "recogniser (it was too far behind).", ("where",)),
    Metric("parley_recognizer_turns", "gauge", "Turns that the recogniser hears, or that wait for it."),
    Metric("parley_recognizer_waiting_seconds", "gauge", "Sound that no decoder has heard, of all turns."),
    Metric("parley_recognizer_lag_seconds", "gauge",
           "Sound that no decoder has heard, of the turn that is farthest behind."),
    Metric("parley_recognizer_decoders", "gauge", "Decoder processes that run."),
    Metric("parley_recognizer_decoders_busy", "gauge", "Decoder processes that are decoding."),
    Metric("parley_recognizer_deaths_total", "counter", "Decoder processes that died or hung over a turn."),
    Metric("parley_recordings_broken_total", "counter",
           "Recordings that broke off because the disk failed or could not keep up."),
    Metric("parley_connections_refused_total", "counter",
           "Connections that were turned away, or whose request did not arrive in time.", ("code",)),
    Metric("parley_ready", "gauge", "1 while the server takes new conversations."),
    Metric("parley_registry_up", "gauge", "1 while the workers' registry answers."),
    Metric("parley_workers", "gauge", "Workers that are known."),
    Metric("parley_worker_sessions", "gauge", "Sessions open at a worker.", ("worker",), read=True),
    Metric("parley_worker_queue_depth", "gauge", "Utterances that wait at a worker.", ("worker",), read=True),
    Metric("parley_worker_first_audio_seconds", "gauge", "Median time to a worker's first frame.", ("worker",),
           read=True),
    Metric("parley_worker_real_time_factor", "gauge", "Seconds of work per second of audio at a worker.", ("worker",),
           read=True),
    Metric("parley_worker_avoided", "gauge", "1 while a worker comes after the others because it failed of late.",
           ("worker",), read=True),
    Metric("parley_utterances_total", "counter", "Utterances given to workers."),
    Metric("parley_failovers_total", "counter", "Utterances that went on with another worker."),
    Metric("parley_utterances_given_up_total", "counter", "Utterances that no worker could finish."),
    Metric("parley_utterances_refused_total", "counter", "Utterances refused because every worker was full."),
    Metric("parley_utterances_stood_in_total", "counter",
           "Utterances spoken by another voice than the one that was asked for."),
    Metric("parley_routes_total", "counter",
           "Workers chosen for utterances, by why: only, sticky, resident, load, chance, cold, stand_in, substitute.",
           ("reason",), read=True),
)  # fmt: skip
"""All of them, in the order of the reference page."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A figure that somebody else keeps, read when Prometheus asks."""

    name: str
    value: float
    label: str = ""
    """Of a metric that is kept by label."""


class Metrics:
    """The metrics of one process. Methods are cheap and may be called on the event loop."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for every counter, which nobody asks for
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        self._of: dict[str, Any] = {}
        self._source = _Source(self._of)
        self.registry.register(self._source)  # first: it sets what others show
        makers: Mapping[str, Any] = {"gauge": Gauge, "counter": Counter, "histogram": Histogram}
        for metric in METRICS:
            options = {"buckets": metric.buckets} if metric.buckets else {}
            if not metric.read:
                self._of[metric.name] = makers[metric.kind](
                    metric.name, metric.doc, metric.labels, registry=self.registry, **options
                )
        self._lateness = self._of["parley_frame_lateness_seconds"]
        self._jitter = self._of["parley_frame_jitter_seconds"]
        self.loop_lag: Callable[[float], None] = self._of["parley_event_loop_lag_seconds"].observe
        """Count how late the event loop was, in seconds (``loop_watch.LoopWatch``)."""

    def exposition(self) -> bytes:
        """What ``/metrics`` answers; its type is ``CONTENT_TYPE``."""
        return generate_latest(self.registry)

    def read_from(self, source: Callable[[], Iterable[Sample]]) -> None:
        """Have figures read whenever somebody asks: gauges are set, counters raised to the value."""
        self._source.sources.append(source)

    # --- sessions ----------------------------------------------------------------------

    def session_started(self, transport: str) -> None:
        """A conversation began."""
        self._of["parley_sessions_started_total"].labels(transport).inc()
        self._of["parley_sessions"].inc()

    def session_ended(self, seconds: float, error: str = "") -> None:
        """It ended; ``error`` is the code of what ended it."""
        self._of["parley_sessions"].dec()
        self._of["parley_session_seconds"].observe(seconds)
        if error:
            self._of["parley_sessions_failed_total"].labels(error).inc()

    def session_refused(self, code: str) -> None:
        """Somebody was sent away."""
        self._of["parley_sessions_refused_total"].labels(code).inc()

    def excess(self, kind: str, fate: str, amount: float = 1) -> None:
        """A client sent, or was to be sent, more than it may (``transports.host.Tally``)."""
        self._of["parley_excess_total"].labels(kind, fate).inc(amount)

    def microphone_lost(self, where: str, seconds: float) -> None:
        """So much of a participant's sound is gone (``transports.host.Tally``)."""
        self._of["parley_microphone_lost_seconds_total"].labels(where).inc(seconds)

    def refused_connection(self, code: str) -> None:
        """A connection was turned away (``transports.host.Tally``)."""
        self._of["parley_connections_refused_total"].labels(code).inc()

    def set_ready(self, ready: bool) -> None:
        """Whether new conversations are taken."""
        self._of["parley_ready"].set(ready)

    # --- as a session's observer -------------------------------------------------------

    def logged(self, entry: LogEntry) -> None:
        """Count what a session decided (``session.log.Observer``)."""
        match entry:
            case Decided():
                self._of["parley_barge_in_hold_seconds"].labels(entry.outcome).observe(entry.held)
            case TurnClosed():
                self._of["parley_turn_end_seconds"].labels(entry.reason).observe(entry.delay)
            case Latency():
                self._latency(entry.stages_ms)
            case ReplyOver():
                self._of["parley_replies_total"].labels(entry.outcome).inc()
                self._of["parley_reply_heard_seconds_total"].inc(max(0.0, entry.heard))
            case Speculated():
                self._of["parley_speculations_total"].labels("yes" if entry.used else "no").inc()
            case TranscriptLate():
                self._of["parley_late_transcripts_total"].labels(entry.outcome).inc()
            case ToolCalled():
                self._of["parley_tool_calls_total"].labels(entry.name, entry.outcome).inc()
                if entry.took:
                    self._of["parley_tool_seconds"].labels(entry.name).observe(entry.took)
            case Failed():
                self._of["parley_errors_total"].labels(entry.code).inc()
            case Unheard():
                self.microphone_lost("recogniser", entry.seconds)
            case _:
                self._sounded(entry)

    def _sounded(self, entry: LogEntry) -> None:
        match entry:
            case Silenced():
                self._of["parley_onset_to_silence_seconds"].observe(entry.since_onset)
            case Resumed():
                self._of["parley_resume_gap_seconds"].observe(entry.gap)
            case BudgetReacted():
                self._of["parley_budget_reactions_total"].labels(entry.stage, entry.reaction, entry.why).inc()
            case Starved():
                self._of["parley_starved_total"].inc()
                self._of["parley_starved_seconds_total"].inc(entry.gap)
            case _:
                pass

    def frame_sent(self, lateness: float, before: float = 0.0) -> None:
        """Count a frame of a session, whose frame ``before`` was so late."""
        self._lateness.observe(lateness)
        self._jitter.observe(abs(lateness - before))

    def _latency(self, stages_ms: Mapping[str, float]) -> None:
        for stage, milliseconds in stages_ms.items():
            self._of["parley_turn_stage_seconds"].labels(stage).observe(milliseconds / 1000)
        if "llm" in stages_ms and "sent" in stages_ms:
            self._of["parley_first_audio_seconds"].observe((stages_ms["sent"] - stages_ms["llm"]) / 1000)


class _Source:
    """A Prometheus collector over functions."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        self.sources: list[Callable[[], Iterable[Sample]]] = []
        self._known = known
        self._seen: dict[str, float] = {}

    def describe(self) -> list[Any]:
        return []

    def collect(self) -> Iterator[Any]:
        families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
        docs = {metric.name: metric for metric in METRICS}
        for sample in (sample for source in self.sources for sample in source()):
            metric = docs[sample.name]
            if metric.read:
                family = families.setdefault(sample.name, _family(metric))
                family.add_metric([sample.label], sample.value)
            elif metric.kind == "counter":
                self._known[sample.name].inc(max(0.0, sample.value - self._seen.get(sample.name, 0.0)))
                self._seen[sample.name] = sample.value
            else:
                self._known[sample.name].set(sample.value)
        yield from families.values()


def _family(metric: Metric) -> GaugeMetricFamily | CounterMetricFamily:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    return kind(metric.name, metric.doc, labels=list(metric.labels))


def reference() -> str:
    """The text of ``docs/reference/metrics.md``."""
    lines = [
        "# Metrics",
        "",
        "`GET /metrics` of the orchestrator answers in Prometheus' text format.",
        "Where `server.api_key` or `server.keys` is set it asks for a key with the role `metrics`, as "
        "`authorization: Bearer KEY`; other sites' pages are refused.",
        "Times are in seconds; histograms have the usual `_bucket`, `_sum` and `_count` series.",
        "Memory, processor time and open files of the process come with them as `process_*`.",
        "Nothing that was said is in any name or label.",
        "",
        "| metric | kind | labels | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.doc} |")
    return "\n".join(lines) + "\n"
