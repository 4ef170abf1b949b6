"""A worker's own figures: what it has done and lost since it started, for its log and for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parley.errors import ConfigError
from parley.loop_watch import BUCKETS, Lags

if TYPE_CHECKING:
    from parley.rpc.values import Capabilities
    from parley.worker.residency import Counters
    from parley.worker.stats import WorkerStats

_MOST_ASKING = 8
_LONGEST_REQUEST = 8_192
_PATIENCE = 2.0
"""Seconds that a request may take to arrive."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric of a worker."""

    name: str
    kind: str
    """gauge, counter or histogram."""
    doc: str


FIGURES: tuple[Figure, ...] = (
    Figure("parley_tts_sessions", "gauge", "Sessions open now."),
    Figure("parley_tts_queue_depth", "gauge", "Utterances that wait for an engine now."),
    Figure("parley_tts_first_audio_seconds", "gauge", "Median time from text to first frame over the last minutes."),
    Figure("parley_tts_real_time_factor", "gauge", "Median time of synthesis per second of audio."),
    Figure("parley_tts_memory_bytes", "gauge", "Memory that models take, as estimated or measured."),
    Figure("parley_tts_draining", "gauge", "1 while it takes nothing new."),
    Figure("parley_tts_utterances_total", "counter", "Utterances begun."),
    Figure("parley_tts_completed_total", "counter", "Utterances spoken to their end."),
    Figure("parley_tts_stopped_total", "counter", "Utterances stopped by their caller."),
    Figure("parley_tts_failed_total", "counter", "Utterances that ended with an error."),
    Figure("parley_tts_refused_total", "counter", "Sessions and utterances refused for want of room."),
    Figure("parley_tts_frames_total", "counter", "Frames of 20 ms that left."),
    Figure("parley_tts_model_loads_total", "counter", "Models read into memory."),
    Figure("parley_tts_model_load_failures_total", "counter", "Models that could not be read."),
    Figure("parley_tts_model_unloads_total", "counter", "Models freed."),
    Figure("parley_tts_model_unload_failures_total", "counter", "Models whose memory did not all come back."),
    Figure("parley_tts_model_evictions_total", "counter", "Models freed for others, or because nobody used them."),
    Figure("parley_tts_model_refusals_total", "counter", "Requests for a model that were refused."),
    Figure("parley_tts_event_loop_lag_seconds", "histogram",
           "How late the event loop was, looked at 20 times a second; log.stall_after tells what held it up."),
)  # fmt: skip

Reading = tuple[Figure, float | Lags]


def readings(said: Capabilities, stats: WorkerStats, models: Counters) -> Iterator[Reading]:
    """Every figure as it is now, in the order of the table."""
    values: tuple[float | Lags, ...] = (
        said.sessions,
        stats.queue_depth,
        said.first_audio_p50_ms / 1000,
        said.real_time_factor,
        said.memory_used_bytes,
        said.draining,
        stats.utterances,
        stats.completed,
        stats.stopped,
        stats.failed,
        stats.refused,
        stats.frames,
        models.loads,
        models.load_failures,
        models.unloads,
        models.unload_failures,
        models.evictions,
        models.refusals,
        stats.lags,
    )
    return (
        (figure, value if isinstance(value, Lags) else float(value))
        for figure, value in zip(FIGURES, values, strict=True)
    )


def as_log_fields(read: Iterable[Reading]) -> dict[str, float]:
    """Those that are not zero, under short names; of a histogram what 99 of 100 do not exceed."""
    short = {
        figure.name.removeprefix("parley_tts_").removesuffix("_total"): value.at_most(0.99)
        if isinstance(value, Lags)
        else round(value, 4)
        for figure, value in read
    }
    return {name: value for name, value in short.items() if value}


def exposition(read: Iterable[Reading]) -> str:
    """Prometheus' text format."""
    lines: list[str] = []
    for figure, value in read:
        lines += [
            f"# HELP {figure.name} {figure.doc}",
            f"# TYPE {figure.name} {figure.kind}",
        ]
        lines += _histogram(figure.name, value) if isinstance(value, Lags) else [f"{figure.name} {value!r}"]
    return "\n".join(lines) + "\n"


def _histogram(name: str, lags: Lags) -> Iterator[str]:
    so_far = 0
    for bound, number in zip((*map(repr, BUCKETS), "+Inf"), lags.counts, strict=True):
        so_far += number
        yield f'{name}_bucket{{le="{bound}"}} {so_far}'
    yield f"{name}_sum {lags.sum!r}"
    yield f"{name}_count {so_far}"


async def serve_figures(port: int, read: Callable[[], Sequence[Reading]], *, host: str = "127.0.0.1") -> asyncio.Server:
    """Answer ``GET /metrics`` on this address. Raises ConfigError when the port is taken or the address is not ours."""
    asking = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asking
        asking += 1
        try:
            if asking <= _MOST_ASKING:
                writer.write(await _answer(reader, read))
                await writer.drain()
        except ConnectionError:
            pass  # whoever asked has gone
        finally:
            asking -= 1
            writer.close()

    try:
        return await asyncio.start_server(answer, host, port, limit=_LONGEST_REQUEST)
    except OSError as error:
        raise ConfigError(
            f"The worker's figures cannot be served on {host}, port {port} ({error.strerror}); set "
            "worker.metrics_port to another one or to 0 for none, or worker.metrics_host to an address of this host."
        ) from error


async def _answer(reader: asyncio.StreamReader, read: Callable[[], Sequence[Reading]]) -> bytes:
    try:
        async with asyncio.timeout(_PATIENCE):
            request = await reader.readuntil(b"\r\n\r\n")
    except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return _response("400 Bad Request", "")
    method, _, rest = request.partition(b" ")
    if method != b"GET" or rest.split(b" ", 1)[0] != b"/metrics":
        return _response("404 Not Found", "GET /metrics is all there is.\n")
    return _response("200 OK", exposition(read()))


def _response(status: str, body: str) -> bytes:
    data = body.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
        f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + data


def reference() -> str:
    """The part of ``docs/reference/metrics.md`` about a worker's own figures."""
    lines = [
        "",
        "## A worker's own",
        "",
        "`GET /metrics` of a worker answers at the port that `worker.metrics_port` names, on `127.0.0.1` unless",
        "`worker.metrics_host` says otherwise; it asks for no key.",
        "The same figures stand in its log once a minute while it speaks.",
        "",
        "| metric | kind | meaning |",
        "| --- | --- | --- |",
    ]
    lines += [f"| `{figure.name}` | {figure.kind} | {figure.doc} |" for figure in FIGURES]
    return "\n".join(lines) + "\n"
