"""Both ends of every transport, joined over its real wire: what contract suites and conversations run on."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

import numpy as np
from livekit import api, rtc

from parley import clock
from parley.client import Playout, SessionClient
from parley.client.webrtc import WebRtcPeer
from parley.errors import UnavailableError
from parley.interfaces import Transport
from parley.messages import (
    ClearAudio,
    ClientMessage,
    EndSession,
    PauseAudio,
    PlayoutReport,
    ReplyStarted,
    ResumeAudio,
    ServerMessage,
    SessionStarted,
    StartSession,
)
from parley.testing.echo_host import EchoHost, echo_app, serving
from parley.testing.livekit_server import LiveKitServer
from parley.testing.transports import Link
from parley.transports.codec import decode_server, encode
from parley.transports.livekit import CLIENT_ATTRIBUTE, LiveKitTransport
from parley.transports.livekit_settings import LiveKitSettings
from parley.transports.memory import MemoryTransport
from parley.transports.rtc_settings import WebRtcSettings
from parley.transports.webrtc import WebRtcTransport
from parley.transports.websocket_settings import WebSocketSettings

_SLOW_MACHINE = 0.25
"""Seconds that a packet may be late: a test is about samples, not about the load of the machine."""


@asynccontextmanager
async def memory_link() -> AsyncIterator[Link]:
    """A participant in this process, who reports as a browser does."""
    transport = MemoryTransport(reports=True)
    yield Link(transport, transport.participant)
    await transport.aclose()


# --- WebSocket ---------------------------------------------------------------------------


class _Host(EchoHost):
    """Hands the transport to the test, and keeps the connection until it is over."""

    def __init__(self, settings: WebSocketSettings) -> None:
        super().__init__(settings)
        self.transport: asyncio.Future[Transport] = asyncio.get_running_loop().create_future()
        self.over = asyncio.Event()

    async def run_session(self, transport: Transport, start: StartSession) -> None:
        await transport.send_message(SessionStarted("s1"))
        self.transport.set_result(transport)
        await self.over.wait()


class WebSocketEnd:
    """The far end of a WebSocket: the headless client."""

    def __init__(self, client: SessionClient) -> None:
        self.messages: list[ServerMessage] = []
        self.gone = False
        self._client = client
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for event in self._client:
            self.messages.append(event.message)
        self.gone = True

    async def send(self, message: ClientMessage) -> None:
        await self._client.send(message)

    async def speak(self, pcm: bytes) -> None:
        await self._client.send_microphone(pcm)

    def heard(self) -> list[tuple[str, int, int]]:
        listener = self._client.listener
        assert isinstance(listener, Playout)
        listener.advance(clock.now())
        names = {number: name for name, number in self._client.numbers.items()}
        return [(names.get(piece.number, ""), piece.start_sample, piece.end_sample) for piece in listener.heard]

    async def hang_up(self) -> None:
        await self._client.__aexit__(None, None, None)

    async def vanish(self) -> None:
        connection = self._client._connection
        assert connection is not None
        connection.transport.abort()


@asynccontextmanager
async def websocket_link() -> AsyncIterator[Link]:
    """A session over a real WebSocket on loopback; the microphone has 16 kHz."""
    host = _Host(WebSocketSettings())
    async with serving(echo_app(host)) as url:
        client = SessionClient(url, StartSession(sample_rate=16_000))
        async with client:
            yield Link(await host.transport, WebSocketEnd(client))
            host.over.set()


# --- WebRTC ------------------------------------------------------------------------------


class WebRtcEnd:
    """The far end of a WebRTC connection: the headless peer."""

    def __init__(self, peer: WebRtcPeer) -> None:
        self.messages: list[ServerMessage] = []
        self.gone = False
        self._peer = peer
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for event in self._peer:
            self.messages.append(event.message)
        self.gone = True

    async def send(self, message: ClientMessage) -> None:
        self._peer.send(message)

    async def speak(self, pcm: bytes) -> None:
        self._peer.microphone.append(pcm)

    def heard(self) -> list[tuple[str, int, int]]:
        self._peer.playout.advance(clock.now())
        return [(piece.utterance_id, piece.start_sample, piece.end_sample) for piece in self._peer.playout.heard]

    async def hang_up(self) -> None:
        with contextlib.suppress(UnavailableError):  # the network may be lost already
            self._peer.send(EndSession())
        await self._peer.close()

    async def vanish(self) -> None:
        await self._peer.lose_network()


@asynccontextmanager
async def webrtc_link() -> AsyncIterator[Link]:
    settings = WebRtcSettings(connect_timeout=10.0, reconnect_grace=2.0)
    transport, peer = WebRtcTransport(settings), WebRtcPeer(settings=settings, delay=_SLOW_MACHINE)
    watchdog = None
    try:
        await peer.connect(transport.answer)
        peer.send(StartSession(playout_reports=True))
        await transport.started()
        watchdog = asyncio.create_task(_watch(transport, settings.reconnect_grace))
        yield Link(transport, WebRtcEnd(peer), notices=settings.reconnect_grace)
    finally:
        if watchdog is not None:
            watchdog.cancel()
        await peer.close()
        await transport.aclose()


async def _watch(transport: WebRtcTransport, grace: float) -> None:
    """What the server's endpoint does once a second."""
    while transport.silent_for() < grace:  # noqa: ASYNC110  nothing tells when nothing happens
        await asyncio.sleep(0.1)
    transport.leave()


