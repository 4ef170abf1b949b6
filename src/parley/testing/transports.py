"""What every transport must do. Mix :class:`TransportContract` into a test class with a ``link`` fixture.

A link is a transport and the person at its other end, joined the way they are joined in life.
The clock may be virtual or real; where the suite has to wait, it waits for news from the other end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from parley import clock
from parley.audio.frame import FRAME_SAMPLES, AudioFrame
from parley.interfaces import Transport
from parley.messages import (
    ClientMessage,
    ErrorMessage,
    PauseAudio,
    Ping,
    PlayoutReport,
    Pong,
    ReplyStarted,
    ResumeAudio,
    ServerMessage,
    SessionEnded,
    StateChanged,
    TextInput,
    TranscriptUpdate,
)

PATIENCE = 10.0
"""Seconds after which news that did not come is a failure."""
LEAD = 0.06
"""Seconds by which the engine sends audio before it is due."""
_POLL = 0.01

M = TypeVar("M")


class FarEnd(Protocol):
    """The person at the other end of a transport, with a microphone, a loudspeaker and a keyboard."""

    messages: list[ServerMessage]
    """Everything that arrived, in order."""
    gone: bool
    """True once the connection is over as seen from here."""

    async def send(self, message: ClientMessage) -> None: ...

    async def speak(self, pcm: bytes) -> None:
        """20 ms into the microphone, at the transport's input rate."""

    def heard(self) -> Sequence[tuple[str, int, int]]:
        """Stretches that were audible so far, in order: utterance, first sample, one past the last.

        A transport that cannot tell samples apart may return an estimate; see ``Link.exact``.
        """

    async def hang_up(self) -> None:
        """Leave politely."""

    async def vanish(self) -> None:
        """Leave without a word, as a dead battery does."""


@dataclass
class Link:
    """Both ends."""

    transport: Transport
    far: FarEnd
    exact: bool = True
    """Whether ``far.heard`` is right to the sample."""
    notices: float = PATIENCE
    """Seconds within which a vanished client is noticed."""

    def whole(self, samples: int) -> int:
        """Samples that must have been heard for an utterance of this length to count as heard."""
        return samples if self.exact else samples * 9 // 10


