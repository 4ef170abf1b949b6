"""A transport without a network: the participant lives in the same process.

For tests and simulations, in virtual or real time. The participant's end has an ear that plays what
arrives as a loudspeaker would, 48 000 samples a second, and remembers every one of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

from parley import clock
from parley.audio.frame import SAMPLE_RATE, AudioFrame
from parley.messages import (
    ClearAudio,
    ClientMessage,
    PauseAudio,
    Ping,
    PlayoutReport,
    Pong,
    ReplyWords,
    ResumeAudio,
    ServerMessage,
)
from parley.orders import Order
from parley.transports.inbox import Inbox
from parley.values import PlayoutPosition

_SOON = 1e-6
"""Seconds that do not count."""


@dataclass(frozen=True, slots=True)
class HeardStretch:
    """Samples that reached the ear one after the other, without a break."""

    at: float
    """When the first of them did, on ``clock.now()``."""
    utterance_id: str
    start_sample: int
    pcm: bytes

    @property
    def end_sample(self) -> int:
        """One past the last of them."""
        return self.start_sample + len(self.pcm) // 2

    @property
    def until(self) -> float:
        """When the last of them had been heard."""
        return self.at + len(self.pcm) / 2 / SAMPLE_RATE


class Ear:
    """A loudspeaker's queue and the ear in front of it."""

    def __init__(self) -> None:
        self._stretches: list[HeardStretch] = []
        self._more: list[bytes] = []  # follows the newest stretch; joined when somebody looks
        self._more_samples = 0
        self.underruns = 0
        """Times that the queue ran dry in the middle of an utterance."""
        self._queue: deque[AudioFrame] = deque()
        self._head_at = 0.0  # when the head of the queue begins to sound
        self._paused = False
        self._dry = False
        self._position = PlayoutPosition("", 0, exact=True)

    @property
    def stretches(self) -> list[HeardStretch]:
        """What has been heard, in its order."""
        if self._more:
            last = self._stretches[-1]
            self._stretches[-1] = replace(last, pcm=b"".join((last.pcm, *self._more)))
            self._more, self._more_samples = [], 0
        return self._stretches

    def push(self, frame: AudioFrame) -> None:
        """A frame arrives."""
        now = self._advance()
        if not self._queue and not self._paused:
            self.underruns += self._dry and now > self._head_at + _SOON
            self._head_at = max(now, self._head_at)
        self._queue.append(frame)

    def pause(self) -> PlayoutPosition:
        """Silence; the queue stays."""
        now = self._advance()
        if not self._paused:
            self._cut_head(now)
            self._paused = True
        return self._position

    def resume(self) -> None:
        """Go on with the very next sample."""
        if self._paused:
            self._paused, self._dry, self._head_at = False, False, clock.now()

    def clear(self) -> PlayoutPosition:
        """Silence; the queue goes."""
        position = self.pause()
        self._queue.clear()
        self.resume()
        return position

    def position(self) -> PlayoutPosition:
        """One past the last sample heard."""
        now = self._advance()
        if self._queue and not self._paused:
            head = self._queue[0]
            return PlayoutPosition(head.utterance_id, head.start_sample + self._played(head, now), exact=True)
        return self._position

    @property
    def silent(self) -> bool:
        """True when nothing sounds right now."""
        self._advance()
        return self._paused or not self._queue

    def pcm(self, utterance_id: str) -> bytes:
        """Every sample of an utterance, in the order in which it was heard."""
        self._advance()
        return b"".join(stretch.pcm for stretch in self.stretches if stretch.utterance_id == utterance_id)

    def _advance(self) -> float:
        """Account for everything heard until now."""
        now = clock.now()
        while self._queue and not self._paused:
            head = self._queue[0]
            if self._head_at + head.duration > now + _SOON:
                break
            self._queue.popleft()
            self._hear(head, self._head_at)
            self._head_at += head.duration
            self._dry = not head.final
        return now

    def _played(self, head: AudioFrame, now: float) -> int:
        return max(0, min(head.samples, round((now - self._head_at) * SAMPLE_RATE)))

    def _cut_head(self, now: float) -> None:
        """Take the part of the frame that has sounded already."""
        played = self._played(self._queue[0], now) if self._queue else 0
        if played:
            head = self._queue.popleft()
            self._hear(replace(head, pcm=head.pcm[: 2 * played]), self._head_at)
            self._queue.appendleft(replace(head, pcm=head.pcm[2 * played :], start_sample=head.start_sample + played))

    def _hear(self, frame: AudioFrame, at: float) -> None:
        self._position = PlayoutPosition(frame.utterance_id, frame.end_sample, exact=True)
        if not frame.pcm:
            return
        last = self._stretches[-1] if self._stretches else None
        if last is not None and last.utterance_id == frame.utterance_id:
            samples = len(last.pcm) // 2 + self._more_samples
            until = last.at + samples / SAMPLE_RATE
            if last.start_sample + samples == frame.start_sample and abs(until - at) <= _SOON:
                self._more.append(frame.pcm)
                self._more_samples += frame.samples
                return
        self.stretches.append(HeardStretch(at, frame.utterance_id, frame.start_sample, frame.pcm))