# --- LiveKit -----------------------------------------------------------------------------


class LiveKitEnd:
    """A participant with the stock SDK. It cannot tell samples apart, so it counts the audible ones."""

    def __init__(self) -> None:
        self.messages: list[ServerMessage] = []
        self.gone = False
        self.room = rtc.Room()
        self._source = rtc.AudioSource(48_000, 1, queue_size_ms=200)
        self._counts: dict[str, int] = {}
        self._muted = False
        self._tasks: list[asyncio.Task[None]] = []
        self.room.on("data_received", self._on_data)
        self.room.on("track_subscribed", self._on_track)
        self.room.on("participant_disconnected", lambda _: self._end())
        self.room.on("disconnected", lambda *_: self._end())

    async def join(self, url: str, token: str) -> None:
        await self.room.connect(url, token)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.room.local_participant.publish_track(track, options)

    def _on_data(self, packet: rtc.DataPacket) -> None:
        if packet.topic != "parley":
            return
        message = decode_server(packet.data.decode())
        if isinstance(message, ReplyStarted):
            self._counts[message.utterance_id] = 0
        self._muted = isinstance(message, PauseAudio | ClearAudio) or (
            self._muted and not isinstance(message, ResumeAudio | ReplyStarted)
        )
        self.messages.append(message)
        if isinstance(message, PauseAudio | ClearAudio):
            sample = self._counts.get(message.utterance_id, 0)
            self._own(self.send(PlayoutReport(message.utterance_id, sample, stopped=True)))

    def _on_track(self, track: rtc.Track, *_: object) -> None:
        self._own(self._listen(track))

    def _own(self, work: Coroutine[None, None, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def _listen(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=48_000, num_channels=1)
        try:
            async for event in stream:
                samples = np.frombuffer(event.frame.data, np.int16)
                if self._counts and not self._muted and np.abs(samples).max() > 500:
                    self._counts[list(self._counts)[-1]] += samples.size
        finally:
            await stream.aclose()

    def _end(self) -> None:
        self.gone = True

    async def send(self, message: ClientMessage) -> None:
        await self.room.local_participant.publish_data(encode(message), topic="parley")

    async def speak(self, pcm: bytes) -> None:
        await self._source.capture_frame(rtc.AudioFrame(pcm, 48_000, 1, len(pcm) // 2))

    def heard(self) -> list[tuple[str, int, int]]:
        return [(name, 0, count) for name, count in self._counts.items()]

    async def hang_up(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()
        await self._source.aclose()

    async def vanish(self) -> None:
        await self.hang_up()  # the SDK always says goodbye; that a dead client is noticed is the room's matter


@asynccontextmanager
async def livekit_link(server: LiveKitServer) -> AsyncIterator[Link]:
    """A room of a real LiveKit server."""
    settings = LiveKitSettings(url=server.url, api_key=server.api_key, api_secret=server.api_secret)
    room = f"room-{uuid.uuid4().hex[:8]}"
    transport, end = LiveKitTransport(settings), LiveKitEnd()
    try:
        await transport.join(settings.url, _token(settings, room, "agent"))
        await end.join(settings.url, _token(settings, room, "someone"))
        await end.send(StartSession(playout_reports=True))
        await transport.started()
        yield Link(transport, end, exact=False)
    finally:
        await transport.aclose()
        await end.hang_up()


def _token(settings: LiveKitSettings, room: str, identity: str) -> str:
    grants = api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True)
    access = api.AccessToken(settings.api_key, settings.api_secret).with_identity(identity).with_grants(grants)
    if identity != "agent":
        access = access.with_attributes({CLIENT_ATTRIBUTE: "1"})
    return access.to_jwt()
