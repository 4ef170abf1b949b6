"""What traces cost: CPU of the server and its worker, all their children included, with traces and without.

Participants type short questions, one after the other, and hear the answers: more turns a second than people have,
and a turn is what a trace costs. Two servers run all the while, one without traces and one that tells every turn to a
collector (a socket of this process that throws them away); they are measured in turn, first the one, then the other,
in an order that changes from pair to pair. The difference is that of a pair.

``--set``: seconds (of each measurement, 6); ``--trials``: pairs (8); ``--sessions``: participants at a time (8).
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from parley import clock, tracing
from parley.bench.report import BenchOptions, Goal, LoadMeter, Row, percentile, row
from parley.bench.stack import RunningParley, running_parley
from parley.client.playout import Playout
from parley.client.session import SessionClient
from parley.errors import ConfigError, ParleyError
from parley.messages import ReplyEnded, StartSession, TextInput

if TYPE_CHECKING:
    from collections.abc import Iterator

PAIRS, SECONDS, SESSIONS = 8, 6.0, 8
_REPEAT, _MESSAGES, _ENTRIES = 200, 50, 30
"""Turns that are timed at once, and what one has: messages of a stream, entries of the log."""
QUESTION = "What is two plus three?"
_CPU = "core ms per session s"


def run(options: BenchOptions) -> list[Row]:
    if options.url:
        raise ConfigError("The benchmark traces starts its own servers; leave --url away.")
    pairs, seconds = options.trials or PAIRS, options.number("seconds", SECONDS)
    count = (options.sessions or (SESSIONS,))[0]
    with ExitStack() as stack:
        address, received = stack.enter_context(_collector())
        traced = {"traces.endpoint": address}
        stack.enter_context(_often())
        off = stack.enter_context(running_parley(options))
        on = stack.enter_context(running_parley(options, settings=traced, worker_settings=traced))
        meter = LoadMeter()
        for parley in (off, on):
            asyncio.run(_measure(parley, count, 1.0))  # what is done once is done
        spent: dict[bool, list[Window]] = {False: [], True: []}
        for pair in range(pairs):
            for with_traces in (False, True) if pair % 2 else (True, False):
                window = asyncio.run(_measure(on if with_traces else off, count, seconds))
                spent[with_traces].append(window)
    if not received:
        raise ParleyError("The collector was told nothing: these figures would be of no traces at all.")
    load = meter.read()
    params = {"sessions": count, "turns": sum(window.turns for window in spent[True]), "requests": len(received)}
    per = {kind: [1000 * window.cores / count for window in windows] for kind, windows in spent.items()}
    more = [after - before for before, after in zip(per[False], per[True], strict=True)]
    share = 100 * (percentile(more, 50) or 0.0) / (percentile(per[False], 50) or 1.0)
    turn = [
        1000 * (after.cores / after.turns_a_second - before.cores / before.turns_a_second)
        for before, after in zip(spent[False], spent[True], strict=True)
    ]
    return [
        row("CPU without traces", _CPU, per[False], params={"sessions": count}, load=load),
        row("CPU with every turn traced", _CPU, per[True], params=params, load=load),
        row("what traces add, pair by pair", _CPU, more, params={"percent": round(share, 1)}),
        row("what a traced turn costs", "core ms", turn, goal=Goal(3), params=params),
        row("what a turn costs that nobody traces", "core ms", _untraced(), goal=Goal(0.05)),
    ]


def _untraced() -> list[float]:
    """Milliseconds of all that a turn asks of ``parley.tracing``, where nobody collects."""
    found = []
    for _ in range(50):
        began = time.process_time()
        for _ in range(_REPEAT):
            with tracing.working_for(partial(tracing.place_of, "session", 1)):
                spans = [tracing.begin(name, "client", server__address="a") for name in ("ears", "llm", "voice")]
                for span in spans:
                    span.headers  # noqa: B018  (what a request would carry)
                    for _ in range(_MESSAGES):
                        span.reached("first")
                    span.end()
            for _ in range(_ENTRIES):
                tracing.is_collecting()
        found.append(1000 * (time.process_time() - began) / _REPEAT)
    return found


@contextmanager
def _often() -> Iterator[None]:
    """Spans leave twice a second, where it is every five seconds by itself: within the time in which they are made."""
    name = "OTEL_BSP_SCHEDULE_DELAY"
    before = os.environ.get(name)
    os.environ[name] = "500"
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


@dataclass(frozen=True, slots=True)
class Window:
    """One measurement."""

    cores: float
    """CPU seconds a second, of all processes."""
    turns: int
    turns_a_second: float


async def _measure(parley: RunningParley, count: int, seconds: float) -> Window:
    """So many participants for so long; counted from when all of them are there."""
    ready = asyncio.Barrier(count + 1)
    turns = 0

    async def talk() -> None:
        nonlocal turns
        async with SessionClient(parley.url, StartSession(echo_cancelled=True), listener=Playout()) as client:
            await ready.wait()
            until = clock.now() + seconds
            events = client.__aiter__()
            while clock.now() < until:
                await client.send(TextInput(QUESTION))
                while not isinstance((await anext(events)).message, ReplyEnded):
                    pass
                turns += 1

    async with asyncio.timeout(60 + 10 * seconds), asyncio.TaskGroup() as group:
        tasks = [group.create_task(talk()) for _ in range(count)]
        await ready.wait()
        began, before = clock.now(), _cpu(parley)
        await asyncio.wait(tasks)
        took, after = clock.now() - began, _cpu(parley)
    return Window((after - before) / took, turns, turns / took)


def _cpu(parley: RunningParley) -> float:
    """CPU seconds of the server, the worker, and all that they started."""
    import psutil

    total = 0.0
    for pid in (parley.orchestrator_pid, parley.worker_pid):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            total += sum(process.cpu_times()[:2])
    return total


@contextmanager
def _collector() -> Iterator[tuple[str, list[int]]]:
    """Takes traces and throws them away; the sizes of what came are kept."""
    received: list[int] = []

    class Take(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(len(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Take)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", received
    finally:
        server.shutdown()
        server.server_close()
