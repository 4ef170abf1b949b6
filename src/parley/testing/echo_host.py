"""The smallest server that speaks the WebSocket protocol: for testing transports and clients alone.

It has no ears, no wits and no voice. What it does is ordered in words, as typed turns: ``play 2.5``
(seconds of a counting ramp), ``pause``, ``resume``, ``clear``, ``flood`` (audio as fast as it
goes), ``leave``, ``crash``. Outside text is answered with a ramp, too. It says how much
of the microphone it heard when asked ``heard?``, and takes every voice.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import TYPE_CHECKING

import numpy as np

from parley import clock
from parley.audio.frame import FRAME_SAMPLES, SAMPLE_RATE, AudioFrame
from parley.errors import CapacityError, Unauthorized
from parley.messages import (
    EndSession,
    Interrupt,
    PlayoutReport,
    ReplyEnded,
    ReplyStarted,
    ReplyText,
    SayEnd,
    SessionEnded,
    SessionStarted,
    SetVoice,
    StartSession,
    TextInput,
    TranscriptUpdate,
    VoiceChanged,
)
from parley.server.settings import ServerSettings
from parley.transports.bounds import ClientBounds, Tally, Uncounted
from parley.transports.client_settings import ClientSettings
from parley.transports.websocket_endpoint import serve_websocket
from parley.transports.websocket_settings import WebSocketSettings
from parley.values import Role

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.applications import Starlette
    from starlette.types import ASGIApp
    from starlette.websockets import WebSocket

    from parley.interfaces import Transport

LEAD = 0.06
"""Seconds by which frames are sent before they are due."""


def ramp(start_sample: int, samples: int = FRAME_SAMPLES) -> bytes:
    """Audio in which every sample says where it stands: a count modulo 30,000, never 0."""
    return ((np.arange(start_sample, start_sample + samples) % 30_000) + 1).astype("<i2").tobytes()


class EchoHost:
    """A ``SessionHost`` whose sessions do what they are told."""

    def __init__(
        self,
        settings: WebSocketSettings | None = None,
        *,
        clients: ClientSettings | None = None,
        tally: Tally | None = None,
        key: str = "",
        max_sessions: int = 100,
        origin: str = "",
        say_seconds: float = 600.0,
    ) -> None:
        self.websocket = settings or WebSocketSettings()
        self.bounds = ClientBounds(clients or ClientSettings(), tally or Uncounted())
        self.sessions: list[EchoSession] = []
        self.ended: list[BaseException | None] = []
        """How each session ended: None, or the exception."""
        self._key = key
        self._max = max_sessions
        self._origin = origin
        self._say_seconds = say_seconds

    def check_origin(self, origin: str, host: str) -> None:
        if origin and self._origin and origin != self._origin:
            raise Unauthorized(f"Pages from {origin} may not use this server.")

    def check_key(self, key: str, role: Role = Role.TALK, *, tokens: bool = False) -> None:
        if self._key and key != self._key:
            raise Unauthorized("The API key is missing or wrong.")

    async def run_session(self, transport: Transport, start: StartSession) -> None:
        if len(self.sessions) >= self._max:
            raise CapacityError(f"All {self._max} sessions are taken; try again later.")
        session = EchoSession(transport, self._say_seconds)
        self.sessions.append(session)
        try:
            await session.run()
        except BaseException as error:  # our own code: kept for the test that asks how it ended
            self.ended.append(error)
            raise
        else:
            self.ended.append(None)
        finally:
            self.sessions.remove(session)


class EchoSession:
    """One conversation with somebody who only obeys."""

    def __init__(self, transport: Transport, say_seconds: float) -> None:
        self.transport = transport
        self.reports: list[PlayoutReport] = []
        self.heard_samples = 0
        self._say_seconds = say_seconds
        self._reply: asyncio.Task[None] | None = None
        self._running = asyncio.Event()
        self._running.set()
        self._turn = 0

    async def run(self) -> None:
        await self.transport.send_message(SessionStarted(uuid.uuid4().hex[:8]))
        try:
            async for item in self.transport:
                if isinstance(item, AudioFrame):
                    self.heard_samples += item.samples
                elif isinstance(item, PlayoutReport):
                    self.reports.append(item)
                elif isinstance(item, SayEnd):
                    await self._order(f"play {self._say_seconds}")
                elif isinstance(item, Interrupt):
                    await self._order("clear")
                elif isinstance(item, SetVoice):
                    await self.transport.send_message(VoiceChanged(item.voice))
                elif isinstance(item, EndSession) or (isinstance(item, TextInput) and not await self._order(item.text)):
                    break
            await self.transport.send_message(SessionEnded("goodbye"))
        finally:
            if self._reply is not None:
                self._reply.cancel()
                await asyncio.gather(self._reply, return_exceptions=True)

    async def _order(self, words: str) -> bool:
        verb, _, rest = words.partition(" ")
        match verb:
            case "play" | "flood":
                self._turn += 1
                self._reply = asyncio.create_task(self._speak(float(rest or 600), paced=verb == "play"))
            case "pause":
                self._running.clear()
                await self.transport.pause_audio()
            case "resume":
                self._running.set()
                await self.transport.resume_audio()
            case "clear":
                if self._reply is not None:
                    self._reply.cancel()
                await self.transport.clear_audio()
                self._running.set()
            case "heard?":
                await self.transport.send_message(TranscriptUpdate(self._turn, str(self.heard_samples), final=True))
            case "leave":
                return False
            case "crash":
                raise RuntimeError("crashed as ordered")
        return True

    async def _speak(self, seconds: float, *, paced: bool) -> None:
        name = f"u{self._turn}"
        await self.transport.send_message(ReplyStarted(name, self._turn))
        await self.transport.send_message(ReplyText(name, f"{seconds:g} seconds of counting"))
        frames = max(1, round(seconds * SAMPLE_RATE / FRAME_SAMPLES))
        due = clock.now()
        for sequence in range(frames):
            if not self._running.is_set():
                waited = clock.now()
                await self._running.wait()
                due += clock.now() - waited
            position = sequence * FRAME_SAMPLES
            final = sequence == frames - 1
            await self.transport.send_audio(
                AudioFrame(ramp(position), SAMPLE_RATE, name, sequence, position, (), final)
            )
            due += FRAME_SAMPLES / SAMPLE_RATE
            await asyncio.sleep(max(0.0, due - LEAD - clock.now()) if paced else 0)
        await self.transport.send_message(ReplyEnded(name, "finished"))


def echo_app(host: EchoHost) -> Starlette:
    """An application with nothing but the session endpoint."""
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute

    async def endpoint(websocket: WebSocket) -> None:
        await serve_websocket(websocket, host)

    return Starlette(routes=[WebSocketRoute("/v1/session", endpoint)])


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp,
    *,
    settings: ServerSettings | None = None,
    tally: Tally | None = None,
    max_message_bytes: int = 65_536,
) -> AsyncGenerator[str, None]:
    """Run an application on a loopback port of its own, as the orchestrator does; yields its ``ws://`` address."""
    import uvicorn

    from parley.server.runner import listen, uvicorn_config

    settings = settings or ServerSettings(port=0)
    config = uvicorn_config(app, settings, tally=tally or Uncounted(), max_message_bytes=max_message_bytes)
    with listen(settings) as sock:
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve([sock]))
        try:
            while not server.started:
                if task.done():
                    task.result()
                await asyncio.sleep(0.005)
            yield f"ws://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task