class MemoryParticipant:
    """The other end: a microphone, an ear and a keyboard.

    ``reports``: answer pauses and clears, and tell ten times a second what was played, as a
    browser does. ``delay``: seconds from the engine to the ear.
    """

    def __init__(self, inbox: Inbox, input_rate: int, *, reports: bool, delay: float) -> None:
        self.ear = Ear()
        self.messages: list[ServerMessage] = []
        self.times: list[float] = []
        """When each message arrived, on ``clock.now()``."""
        self.frames: list[tuple[float, AudioFrame]] = []
        """Every frame that arrived, with its time."""
        self.taking = asyncio.Event()
        """Clear it, and nothing is taken any more."""
        self.taking.set()
        self.gone = False
        self.arrived = asyncio.Event()
        """Set whenever something arrives; clear it and wait for more."""
        self._inbox = inbox
        self._rate = input_rate
        self._reports = reports
        self._delay = delay
        self._line: deque[Callable[[], object]] = deque()
        self._position = self._sequence = 0
        self._reported_at = 0.0

    async def send(self, message: ClientMessage) -> None:
        """Type something."""
        self.put(message)

    def put(self, message: ClientMessage | Order) -> None:
        """Type something, without waiting."""
        if isinstance(message, Ping):
            self.take(Pong(message.id))
        elif not self.gone:
            self._inbox.put_message(message)

    async def speak(self, pcm: bytes) -> None:
        """Into the microphone: s16le at the transport's input rate."""
        self._inbox.put_audio(AudioFrame(pcm, self._rate, "", self._sequence, self._position))
        self._sequence += 1
        self._position += len(pcm) // 2

    def heard(self) -> list[tuple[str, int, int]]:
        """Stretches that were audible, in order: utterance, first sample, one past the last."""
        position = self.ear.position()
        stretches = [(stretch.utterance_id, stretch.start_sample, stretch.end_sample) for stretch in self.ear.stretches]
        if position.utterance_id and (not stretches or position.sample > stretches[-1][2]):
            begun = stretches[-1][2] if stretches and stretches[-1][0] == position.utterance_id else 0
            stretches.append((position.utterance_id, begun, position.sample))
        return stretches

    async def hang_up(self) -> None:
        """Leave."""
        self.gone = True
        self.taking.set()
        self._inbox.close()

    async def vanish(self) -> None:
        """Leave without a word; here there is no difference."""
        await self.hang_up()

    # --- what the transport brings ----------------------------------------------------------

    def take(self, message: ServerMessage) -> None:
        """A message arrives."""
        self.messages.append(message)
        self.times.append(clock.now())
        self.arrived.set()
        if isinstance(message, PauseAudio):
            self._later(lambda: self._answer(self.ear.pause()))
        elif isinstance(message, ResumeAudio):
            self._later(self.ear.resume)
        elif isinstance(message, ClearAudio):
            self._later(lambda: self._answer(self.ear.clear()))

    def take_frame(self, frame: AudioFrame) -> None:
        """A frame arrives."""
        now = clock.now()
        self.frames.append((now, frame))
        self.arrived.set()
        self._later(lambda: self.ear.push(frame))
        if self._reports and now - self._reported_at >= 0.1:
            self._reported_at = now
            self._report(self.ear.position())

    def _later(self, event: Callable[[], object]) -> None:
        """On the line things keep their order, also those that were sent at the same moment."""
        if self._delay:
            self._line.append(event)
            asyncio.get_running_loop().call_later(self._delay, lambda: self._line.popleft()())
        else:
            event()

    def _answer(self, position: PlayoutPosition) -> None:
        if self._reports:
            self._report(position, stopped=True)

    def _report(self, position: PlayoutPosition, *, stopped: bool = False) -> None:
        if position.utterance_id:
            self.put(PlayoutReport(position.utterance_id, position.sample, stopped))


class MemoryTransport:
    """``interfaces.Transport`` to a :class:`MemoryParticipant`, ``self.participant``."""

    kind = "memory"

    def __init__(self, *, input_rate: int = 16_000, reports: bool = False, delay: float = 0.0) -> None:
        self.input_rate = input_rate
        self._inbox = Inbox()
        self._exact = not (reports or delay)
        self._current = ""
        self._cleared: set[str] = set()
        self.participant = MemoryParticipant(self._inbox, input_rate, reports=reports, delay=delay)

    def __aiter__(self) -> AsyncIterator[AudioFrame | ClientMessage | Order]:
        return aiter(self._inbox)

    async def send_audio(self, frame: AudioFrame) -> None:
        await self._taken()
        if self.participant.gone or frame.utterance_id in self._cleared:
            return
        self._current = frame.utterance_id
        if frame.marks:
            self.participant.take(ReplyWords(frame.utterance_id, frame.marks))
        self.participant.take_frame(frame)

    async def pause_audio(self) -> PlayoutPosition:
        return await self._stop(PauseAudio(self._current))

    async def resume_audio(self) -> None:
        if self._current:
            await self.send_message(ResumeAudio(self._current))

    async def clear_audio(self) -> PlayoutPosition:
        self._cleared.add(self._current)
        return await self._stop(ClearAudio(self._current))

    async def _stop(self, order: PauseAudio | ClearAudio) -> PlayoutPosition:
        if not self._current:
            return PlayoutPosition("", 0)
        position = self.participant.ear.position()
        await self.send_message(order)
        return replace(position, utterance_id=self._current, exact=self._exact)

    async def send_message(self, message: ServerMessage) -> None:
        await self._taken()
        if not self.participant.gone:
            self.participant.take(message)

    async def _taken(self) -> None:
        """A participant who takes nothing holds everything up."""
        await self.participant.taking.wait()

    async def aclose(self) -> None:
        await self.participant.hang_up()
