"""A server with nothing but transports: every session hears a voice that never ends, and its microphone is read.

Run as ``python -m parley.bench.transport_host KIND`` with KIND ``memory``, ``websocket``, ``webrtc`` or ``livekit``;
for LiveKit the settings come as a JSON object on standard input, for memory the number of sessions.
Prints its address when it listens.
After that each line on standard input is answered with what was noticed since the line before:
seconds of CPU, seconds of time, and by how many milliseconds frames left late.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from parley import clock
from parley.audio.frame import FRAME_SAMPLES, AudioFrame
from parley.messages import ReplyStarted, SessionStarted, StartSession
from parley.values import Role

if TYPE_CHECKING:
    from parley.interfaces import Transport

LEAD = 0.06
_FRAME_SECONDS = 0.02
_LOOP_FRAMES = 150
"""Three seconds of voice, said over and over."""


@dataclass
class Tally:
    """What happened since it was last asked for."""

    late_ms: list[float] = field(default_factory=list)
    heard_samples: int = 0
    sessions: int = 0
    _cpu: float = field(default_factory=time.process_time)
    _since: float = field(default_factory=time.perf_counter)

    def take(self) -> dict[str, Any]:
        now, cpu = time.perf_counter(), time.process_time()
        answer = {
            "seconds": now - self._since,
            "cpu": cpu - self._cpu,
            "late_ms": [round(value, 3) for value in self.late_ms],
            "heard_samples": self.heard_samples,
            "sessions": self.sessions,
        }
        self.late_ms, self.heard_samples, self._cpu, self._since = [], 0, cpu, now
        return answer


class Host:
    """A ``SessionHost`` whose sessions speak without end."""

    def __init__(self, tally: Tally) -> None:
        from parley.transports.bounds import ClientBounds
        from parley.transports.websocket_settings import WebSocketSettings

        self.websocket = WebSocketSettings()
        self.bounds = ClientBounds()
        self._tally = tally
        time_axis = np.arange(_LOOP_FRAMES * FRAME_SAMPLES) / 48_000
        swell = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * time_axis)
        pcm = (7_000 * swell * np.sin(2 * np.pi * 180 * time_axis)).astype("<i2").tobytes()
        size = 2 * FRAME_SAMPLES
        self._voice = [pcm[at * size : (at + 1) * size] for at in range(_LOOP_FRAMES)]

    def check_origin(self, origin: str, host: str) -> None: ...

    def check_key(self, key: str, role: Role = Role.TALK, *, tokens: bool = False) -> None: ...

    async def run_session(self, transport: Transport, start: StartSession) -> None:
        track: Any = getattr(transport, "track", None)
        if track is not None:
            track.on_packet = lambda: self._left(track.due)
        await transport.send_message(SessionStarted("s"))
        self._tally.sessions += 1
        speaking = asyncio.create_task(self._speak(transport, measure=track is None))
        try:
            async for item in transport:
                if isinstance(item, AudioFrame):
                    self._tally.heard_samples += item.samples
        finally:
            self._tally.sessions -= 1
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)

    def _left(self, due: float) -> None:
        """A frame leaves now. uvloop's clock stands still while callbacks run, so the real one is asked."""
        self._tally.late_ms.append(1000 * max(0.0, time.monotonic() - due))

    async def _speak(self, transport: Transport, *, measure: bool) -> None:
        await transport.send_message(ReplyStarted("u", 1))
        due = clock.now() - LEAD
        sequence = 0
        while True:
            await asyncio.sleep(max(0.0, due - clock.now()))
            if measure and sequence > 5:
                self._left(due)
            pcm = self._voice[sequence % _LOOP_FRAMES]
            await transport.send_audio(
                AudioFrame(pcm, utterance_id="u", sequence=sequence, start_sample=sequence * FRAME_SAMPLES)
            )
            sequence += 1
            due += _FRAME_SECONDS


async def main(kind: str) -> None:
    tally = Tally()
    host = Host(tally)
    async with contextlib.AsyncExitStack() as stack:
        if kind == "livekit":
            address = await _join_rooms(host, stack)
        elif kind == "memory":
            address = _remember(host, stack)
        else:
            address = await _serve(kind, host, stack)
        _say({"address": address})
        lines = await _stdin()
        while await lines.readline():
            _say(tally.take())


def _say(body: dict[str, Any]) -> None:
    """One line to the parent. A loop makes standard input and what shares it unblocking: a long line would be cut."""
    os.set_blocking(sys.stdout.fileno(), True)
    print(json.dumps(body), flush=True)


async def _serve(kind: str, host: Host, stack: contextlib.AsyncExitStack) -> str:
    from starlette.applications import Starlette
    from starlette.routing import BaseRoute, WebSocketRoute

    from parley.testing.echo_host import serving
    from parley.transports.websocket_endpoint import serve_websocket

    routes: list[BaseRoute] = []
    if kind == "webrtc":
        from parley.server.peers import Peers
        from parley.server.webrtc import WebRtcEndpoint
        from parley.transports.rtc_settings import WebRtcSettings

        peers = Peers(WebRtcSettings(connect_timeout=60))
        stack.push_async_callback(peers.aclose)
        routes = list(WebRtcEndpoint(host, peers).routes)
    else:

        async def session(websocket: Any) -> None:
            await serve_websocket(websocket, host)

        routes = [WebSocketRoute("/v1/session", session)]
    address = await stack.enter_async_context(serving(Starlette(routes=routes)))
    return address if kind == "websocket" else address.replace("ws://", "http://").removesuffix("/v1/session")


async def _join_rooms(host: Host, stack: contextlib.AsyncExitStack) -> str:
    """Join the rooms that the parent names, one transport each."""
    from parley.server.livekit import agent_token
    from parley.transports.livekit import LiveKitTransport
    from parley.transports.livekit_settings import LiveKitSettings

    request = json.loads(sys.stdin.readline())
    settings = LiveKitSettings(**request["settings"])

    async def hold(room: str) -> None:
        transport = LiveKitTransport(settings)
        stack.push_async_callback(transport.aclose)
        await transport.join(settings.url, agent_token(settings, room, f"agent-{room}"))
        await host.run_session(transport, await transport.started())

    tasks = [asyncio.create_task(hold(room)) for room in request["rooms"]]
    stack.callback(lambda: [task.cancel() for task in tasks])
    return settings.url


def _remember(host: Host, stack: contextlib.AsyncExitStack) -> str:
    """Both ends of each session in this process."""
    from parley.transports.memory import MemoryTransport

    async def talk(transport: MemoryTransport) -> None:
        frame = bytes(2 * transport.input_rate // 50)
        due = clock.now()
        while True:
            await transport.participant.speak(frame)
            due += _FRAME_SECONDS
            await asyncio.sleep(max(0.0, due - clock.now()))

    tasks = []
    for _ in range(json.loads(sys.stdin.readline())["sessions"]):
        transport = MemoryTransport()
        tasks += [
            asyncio.create_task(host.run_session(transport, StartSession())),
            asyncio.create_task(talk(transport)),
        ]
    stack.callback(lambda: [task.cancel() for task in tasks])
    return "memory"


async def _stdin() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


if __name__ == "__main__":
    if sys.platform == "win32":
        asyncio.run(main(sys.argv[1]))
    else:
        import uvloop

        uvloop.run(main(sys.argv[1]))