async def until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait until the condition holds; TimeoutError when it does not come true."""
    async with asyncio.timeout(patience):
        while not condition():  # noqa: ASYNC110  the far end may be a browser: it has no event to wait for
            await asyncio.sleep(_POLL)


def speech(frames: int, utterance_id: str) -> list[AudioFrame]:
    """Frames of a rising tone: no two moments are alike."""
    time = np.arange(frames * FRAME_SAMPLES) / 48_000
    pcm = (9_000 * np.sin(2 * np.pi * (200 + 150 * time) * time)).astype("<i2").tobytes()
    size = 2 * FRAME_SAMPLES
    return [
        AudioFrame(
            pcm[at * size : (at + 1) * size],
            utterance_id=utterance_id,
            sequence=at,
            start_sample=at * FRAME_SAMPLES,
            final=at == frames - 1,
        )
        for at in range(frames)
    ]


class Voice:
    """Sends a reply the way the session engine does: at real time, a little ahead, held by a pause."""

    def __init__(self, transport: Transport, utterance_id: str, frames: int) -> None:
        self.utterance_id = utterance_id
        self.samples = frames * FRAME_SAMPLES
        self._transport = transport
        self._running = asyncio.Event()
        self._running.set()
        self.task = asyncio.create_task(self._speak(speech(frames, utterance_id)))

    async def _speak(self, frames: list[AudioFrame]) -> None:
        await self._transport.send_message(ReplyStarted(self.utterance_id, 1))
        due = clock.now() - LEAD
        for frame in frames:
            await asyncio.sleep(max(0.0, due - clock.now()))
            held_at = clock.now()
            await self._running.wait()
            due += frame.duration + clock.now() - held_at
            await self._transport.send_audio(frame)

    async def pause(self) -> None:
        self._running.clear()
        await self._transport.pause_audio()

    async def resume(self) -> None:
        await self._transport.resume_audio()
        self._running.set()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def spans(link: Link, utterance_id: str) -> list[tuple[int, int]]:
    """What was heard of an utterance, stretches that follow on joined."""
    joined: list[tuple[int, int]] = []
    for name, start, end in link.far.heard():
        if name != utterance_id:
            continue
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def heard_until(link: Link, utterance_id: str) -> int:
    """One past the last sample heard of an utterance; 0 when nothing was."""
    found = spans(link, utterance_id)
    return found[-1][1] if found else 0


async def next_message(link: Link, kind: type[M]) -> M:
    """Iterate until a message of this kind comes."""
    async with asyncio.timeout(PATIENCE):
        async for item in link.transport:
            if isinstance(item, kind):
                return item
    raise AssertionError(f"the iteration ended before {kind.__name__}")


async def drain(link: Link) -> None:
    """Iterate to the end."""
    async for _ in link.transport:
        pass


class TransportContract:
    """Facts about any Transport."""

    async def test_messages_come_in_the_order_in_which_they_were_sent(self, link: Link) -> None:
        for text in ("one", "two", "three"):
            await link.far.send(TextInput(text))
        assert [(await next_message(link, TextInput)).text for _ in range(3)] == ["one", "two", "three"]

    async def test_messages_go_in_the_order_in_which_they_were_sent(self, link: Link) -> None:
        sent: list[ServerMessage] = [
            StateChanged("speaking", "listening", "speech_started"),
            TranscriptUpdate(1, "Grüße, 你好", final=True),
            ErrorMessage("engine_failed", "The voice is lost.", fatal=False),
        ]
        reading = asyncio.create_task(drain(link))
        for message in sent:
            await link.transport.send_message(message)
        await until(lambda: len([m for m in link.far.messages if m in sent]) == 3)
        reading.cancel()
        assert [message for message in link.far.messages if message in sent] == sent

    async def test_the_microphone_is_one_unbroken_stream_at_the_input_rate(self, link: Link) -> None:
        rate = link.transport.input_rate
        loud = np.full(rate // 50, 6_000, "<i2") * np.where(np.arange(rate // 50) % 40 < 20, 1, -1).astype("<i2")
        speaking = asyncio.create_task(self._talk(link, loud.astype("<i2").tobytes()))
        position, energetic = None, 0.0
        async with asyncio.timeout(PATIENCE):
            async for item in link.transport:
                if not isinstance(item, AudioFrame):
                    continue
                assert item.sample_rate == rate
                assert item.utterance_id == ""
                assert position is None or item.start_sample == position
                position = item.end_sample
                energetic += item.duration * (np.abs(np.frombuffer(item.pcm, "<i2")).max() > 3_000)
                if energetic > 0.2:
                    break
        speaking.cancel()

    async def _talk(self, link: Link, pcm: bytes) -> None:
        due = clock.now()
        for _ in range(100):
            await link.far.speak(pcm)
            due += 0.02
            await asyncio.sleep(max(0.0, due - clock.now()))

    async def test_a_reply_is_heard_from_its_first_sample_to_its_last(self, link: Link) -> None:
        reading = asyncio.create_task(drain(link))
        voice = Voice(link.transport, "u1", 40)
        await voice.task
        await until(lambda: heard_until(link, "u1") >= link.whole(voice.samples))
        reading.cancel()
        if link.exact:
            assert [start for start, _ in spans(link, "u1")] == [0]

    async def test_a_pause_and_a_resume_lose_no_sample_and_repeat_none(self, link: Link) -> None:
        reading = asyncio.create_task(drain(link))
        voice = Voice(link.transport, "u1", 60)
        for threshold in (12_000, 31_000):
            await until(lambda least=threshold: heard_until(link, "u1") >= least)  # type: ignore[misc]
            await voice.pause()
            await until(lambda: any(isinstance(message, PauseAudio) for message in link.far.messages))
            before = heard_until(link, "u1")
            await asyncio.sleep(0.2)
            assert heard_until(link, "u1") - before < 4_800
            await voice.resume()
        await voice.task
        await until(lambda: heard_until(link, "u1") >= link.whole(voice.samples))
        reading.cancel()
        assert any(isinstance(message, ResumeAudio) for message in link.far.messages)
        if link.exact:
            assert [start for start, _ in spans(link, "u1")] == [0]
        else:
            assert heard_until(link, "u1") < voice.samples * 1.2

    async def test_before_anything_is_said_there_is_nothing_to_pause_or_clear(self, link: Link) -> None:
        assert (await link.transport.pause_audio()).sample == 0
        await link.transport.resume_audio()
        assert (await link.transport.clear_audio()).sample == 0

    async def test_pause_and_clear_tell_which_utterance_and_how_far(self, link: Link) -> None:
        reading = asyncio.create_task(drain(link))
        voice = Voice(link.transport, "u1", 60)
        await until(lambda: heard_until(link, "u1") >= 12_000)
        await voice.pause()
        paused = await link.transport.pause_audio()
        cleared = await link.transport.clear_audio()
        await voice.stop()
        reading.cancel()
        assert paused.utterance_id == cleared.utterance_id == "u1"
        assert 6_000 < paused.sample < 60_000
        assert abs(paused.sample - cleared.sample) < 9_600

    async def test_a_client_that_reports_answers_a_pause_with_its_sample(self, link: Link) -> None:
        voice = Voice(link.transport, "u1", 60)
        await until(lambda: heard_until(link, "u1") >= 12_000)
        await voice.pause()
        reached = heard_until(link, "u1")
        report = await next_message(link, PlayoutReport)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                while abs(report.sample - reached) > 4_800:
                    report = await next_message(link, PlayoutReport)
        await voice.stop()
        assert report.utterance_id == "u1"
        assert abs(report.sample - reached) <= 4_800

    async def test_of_a_cleared_reply_nothing_more_is_heard(self, link: Link) -> None:
        reading = asyncio.create_task(drain(link))
        first = Voice(link.transport, "u1", 100)
        await until(lambda: heard_until(link, "u1") >= 12_000)
        await link.transport.clear_audio()
        await first.stop()
        second = Voice(link.transport, "u2", 20)
        await second.task
        await until(lambda: heard_until(link, "u2") >= link.whole(second.samples))
        reading.cancel()
        assert heard_until(link, "u1") < 24_000
        if link.exact:
            assert [start for start, _ in spans(link, "u2")] == [0]
            names = [name for name, _, _ in link.far.heard()]
            assert names == sorted(names)

    async def test_a_ping_is_answered_without_the_session(self, link: Link) -> None:
        await link.far.send(Ping(41))
        await link.far.send(TextInput("after"))
        async with asyncio.timeout(PATIENCE):
            async for item in link.transport:
                assert not isinstance(item, Ping)
                if isinstance(item, TextInput):
                    break
        await until(lambda: Pong(41) in link.far.messages)

    async def test_iteration_ends_when_the_client_leaves(self, link: Link) -> None:
        await link.far.hang_up()
        async with asyncio.timeout(PATIENCE):
            await drain(link)

    async def test_sending_to_a_client_that_has_left_does_nothing(self, link: Link) -> None:
        await link.far.hang_up()
        async with asyncio.timeout(PATIENCE):
            await drain(link)
            await link.transport.send_message(SessionEnded())
            for frame in speech(100, "u1"):
                await link.transport.send_audio(frame)
            await link.transport.pause_audio()
            await link.transport.resume_audio()
            await link.transport.clear_audio()

    async def test_iteration_ends_when_the_client_vanishes(self, link: Link) -> None:
        await link.far.vanish()
        async with asyncio.timeout(link.notices + 5):
            await drain(link)

    async def test_the_client_sees_the_end_and_closing_twice_is_safe(self, link: Link) -> None:
        await link.transport.send_message(SessionEnded("goodbye"))
        await link.transport.aclose()
        await link.transport.aclose()
        await until(lambda: link.far.gone)
        assert link.far.messages[-1] == SessionEnded("goodbye")
