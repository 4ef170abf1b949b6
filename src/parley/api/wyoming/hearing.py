"""One recording on its way from a Wyoming client's microphone to its words."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import numpy as np

from parley.api.wyoming.wire import Event
from parley.audio.frame import AudioFrame
from parley.audio.resample import ASR_RATE
from parley.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from parley.api.wyoming.asked import AudioFormat
    from parley.interfaces import Recognizer

_WAITING = 5 * ASR_RATE
"""Samples that may wait for the ears: the connection is not read meanwhile."""

_SILENCE = ASR_RATE // 4
"""Samples behind the last one: a recording that was cut off at its last sound still ends."""


class Heard:
    """Sound that comes piece by piece, bounded in all, at any rate."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._format: AudioFormat | None = None
        self._resampler: Any = None
        self._seconds = 0.0
        self._frames: asyncio.Queue[AudioFrame | None] = asyncio.Queue()
        self._waiting = 0
        self._room = asyncio.Event()
        self._room.set()
        self.begun = asyncio.Event()
        """Set once there is something to do."""

    async def add(self, audio: bytes, form: AudioFormat) -> None:
        """The next piece; waits while the ears have enough. Raises InvalidRequest."""
        if form != self._format:
            self._change(form)
        samples = np.frombuffer(audio[: len(audio) // (2 * form.channels) * 2 * form.channels], np.int16)
        self._seconds += samples.size / form.channels / form.rate
        if self._seconds > self._longest:
            raise InvalidRequest(f"The recording is longer than {self._longest:g} seconds (wyoming.longest_audio).")
        if form.channels == 2:
            samples = samples.reshape(-1, 2).mean(axis=1).astype(np.int16)
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        self._put(samples.tobytes())
        await self._room.wait()

    def end(self) -> None:
        """That was all."""
        if self._resampler is not None:
            self._put(self._resampler.resample_chunk(np.zeros(0, np.int16), last=True).tobytes())
        self._put(bytes(2 * _SILENCE))
        self._frames.put_nowait(None)
        self._room.set()
        self.begun.set()

    async def frames(self) -> AsyncIterator[AudioFrame]:
        """As the ears want it."""
        while (frame := await self._frames.get()) is not None:
            self._waiting -= frame.samples
            if self._waiting <= _WAITING:
                self._room.set()
            yield frame

    def _change(self, form: AudioFormat) -> None:
        from soxr import ResampleStream

        self._format = form
        same = form.rate == ASR_RATE
        self._resampler = None if same else ResampleStream(form.rate, ASR_RATE, 1, dtype="int16")

    def _put(self, pcm: bytes) -> None:
        if pcm:
            self._waiting += len(pcm) // 2
            self.begun.set()
            self._frames.put_nowait(AudioFrame(pcm, ASR_RATE))
            if self._waiting > _WAITING:
                self._room.clear()


async def write_down(ears: Recognizer, language: str, heard: Heard, send: Callable[[Event], Awaitable[None]]) -> None:
    """Words as they become certain, then all of them: ``transcript-start``, chunks, ``transcript``, ``-stop``."""
    sent, text, spoken = "", "", language
    await send(Event("transcript-start", {"language": language} if language else {}))
    async with aclosing(ears.transcribe(heard.frames(), language=language)) as transcripts:
        async for said in transcripts:
            certain = said.text if said.final else said.text[: said.stable]
            if len(certain) > len(sent) and certain.startswith(sent):
                await send(Event("transcript-chunk", {"text": certain[len(sent) :]}))
                sent = certain
            text, spoken = said.text.strip(), spoken or said.language
    await send(Event("transcript", {"text": text, **({"language": spoken} if spoken else {})}))
    await send(Event("transcript-stop"))
