"""A listener without a loudspeaker: what would have been heard, sample by sample.

Pure: it is told when frames arrive and when it is paused, and works out the rest. Time is
in seconds, with any origin, as long as every call uses the same one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from parley.audio.frame import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from parley.transports.binary import AgentAudio

_CLOCK_NOISE = 1e-6
"""Seconds below which two moments are the same one."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A stretch of audio that reached the ear without a break."""

    at: float
    """When its first sample was heard."""
    number: int
    """The utterance that it belongs to."""
    start_sample: int
    """Position of its first sample in the utterance."""
    pcm: bytes

    @property
    def end_sample(self) -> int:
        return self.start_sample + len(self.pcm) // 2

    @property
    def until(self) -> float:
        """When its last sample had been heard."""
        return self.at + len(self.pcm) / 2 / SAMPLE_RATE


class Playout:
    """Plays frames in real time, one after the other, from the moment the first one arrives.

    ``sink`` is given every stretch that has been heard; without one they collect in ``heard``.
    """

    def __init__(self, sink: Callable[[Heard], None] | None = None) -> None:
        self.heard: list[Heard] = []
        self.late: list[float] = []
        """Seconds by which frames came too late to follow on without a gap; 0 for those in time."""
        self._sink = sink or self.heard.append
        self._queue: deque[AgentAudio] = deque()
        self._next_at = 0.0  # when the head of the queue begins, or what was played last ended
        self._paused = False
        self._number = 0
        self._sample = 0
        self._cleared = 0
        self._underrun = True  # nothing is owed: the next frame is not late

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def number(self) -> int:
        """The utterance heard last; 0 when there was none."""
        return self._number

    def push(self, frame: AgentAudio, now: float) -> None:
        """A frame has arrived. One of an utterance that was cleared is dropped."""
        if frame.number <= self._cleared:
            return
        self.advance(now)
        if not self._queue and not self._paused:
            self.late.append(0.0 if self._underrun else max(0.0, now - self._next_at))
            self._next_at = max(now, self._next_at)
        elif not self._paused:
            self.late.append(0.0)
        self._underrun = frame.final
        self._queue.append(frame)

    def pause(self, now: float) -> int:
        """Be silent, keep the rest; returns one past the last sample heard."""
        self.advance(now)
        if not self._paused:
            self._cut_head(now)
            self._paused = True
        return self._sample

    def resume(self, now: float) -> None:
        """Go on from the very next sample."""
        if self._paused:
            self._paused = False
            self._next_at = now
            self._underrun = True

    def clear(self, now: float, number: int = 0) -> int:
        """Drop the rest of the utterance (0: of all known) for good; returns one past the last sample heard."""
        self.pause(now)
        known = max((frame.number for frame in self._queue), default=self._number)
        self._cleared = max(self._cleared, number or known)
        self._queue = deque(frame for frame in self._queue if frame.number > self._cleared)
        self.resume(now)
        return self._sample

    def position(self, now: float) -> tuple[int, int]:
        """Utterance number and one past the last sample heard of it."""
        self.advance(now)
        if self._queue and not self._paused and now > self._next_at:
            head = self._queue[0]
            return head.number, head.start_sample + self._played_of(head, now)
        return self._number, self._sample

    def silent(self, now: float) -> bool:
        """True when nothing is to be heard right now."""
        self.advance(now)
        return self._paused or not self._queue

    def advance(self, now: float) -> None:
        """Account for everything that has been heard until ``now``."""
        while self._queue and not self._paused:
            head = self._queue[0]
            duration = len(head.pcm) / 2 / SAMPLE_RATE
            if self._next_at + duration > now + _CLOCK_NOISE:
                return
            self._queue.popleft()
            self._emit(head, self._next_at)
            self._next_at += duration

    def _played_of(self, head: AgentAudio, now: float) -> int:
        return max(0, min(len(head.pcm) // 2, round((now - self._next_at) * SAMPLE_RATE)))

    def _cut_head(self, now: float) -> None:
        """Split the frame in which the pause falls."""
        if not self._queue:
            return
        head = self._queue[0]
        played = self._played_of(head, now)
        if played:
            self._emit(head._replace(pcm=head.pcm[: 2 * played]), self._next_at)
            self._queue[0] = head._replace(start_sample=head.start_sample + played, pcm=head.pcm[2 * played :])

    def _emit(self, frame: AgentAudio, at: float) -> None:
        self._number = frame.number
        self._sample = frame.start_sample + len(frame.pcm) // 2
        if frame.pcm:
            self._sink(Heard(at, frame.number, frame.start_sample, frame.pcm))


def render(heard: list[Heard], start: float, end: float) -> NDArray[np.int16]:
    """What a listener recorded between two moments: mono s16 at 48 kHz, silence where nothing was said."""
    timeline = np.zeros(max(0, round((end - start) * SAMPLE_RATE)), np.int16)
    cursor = 0
    for piece in heard:
        samples = np.frombuffer(piece.pcm, "<i2")
        # Frames that follow on must not be torn apart by the rounding of their times.
        at = round((piece.at - start) * SAMPLE_RATE)
        at = cursor if abs(at - cursor) <= 2 else max(at, cursor)
        stop = min(len(timeline), at + len(samples))
        if 0 <= at < stop:
            timeline[at:stop] = samples[: stop - at]
        cursor = at + len(samples)
    return timeline
