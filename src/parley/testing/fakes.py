"""Stand-ins for everything that is behind a seam: deterministic, scriptable, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from parley import clock
from parley.audio.frame import FRAME_SAMPLES, SAMPLE_RATE, AudioFrame, WordMark
from parley.errors import NotFound, ParleyError
from parley.values import (
    ChatMessage,
    Deadlines,
    ReplyOptions,
    ReplyPart,
    SpeechScore,
    ToolInfo,
    Transcript,
    Voice,
    Wording,
)

CHARACTER_SAMPLES = 2_880
"""How long a fake voice speaks a character: 60 ms."""
ALOUD = 8_000
"""Amplitude of microphone samples that :class:`FakeVad` takes for speech."""


@lru_cache(maxsize=256)
def fake_speech(text: str, start: int = 0) -> bytes:
    """The samples of a fake voice: as if each were numbered, so that a lost or repeated one shows."""
    count = -(-len(text) * CHARACTER_SAMPLES // FRAME_SAMPLES) * FRAME_SAMPLES
    positions = np.arange(start, start + count, dtype=np.int64)
    scrambled = (positions * 7_919 + (positions >> 11) * 104_729) % 20_011 - 10_005
    return scrambled.astype("<i2").tobytes()


def fake_marks(text: str) -> list[WordMark]:
    """Where the words of a text stand in its fake speech."""
    marks, start = [], None
    for index, character in enumerate(f"{text} "):
        if character.isspace() and start is not None:
            marks.append(WordMark(start, index, start * CHARACTER_SAMPLES, index * CHARACTER_SAMPLES))
            start = None
        elif not character.isspace() and start is None:
            start = index
    return marks


@dataclass
class FakeSynthesizer:
    """Speaks at once: 60 ms a character, word marks with the frames they begin in.

    ``latency``: seconds before the first frame. ``pace``: seconds each frame takes to make.
    ``fail_after``: frames after which ``error`` is raised; ``hang_after``: frames after which nothing comes.
    """

    latency: float = 0.0
    pace: float = 0.0
    error: ParleyError | None = None
    fail_after: int = 0
    hang_after: int | None = None
    missing: frozenset[str] = frozenset()
    """Models that ``check`` refuses."""
    spoken: list[FakeSynthesis] = field(default_factory=list)

    def synthesize(
        self,
        text: AsyncIterable[str],
        *,
        voice: Voice,
        session_id: str,
        utterance_id: str,
        wording: Wording = Wording(),
    ) -> FakeSynthesis:
        synthesis = FakeSynthesis(self, text, voice, session_id, utterance_id)
        synthesis.wording = wording
        self.spoken.append(synthesis)
        return synthesis

    def check(self, voice: Voice) -> None:
        if voice.model in self.missing:
            raise NotFound(f"No worker has a model called {voice.model}.")

    async def aclose(self) -> None:
        pass


class FakeSynthesis:
    """One utterance; a paused one makes nothing new."""

    def __init__(
        self, owner: FakeSynthesizer, text: AsyncIterable[str], voice: Voice, session_id: str, utterance_id: str
    ) -> None:
        self.voice = voice
        self.wording = Wording()
        self.session_id = session_id
        self.utterance_id = utterance_id
        self.text = ""
        self.made = 0
        """Frames handed out."""
        self.opened = True
        self.closed = False
        self.pauses = 0
        self._owner = owner
        self._frames = self._speak(text)
        self._going = asyncio.Event()
        self._going.set()

    def __aiter__(self) -> FakeSynthesis:
        return self

    async def __anext__(self) -> AudioFrame:
        return await anext(self._frames)

    async def pause(self) -> int:
        self.pauses += 1
        self._going.clear()
        return self.made - 1

    async def resume(self) -> None:
        self._going.set()

    async def aclose(self) -> None:
        self.closed = True

    async def _speak(self, pieces: AsyncIterable[str]) -> AsyncGenerator[AudioFrame, None]:
        held: AudioFrame | None = None
        await asyncio.sleep(self._owner.latency)
        async for piece in pieces:
            start = len(self.text)
            self.text += piece
            for frame in self._frames_of(piece, start):
                if held is not None:
                    yield await self._made(held)
                held = frame
        if held is not None:
            yield await self._made(replace(held, final=True))

    def _frames_of(self, piece: str, start: int) -> list[AudioFrame]:
        first = start * CHARACTER_SAMPLES
        pcm = fake_speech(piece, first)
        marks = [
            WordMark(start + m.text_start, start + m.text_end, first + m.start_sample, first + m.end_sample)
            for m in fake_marks(piece)
        ]
        frames = []
        for offset in range(0, len(pcm) // 2, FRAME_SAMPLES):
            at = first + offset
            begun = tuple(mark for mark in marks if at <= mark.start_sample < at + FRAME_SAMPLES)
            data = pcm[2 * offset : 2 * (offset + FRAME_SAMPLES)]
            frames.append(AudioFrame(data, SAMPLE_RATE, self.utterance_id, at // FRAME_SAMPLES, at, begun))
        return frames

    async def _made(self, frame: AudioFrame) -> AudioFrame:
        owner = self._owner
        if owner.error is not None and self.made >= owner.fail_after:
            raise owner.error
        if owner.hang_after is not None and self.made >= owner.hang_after:
            await asyncio.get_running_loop().create_future()
        if owner.pace:
            await asyncio.sleep(owner.pace)
        await self._going.wait()
        self.made += 1
        return frame


@dataclass
class FakeLanguageModel:
    """Answers by a table or a function, delta by delta.

    ``first_delta`` and ``delta``: seconds before the first and between the others. ``error`` is raised
    after ``fail_after`` deltas; with ``hang`` nothing comes after them.
    """

    answer: Callable[[str], str | Sequence[ReplyPart]] = lambda text: f"You said: {text}."
    first_delta: float = 0.0
    delta: float = 0.0
    error: ParleyError | None = None
    fail_after: int = 0
    hang: bool = False
    asked: list[list[ChatMessage]] = field(default_factory=list)
    offered: list[tuple[ToolInfo, ...]] = field(default_factory=list)
    """The tools, for each reply that was asked for."""
    options: list[ReplyOptions] = field(default_factory=list)
    taken: int = 0
    """Deltas that somebody has asked for, of all replies."""
    closed: int = 0
    """Replies that ended or were given up."""
    deadlines: Deadlines = field(default_factory=Deadlines)

    async def reply(
        self,
        history: Sequence[ChatMessage],
        tools: Sequence[ToolInfo] = (),
        options: ReplyOptions = ReplyOptions(),  # noqa: B008  (frozen)
    ) -> AsyncGenerator[ReplyPart, None]:
        self.offered.append(tuple(tools))
        self.options.append(options)
        self.asked.append(list(history))
        answer = self.answer(history[-1].text if history else "")
        deltas = answer.split(" ") if isinstance(answer, str) else answer
        try:
            await asyncio.sleep(self.first_delta)
            for index, delta in enumerate(deltas):
                await self._trouble(index)
                if index:
                    await asyncio.sleep(self.delta)
                self.taken += 1
                yield f" {delta}" if isinstance(answer, str) and index else delta
            await self._trouble(len(deltas))
        finally:
            self.closed += 1

    async def _trouble(self, index: int) -> None:
        if index < self.fail_after:
            return
        if self.hang:
            await asyncio.get_running_loop().create_future()
        if self.error is not None:
            raise self.error

    async def aclose(self) -> None:
        pass


@dataclass
class FakeRecognizer:
    """Understands what a script says, word by word, as the audio of the turn goes by.

    ``turns``: for each turn, what is said, as ``(seconds of audio, text so far)``; the last text is the
    final one. ``latency``: seconds from the end of the audio to the final transcript.
    """

    turns: list[Sequence[tuple[float, str]]] = field(default_factory=list)
    latency: float = 0.0
    latencies: Sequence[float] = ()
    """Of the first turns, where they differ."""
    error: ParleyError | None = None
    hang: bool = False
    settles_in: float | None = None
    """It says how much it covers, and tells all that was said so many seconds after its speaker has fallen silent."""
    confidence: float = 1.0
    heard: list[bytearray] = field(default_factory=list)
    """The audio of each turn: s16le at 16 kHz."""
    hot_words: tuple[str, ...] = ()

    async def transcribe(
        self, audio: AsyncIterable[AudioFrame], *, language: str = ""
    ) -> AsyncGenerator[Transcript, None]:
        index = len(self.heard)
        heard = bytearray()
        self.heard.append(heard)
        script = list(self.turns[index]) if index < len(self.turns) else []
        text, settled = "", _Settling(self.settles_in)
        async for frame in audio:
            heard += frame.pcm
            while script and len(heard) / 32_000 >= script[0][0]:
                text = script.pop(0)[1]
                if self.settles_in is None:
                    yield Transcript(text, confidence=self.confidence)
            if settled.at(len(heard) / 32_000, speaking=frame.speaking):
                yield Transcript(text, confidence=self.confidence, covered=settled.silent_from)
        if self.hang:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(self.latencies[index] if index < len(self.latencies) else self.latency)
        if self.error is not None:
            raise self.error
        yield Transcript(script[-1][1] if script else text, final=True, confidence=self.confidence)

    def for_session(self, hot_words: Sequence[str] = ()) -> FakeRecognizer:
        """One script for all; ``hot_words`` keeps the newest."""
        self.hot_words = tuple(hot_words)
        return self

    async def aclose(self) -> None:
        pass


@dataclass
class _Settling:
    """When a pause has been decoded."""

    after: float | None
    silent_from: float = 0.0
    told: bool = True

    def at(self, heard: float, *, speaking: bool) -> bool:
        """True once for each silence; ``heard`` seconds of audio are there."""
        if speaking:
            self.told, self.silent_from = False, 0.0
            return False
        self.silent_from = self.silent_from or heard
        if self.told or self.after is None or heard < self.silent_from + self.after:
            return False
        self.told = True
        return True


class FakeVad:
    """Takes loud samples for speech: an instrument whose decisions a test can compute."""

    sample_rate = 16_000

    def __init__(self, grid: int = 512, alert_grid: int = 128) -> None:
        self._grids = (grid, alert_grid)
        self._waiting = np.zeros(0, np.int16)
        self.alert = False

    def score(self, samples: NDArray[np.int16]) -> Sequence[SpeechScore]:
        self._waiting = np.concatenate((self._waiting, samples))
        grid = self._grids[self.alert]
        scores = []
        while self._waiting.size >= grid:
            stretch, self._waiting = self._waiting[:grid], self._waiting[grid:]
            scores.append(SpeechScore(self._probability(stretch), grid))
        return scores

    def _probability(self, stretch: NDArray[np.int16]) -> float:
        """The amplitude says how likely it is to be speech; the loudest sample decides."""
        return min(1.0, float(np.abs(stretch.astype(np.int32)).max()) / ALOUD)

    def set_alert(self, alert: bool) -> None:
        self.alert = alert


class PassThroughMicrophone:
    """For microphones at 16 kHz."""

    def process(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        return samples


async def microphone(
    speak: Callable[[bytes], object],
    *sounds: tuple[float, ...],
    until: float,
    muted: Sequence[tuple[float, float]] = (),
) -> None:
    """Sound from ``start`` to ``end`` (loop time) for each of ``sounds``, silence otherwise, in 20 ms frames.

    A third number says how loud, 1 for a voice. ``speak`` takes 20 ms at 16 kHz (:meth:`MemoryParticipant.speak`).
    A frame arrives when it has been recorded; while ``muted`` none does.
    """
    frame = 0
    while (start := frame * 0.02) < until:
        frame += 1
        await asyncio.sleep(max(0.0, frame * 0.02 - clock.now()))
        if any(begin <= start + 1e-9 < end for begin, end in muted):
            continue
        times = start + np.arange(320) / 16_000
        level = np.zeros(320)
        for begin, end, *loudness in sounds:
            sounding = (times >= begin - 1e-9) & (times < end - 1e-9)
            level[sounding] = loudness[0] if loudness else 1.0
        result = speak((level * ALOUD).astype("<i2").tobytes())
        if asyncio.iscoroutine(result):
            await result
