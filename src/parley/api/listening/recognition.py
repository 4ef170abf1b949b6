"""Stretches of speech on their way to words, one after the other."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parley.audio.frame import AudioFrame
from parley.audio.resample import ASR_RATE
from parley.errors import CapacityError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from parley.api.listening.utterances import Sound
    from parley.interfaces import Recognizer
    from parley.values import Transcript

_TRIES = 20
"""Times that an utterance is given again to ears that were full: conversations come first."""
_WAITING = 5 * ASR_RATE
"""Samples that may wait for the ears: the connection is not read meanwhile."""
_SILENCE = ASR_RATE // 4
"""Samples behind an utterance: one that was cut off at its last sound still ends."""


@dataclass(slots=True)
class Utterance:
    """One stretch of speech; its sound can be heard again from the start."""

    number: int
    begin: float
    """Seconds of the stream."""
    end: float = 0.0
    _frames: list[AudioFrame] = field(default_factory=list)
    _samples: int = 0
    _taken: int = 0
    _complete: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    read: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever the ears took something."""

    @property
    def waiting(self) -> int:
        """Samples that the ears have not taken yet."""
        return self._samples - self._taken

    def add(self, sound: Sound) -> None:
        """What was said next."""
        self._put(sound.samples.tobytes(), sound.speaking)

    def complete(self, at: float) -> None:
        """It ended there."""
        self.end = at
        self._put(bytes(2 * _SILENCE), False)
        self._complete = True

    async def frames(self) -> AsyncIterator[AudioFrame]:
        """All of it, as it comes."""
        index = self._taken = 0
        while True:
            while index < len(self._frames):
                frame = self._frames[index]
                index, self._taken = index + 1, frame.end_sample
                self.read.set()
                yield frame
            if self._complete:
                return
            self._news.clear()
            await self._news.wait()

    def _put(self, pcm: bytes, speaking: bool) -> None:
        index = len(self._frames)
        self._frames.append(AudioFrame(pcm, ASR_RATE, "", index, self._samples, speaking=speaking))
        self._samples += len(pcm) // 2
        self._news.set()


class Recognition:
    """Writes utterances down in their order; ``heard`` is awaited with each thing that was understood."""

    def __init__(
        self, ears: Recognizer, language: str, heard: Callable[[Utterance, Transcript], Awaitable[Any]]
    ) -> None:
        self._ears, self._language, self._heard = ears.for_session(), language, heard
        self._open: deque[Utterance] = deque()
        """Those that are not written down; bounded because :meth:`room` is waited for."""
        self._news = asyncio.Event()
        self._ended = False

    def follow(self, utterance: Utterance) -> None:
        """Write this down next."""
        self._open.append(utterance)
        self._news.set()

    def end(self) -> None:
        """That was the last one."""
        self._ended = True
        self._news.set()

    async def room(self) -> None:
        """Wait until the ears have come near to what is being said."""
        while self._open and sum(utterance.waiting for utterance in self._open) > _WAITING:
            first = self._open[0]
            first.read.clear()
            await first.read.wait()

    async def run(self) -> None:
        """Until the last one is written down. Raises what the recogniser raises."""
        while True:
            while self._open:
                await self._write_down(self._open[0])
                self._open.popleft().read.set()
            if self._ended:
                return
            self._news.clear()
            await self._news.wait()

    async def _write_down(self, utterance: Utterance) -> None:
        for tries_left in reversed(range(_TRIES)):
            try:
                async with aclosing(self._ears.transcribe(utterance.frames(), language=self._language)) as said:
                    async for transcript in said:
                        await self._heard(utterance, transcript)
            except CapacityError as error:
                if not tries_left:
                    raise
                await asyncio.sleep(error.retry_after)
            else:
                return
