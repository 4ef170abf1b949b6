"""What a transport costs and how evenly it sends, with N sessions that all speak and listen.

The server process holds nothing but the transports: no recogniser, no voice activity detector, no
model; the agent's audio is at hand and the microphone is decoded and dropped. The participants
live in processes of their own. CPU is the server process's, in core seconds per second and
session. "Leaves late" is by how much a frame missed its moment at the sender (WebRTC: the packet's
20 ms grid), "comes late" by how much it came after a player that started with the earliest one.
In memory there is no wire, and both ends are in the one process: what pacing and frames cost without a transport.

``--sessions`` for all kinds (25, LiveKit 10). ``--set``: transports (memory,websocket,webrtc,livekit), seconds (10),
peers (processes, 2), frame_ms (microphone packets, 10 or 20, for webrtc: 10).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from parley.bench.report import BenchOptions, Goal, LoadMeter, Param, Row, row
from parley.client.session import session_url
from parley.errors import ConfigError, InvalidRequest, ParleyError

KINDS = ("memory", "websocket", "webrtc", "livekit")
SECONDS = 10.0
SESSIONS = {"memory": 25, "webrtc": 25, "websocket": 25, "livekit": 10}
_START = 90.0
_STOP = 5.0


def run(options: BenchOptions) -> list[Row]:
    kinds = [kind.strip() for kind in options.text("transports", ",".join(_available())).split(",")]
    rows: list[Row] = []
    for kind in kinds:
        if kind not in KINDS:
            raise InvalidRequest(f"There is no transport {kind}; there are {', '.join(KINDS)}.")
        for count in options.sessions or (SESSIONS[kind],):
            rows += asyncio.run(_measure(kind, count, options))
    return rows


def _available() -> list[str]:
    from parley.testing.livekit_server import LiveKitServer

    return [kind for kind in KINDS if kind != "livekit" or LiveKitServer.available()]


async def _measure(kind: str, count: int, options: BenchOptions) -> list[Row]:
    seconds = options.number("seconds", SECONDS)
    request: dict[str, Any] = {"kind": kind, "seconds": seconds, "frame_ms": options.number("frame_ms", 10)}
    async with contextlib.AsyncExitStack() as stack:
        host = await stack.enter_async_context(_child("parley.bench.transport_host", kind))
        if kind == "livekit":
            await _prepare_rooms(stack, host, request, count)
        if kind == "memory":
            await _tell(host, {"sessions": count})
        request["address"] = (await _line(host))["address"]
        meter = LoadMeter()
        if kind == "memory":
            result = {**await _noticed(host, request), "arrival_late_ms": [], "silent": 0}
        else:
            result = await _peers(stack, host, request, count, max(1, int(options.number("peers", 2))))
    return _rows(kind, count, result, meter)


async def _prepare_rooms(
    stack: contextlib.AsyncExitStack, host: asyncio.subprocess.Process, request: dict[str, Any], count: int
) -> None:
    """A LiveKit server, and one room for each session."""
    from parley.testing.livekit_server import LiveKitServer
    from parley.transports.livekit_settings import LiveKitSettings

    if not LiveKitServer.available():
        raise ConfigError("livekit-server is not installed; leave it out with --set transports=webrtc,websocket.")
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="parley-bench-"))
    server = await stack.enter_async_context(LiveKitServer(Path(folder)))
    settings = LiveKitSettings(url=server.url, api_key=server.api_key, api_secret=server.api_secret, token_ttl=600)
    rooms = [f"room-{number}" for number in range(count)]
    request["rooms"] = rooms
    request["tokens"] = [_token(settings, room) for room in rooms]
    await _tell(host, {"settings": asdict(settings), "rooms": rooms})


def _token(settings: Any, room: str) -> str:
    from livekit import api

    grants = api.VideoGrants(room_join=True, room=room)
    token = api.AccessToken(settings.api_key, settings.api_secret).with_identity(f"someone-{room}").with_grants(grants)
    return str(token.to_jwt())


async def _peers(
    stack: contextlib.AsyncExitStack,
    host: asyncio.subprocess.Process,
    request: dict[str, Any],
    count: int,
    processes: int,
) -> dict[str, Any]:
    """Let the participants come, measure while they are all there, and add up what was noticed."""
    shares = [count // processes + (number < count % processes) for number in range(processes)]
    module = "parley.bench.load" if request["kind"] == "websocket" else "parley.bench.transport_peers"
    peers = []
    first = 0
    for share in [share for share in shares if share]:
        peer = await stack.enter_async_context(_child(module))
        await _tell(peer, _share(request, first, share))
        peers.append(peer)
        first += share
    for peer in peers:
        await _line(peer)
    noticed = await _noticed(host, request)
    late: list[float] = []
    silent = 0
    for peer in peers:
        result = await _line(peer)
        while "late" not in result and "late_ms" not in result:
            result = await _line(peer)
        late += result.get("late_ms") or result["late"]
        silent += result.get("silent", 0) + result.get("silent_sessions", 0)
    return {**noticed, "arrival_late_ms": late, "silent": silent}


async def _noticed(host: asyncio.subprocess.Process, request: dict[str, Any]) -> dict[str, Any]:
    """What the host notices while everybody is there."""
    await _tell(host, {})
    await _line(host)
    await asyncio.sleep(request["seconds"] * 0.9)
    await _tell(host, {})
    return await _line(host)


def _share(request: dict[str, Any], first: int, share: int) -> dict[str, Any]:
    if request["kind"] == "websocket":
        return {
            "url": session_url(request["address"]),
            "sessions": share,
            "seconds": request["seconds"],
            "text": "hello",
        }
    body = {**request, "sessions": share}
    if "tokens" in request:
        body["tokens"] = request["tokens"][first : first + share]
    return body


def _rows(kind: str, count: int, result: dict[str, Any], meter: LoadMeter) -> list[Row]:
    load = meter.read()
    params: dict[str, Param] = {"transport": kind, "sessions": count}
    goal = Goal(p95=10) if kind == "webrtc" and count == SESSIONS["webrtc"] else Goal()
    per_session = result["cpu"] / result["seconds"] / count
    rows = [
        row("CPU of the server", "core s per session s", [per_session], params=params, load=load),
        row("frame leaves late", "ms", result["late_ms"], goal=goal, params=params, load=load),
        row("microphone heard", "s per session s", [result["heard_samples"] / _rate(kind) / result["seconds"] / count],
            params=params),
    ]  # fmt: skip
    if result["arrival_late_ms"]:
        rows.insert(2, row("frame comes late", "ms", result["arrival_late_ms"], params=params, load=load))
    if result["silent"]:
        rows.append(row("sessions that heard nothing", "sessions", [result["silent"]], params=params))
    return rows


def _rate(kind: str) -> int:
    return 16_000 if kind in ("memory", "websocket") else 48_000


@contextlib.asynccontextmanager
async def _child(module: str, *arguments: str) -> Any:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        limit=2**27,
    )  # fmt: skip
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()  # the host ends with its input
        try:
            async with asyncio.timeout(_STOP):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _tell(process: asyncio.subprocess.Process, body: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(body).encode() + b"\n")
    await process.stdin.drain()


async def _line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_START):
            line = await process.stdout.readline()
    except TimeoutError:
        raise ParleyError("A process of the benchmark said nothing for a long time.") from None
    if not line:
        raise ParleyError("A process of the benchmark ended early; what it wrote stands above.")
    body: dict[str, Any] = json.loads(line)
    return body
