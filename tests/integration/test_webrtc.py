"""A WebRTC pair on loopback: our transport on one side, our client on the other, real sockets between."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from parley import clock
from parley.audio.frame import AudioFrame
from parley.client.webrtc import WebRtcPeer
from parley.errors import CapacityError, InvalidRequest, TimedOut
from parley.messages import (
    ClearAudio,
    ErrorMessage,
    PlayoutReport,
    Pong,
    ReplyStarted,
    StartSession,
    TextInput,
)
from parley.transports.rtc_settings import WebRtcSettings
from parley.transports.webrtc import WebRtcTransport

pytestmark = pytest.mark.anyio

SETTINGS = WebRtcSettings(connect_timeout=10.0, reconnect_grace=3.0)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def pair(
    settings: WebRtcSettings = SETTINGS, start: StartSession | None = None, **options: bool
) -> AsyncIterator[tuple[WebRtcTransport, WebRtcPeer]]:
    transport, peer = WebRtcTransport(settings), WebRtcPeer(settings=settings, delay=0.25, **options)
    try:
        await peer.connect(transport.answer)
        peer.send(start or StartSession(playout_reports=True))
        await transport.started()
        yield transport, peer
    finally:
        await peer.close()
        await transport.aclose()


def speech(frames: int, utterance: str = "u1") -> list[AudioFrame]:
    """A sweep, so that each moment sounds like no other."""
    time = np.arange(frames * 960) / 48_000
    pcm = (9_000 * np.sin(2 * np.pi * (200 + 150 * time) * time)).astype(np.int16)
    return [
        AudioFrame(
            pcm[at * 960 : (at + 1) * 960].tobytes(),
            utterance_id=utterance,
            sequence=at,
            start_sample=at * 960,
            final=at == frames - 1,
        )
        for at in range(frames)
    ]


class Speaker:
    """Sends frames as the engine does: at real time with a lead of 60 ms, held while paused."""

    def __init__(self, transport: WebRtcTransport, frames: list[AudioFrame]) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.task = asyncio.create_task(self._run(transport, frames))

    async def _run(self, transport: WebRtcTransport, frames: list[AudioFrame]) -> None:
        await transport.send_message(ReplyStarted(frames[0].utterance_id, 1))
        due = clock.now() - 0.06
        for frame in frames:
            await asyncio.sleep(max(0.0, due - clock.now()))
            held_at = clock.now()
            await self.gate.wait()
            due += 0.02 + clock.now() - held_at
            await transport.send_audio(frame)


async def until(condition, timeout: float = 10.0) -> None:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.005)


async def until_paused(transport: WebRtcTransport) -> None:
    """Wait for the client to say where it fell silent."""
    async with asyncio.timeout(10):
        while not (await transport.pause_audio()).exact:
            await asyncio.sleep(0.005)


def ranges(peer: WebRtcPeer, utterance: str = "u1") -> list[tuple[int, int]]:
    """What was heard of an utterance, adjoining stretches joined, in the order of hearing."""
    joined: list[tuple[int, int]] = []
    for piece in peer.playout.heard:
        if piece.utterance_id != utterance:
            continue
        if joined and joined[-1][1] == piece.start_sample:
            joined[-1] = (joined[-1][0], piece.end_sample)
        else:
            joined.append((piece.start_sample, piece.end_sample))
    return joined


def heard_signal(peer: WebRtcPeer, utterance: str = "u1") -> np.ndarray:
    pcm = b"".join(piece.pcm for piece in peer.playout.heard if piece.utterance_id == utterance)
    return np.frombuffer(pcm, np.int16).astype(float)


async def heard_to_the_end(peer: WebRtcPeer, samples: int, utterance: str = "u1") -> None:
    def done() -> bool:
        peer.playout.advance(clock.now())
        spans = ranges(peer, utterance)
        return bool(spans) and spans[-1][1] >= samples

    await until(done)


async def test_the_first_message_starts_the_session_and_later_ones_are_iterated() -> None:
    async with pair(start=StartSession(language="en", playout_reports=True)) as (transport, peer):
        assert (await transport.started()).language == "en"
        peer.send(TextInput("hello"))
        async for item in transport:
            if isinstance(item, TextInput):
                assert item == TextInput("hello")
                break


async def test_microphone_frames_are_one_unbroken_stream() -> None:
    async with pair() as (transport, peer):
        peer.microphone.extend(frame.pcm for frame in speech(40))
        end, loud = None, 0
        async for item in transport:
            assert isinstance(item, AudioFrame)
            assert end is None or item.start_sample == end
            end = item.end_sample
            loud += int(np.abs(np.frombuffer(item.pcm, np.int16)).max() > 4_000)
            if loud == 30:
                break


async def test_the_whole_reply_is_heard_where_its_anchor_says() -> None:
    async with pair() as (transport, peer):
        frames = speech(50)
        speaker = Speaker(transport, frames)
        await heard_to_the_end(peer, 48_000)
        await speaker.task
        assert ranges(peer)[0][0] == 0
        assert ranges(peer)[0][1] >= 48_000
        spoken = np.frombuffer(b"".join(frame.pcm for frame in frames), np.int16).astype(float)
        heard = heard_signal(peer)[: spoken.size]
        middle = slice(4_800, 40_000)
        error = np.sqrt(np.mean((heard[middle] - spoken[middle]) ** 2) / np.mean(spoken[middle] ** 2))
        assert error < 0.2


async def test_pause_and_resume_lose_no_sample_and_repeat_none() -> None:
    async with pair() as (transport, peer):
        frames = speech(150)
        speaker = Speaker(transport, frames)
        for pause in range(1, 4):
            await until(lambda: len(peer.playout.heard) >= 25 * pause)  # noqa: B023  (awaited at once)
            speaker.gate.clear()
            position = await transport.pause_audio()
            assert position.utterance_id == "u1"
            await until_paused(transport)
            await transport.resume_audio()
            speaker.gate.set()
        await heard_to_the_end(peer, 150 * 960)
        await speaker.task
        spans = ranges(peer)
        assert len(spans) == 1
        assert spans[0][0] == 0
        spoken = np.frombuffer(b"".join(frame.pcm for frame in frames), np.int16).astype(float)
        heard = heard_signal(peer)[: spoken.size]
        assert np.corrcoef(heard, spoken)[0, 1] > 0.98


async def test_a_pause_falls_silent_at_once_and_is_answered_with_its_sample() -> None:
    async with pair() as (transport, peer):
        speaker = Speaker(transport, speech(100))
        await until(lambda: len(peer.playout.heard) > 20)
        await transport.pause_audio()
        async for item in transport:
            if isinstance(item, PlayoutReport) and item.stopped:
                break
        peer.playout.advance(clock.now())
        assert item.sample == ranges(peer)[-1][1]
        position = await transport.pause_audio()
        speaker.task.cancel()
        assert position.utterance_id == "u1"


async def test_nothing_of_a_cleared_reply_is_heard_and_the_next_one_is_heard_from_its_start() -> None:
    async with pair() as (transport, peer):
        speaker = Speaker(transport, speech(100))
        await until(lambda: len(peer.playout.heard) > 20)
        await transport.clear_audio()
        cleared_at = clock.now()
        await speaker.task
        await until(lambda: any(isinstance(event.message, ClearAudio) for event in list(peer.received._queue)))
        second = Speaker(transport, speech(20, "u2"))
        await heard_to_the_end(peer, 20 * 960, "u2")
        await second.task
        assert ranges(peer, "u2")[0][0] == 0
        first = [piece for piece in peer.playout.heard if piece.utterance_id == "u1"]
        assert first[-1].at < cleared_at + 0.3


async def test_a_wrong_message_is_answered_and_the_session_goes_on() -> None:
    async with pair() as (_, peer):
        peer.send_text('{"type":"nonsense"}')
        async for event in peer:
            if isinstance(event.message, ErrorMessage):
                break
        assert event.message.code == "invalid_request"
        assert not event.message.fatal
        peer.send_text('{"type":"ping","id":7}')
        async for event in peer:
            if isinstance(event.message, Pong):
                break
        assert event.message.id == 7


async def test_iteration_ends_when_the_client_hangs_up() -> None:
    async with pair() as (transport, peer):
        await peer.close()
        async with asyncio.timeout(5):
            async for _ in transport:
                pass


async def test_the_client_sees_the_end_when_the_transport_closes() -> None:
    async with pair() as (transport, peer):
        await transport.aclose()
        await transport.aclose()
        async with asyncio.timeout(5):
            async for _ in peer:
                pass


async def test_a_session_survives_an_ice_restart_with_its_audio() -> None:
    async with pair() as (transport, peer):
        speaker = Speaker(transport, speech(100))
        await until(lambda: len(peer.playout.heard) > 20)
        await peer.restart_ice(transport.restart)
        peer.send(TextInput("still here"))
        async for item in transport:
            if item == TextInput("still here"):
                break
        await heard_to_the_end(peer, 100 * 960)
        await speaker.task


async def test_a_client_that_lost_its_network_comes_back_by_an_ice_restart() -> None:
    async with pair() as (transport, peer):
        await peer.lose_network()
        await until(lambda: transport.silent_for() > 0.3)
        await peer.restart_ice(transport.restart)
        peer.send(TextInput("back again"))
        async for item in transport:
            if item == TextInput("back again"):
                break


async def test_an_offer_without_audio_is_refused() -> None:
    transport = WebRtcTransport(SETTINGS)
    with pytest.raises(InvalidRequest, match="one audio section"):
        await transport.answer("v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n")
    await transport.aclose()


async def test_when_no_port_is_left_the_offer_is_refused_with_the_reason() -> None:
    settings = WebRtcSettings(udp_port_min=43_200, udp_port_max=43_201)
    async with pair(settings):
        transport, peer = WebRtcTransport(settings), WebRtcPeer()
        with pytest.raises(CapacityError, match="43200 to 43201"):
            await peer.connect(transport.answer)
        await peer.close()
        await transport.aclose()


async def test_a_browser_that_never_connects_is_given_up() -> None:
    transport = WebRtcTransport(WebRtcSettings(connect_timeout=1.0))
    with pytest.raises(TimedOut, match="did not connect"):
        await transport.started()
    await transport.aclose()


async def test_media_ports_stay_inside_the_range() -> None:
    settings = WebRtcSettings(udp_port_min=42_000, udp_port_max=42_050, loopback=True)
    async with pair(settings) as (transport, _):
        ports = {
            int(line.split()[5])
            for line in transport.local_sdp.splitlines()
            if line.startswith("a=candidate:") and line.split()[7] == "host"
        }
        assert ports
        assert all(42_000 <= port <= 42_050 for port in ports)


async def test_a_session_that_is_over_leaves_no_circles_of_aiortc_to_a_full_collection() -> None:
    gc.disable()
    try:
        async with pair() as (transport, _):
            pc = transport._pc
            sender, receiver = pc.getSenders()[0], pc.getReceivers()[0]
            dtls = sender.transport
            parts = [weakref.ref(part) for part in (sender, receiver, dtls, dtls.transport, pc.sctp)]
            del pc, sender, receiver, dtls
        async with asyncio.timeout(10):
            while any(part() is not None and vars(part()) for part in parts):
                await asyncio.sleep(0.01)  # a poll: the last tasks end
    finally:
        gc.enable()
