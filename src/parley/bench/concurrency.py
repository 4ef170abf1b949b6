"""What one orchestrator process carries: CPU, pacing and memory with N sessions that all speak and listen.

Every session hears the agent (tone model, through gRPC) and sends a microphone (a quiet room), with
voice activity detection on. The participants live in one process of their own. CPU is that of the
orchestrator's process alone, in core seconds per second and session. Jitter is how far the
distance of two frames is from 20 ms; lateness how far a frame comes behind a player that has no
buffer and started with the first one.

``--set``: seconds (measured for each N, 10), noise (dB of the room, -65), stop_ms (10: where the search stops),
echo_cancelled (yes; no: participants who promise nothing, with headphones, so that the session has to find out),
bare (yes: beside it, in the same minute, a server of the same libraries that only takes and sends the frames; no).
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from typing import Any

from parley.bench.load import NOISE_DB, LoadRequest
from parley.bench.report import BenchOptions, Goal, LoadMeter, Param, Row, percentile, row
from parley.bench.stack import RunningParley, running_bare, running_parley
from parley.errors import InvalidRequest, ParleyError

SESSIONS = (1, 10, 50, 80, 100, 120, 140)
SECONDS = 10.0
TEXT = "The tone goes on and on for as long as this sentence says, which is long. " * 60
"""About four minutes."""
_GOALS = {
    "cpu": {10: Goal(0.013)},
    "cpu, no promise": {10: Goal(0.020)},
    "jitter": {50: Goal(p95=5)},
    "memory": {10: Goal(200)},
}


def run(options: BenchOptions) -> list[Row]:
    rows: list[Row] = []
    most = 0
    stop_ms = options.number("stop_ms", 10)
    promised = _yes(options, "echo_cancelled")
    compared = not options.url and _yes(options, "bare")
    with running_parley(options, worker="tone") as parley:
        for count in options.sessions or SESSIONS:
            meter = LoadMeter()
            window = asyncio.run(_measure(parley, options, count))
            rows += _rows(window, count, meter, promised=promised)
            if compared:
                rows += _beside_bare(options, count, window["cores"]["orchestrator"])
            late = percentile(window["late"], 95)
            if window["errors"] or window["silent_sessions"] or late is None or late > stop_ms:
                break
            most = count
    wanted = Goal(120, at_least=True)
    reached = most >= 120 or most < max(options.sessions or SESSIONS)
    rows.append(
        row(
            f"sessions before frames are late by more than {stop_ms:g} ms (p95)",
            "sessions",
            [most],
            goal=wanted if reached else None,  # without late frames and with few asked for, it says nothing
        )
    )
    return rows


async def _measure(parley: RunningParley, options: BenchOptions, count: int) -> dict[str, Any]:
    """One window with ``count`` sessions."""
    seconds = options.number("seconds", SECONDS)
    noise_db, api_key = options.number("noise", NOISE_DB), options.text("api_key")
    promised = _yes(options, "echo_cancelled")
    request = LoadRequest(parley.url, count, seconds, TEXT, noise_db, api_key, promised)
    return await measured(parley, request)


async def measured(parley: RunningParley, request: LoadRequest) -> dict[str, Any]:
    """What the participants notice, with the orchestrator's CPU and memory."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "parley.bench.load", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        limit=2**27,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps(asdict(request)).encode() + b"\n")
    usage = _Usage(parley)
    try:
        async with asyncio.timeout(request.seconds + 60 + request.sessions / 5):
            async for line in child.stdout:
                body: dict[str, Any] = json.loads(line)
                if "running" in body:
                    usage.mark()
                else:
                    return {**body, **usage.result(body["seconds"])}
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
    raise ParleyError("The participants' process ended without a result.")


def _beside_bare(options: BenchOptions, count: int, cores: float) -> list[Row]:
    """What the same participants cost a server that does nothing else."""
    with running_bare() as bare:
        window = asyncio.run(_measure(bare, options, count))
    least = window["cores"]["orchestrator"]
    params: dict[str, Param] = {"sessions": count}
    rows = [row("CPU of a bare server", "core s per session s", [least / count], params=params)]
    if least:
        rows.append(row("CPU, times a bare server's", "", [cores / least], params=params))
    return rows


def _yes(options: BenchOptions, name: str) -> bool:
    """What ``--set`` says of it; yes where it says nothing."""
    answer = options.text(name, "yes")
    if answer not in ("yes", "no"):
        raise InvalidRequest(f"--set {name}={answer}: say yes or no.")
    return answer == "yes"


class _Usage:
    """CPU and memory of the two processes between two marks."""

    def __init__(self, parley: RunningParley) -> None:
        import psutil

        self._processes: dict[str, Any] = {}
        if parley.orchestrator_pid:
            self._processes["orchestrator"] = psutil.Process(parley.orchestrator_pid)
        if parley.worker_pid:
            self._processes["worker"] = psutil.Process(parley.worker_pid)
        self._marks: list[dict[str, float]] = []
        self._rss = 0.0

    def mark(self) -> None:
        self._marks.append({name: sum(process.cpu_times()[:2]) for name, process in self._processes.items()})
        if "orchestrator" in self._processes:
            self._rss = self._processes["orchestrator"].memory_info().rss / 1e6

    def result(self, seconds: float) -> dict[str, Any]:
        first, last = self._marks[0], self._marks[-1]
        return {"cores": {name: (last[name] - first[name]) / seconds for name in first}, "rss": self._rss}


def _rows(window: dict[str, Any], count: int, meter: LoadMeter, *, promised: bool) -> list[Row]:
    load = meter.read()
    params: dict[str, Param] = {"sessions": count} if promised else {"sessions": count, "echo_cancelled": "no"}

    def goal(name: str) -> Goal:
        return _GOALS[name].get(count, Goal())

    rows = [
        row("frame jitter", "ms", window["jitter"], goal=goal("jitter"), params=params, load=load),
        row("frame lateness", "ms", window["late"], params=params, load=load),
        row("participants' own frames late", "ms", window["microphone_late"], params=params),
    ]
    cores: dict[str, float] = window["cores"]
    if "orchestrator" in cores:
        per_session = [cores["orchestrator"] / count]
        cpu = "cpu" if promised else "cpu, no promise"
        rows.insert(0, row("CPU of the orchestrator", "core s per session s", per_session, goal=goal(cpu),
                           params={**params, "cores": round(cores["orchestrator"], 3)}, load=load))  # fmt: skip
        rows.append(row("memory of the orchestrator", "MB", [window["rss"]], goal=goal("memory"), params=params))
    if "worker" in cores:
        rows.append(row("CPU of the worker", "core s per session s", [cores["worker"] / count], params=params))
    if window["errors"] or window["silent_sessions"]:
        trouble = {**params, "first": str((window["errors"] or ["a session heard nothing"])[0])[:80]}
        rows.append(row("sessions in trouble", "sessions", [len(window["errors"]) + window["silent_sessions"]],
                        params=trouble))  # fmt: skip
    return rows
