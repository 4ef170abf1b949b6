"""Workers that need no process: each word is a known number of frames, and failures come when they are told to.

For whatever stands above ``routing.fleet.WorkerLink``. They keep to the loop's clock, so virtual time works.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parley.audio.frame import FRAME_SAMPLES, AudioFrame, WordMark
from parley.errors import ConfigError, EngineError, NotFound, ParleyError, TimedOut, UnavailableError
from parley.registry import AnnouncedModel, Announcement
from parley.rpc.values import ClonedVoice, ModelStatus, NewVoice
from parley.values import ModelInfo, Wording

if TYPE_CHECKING:
    from parley.values import Voice

WORD_FRAMES = 10
"""200 ms for each word, of which the last frame is silent."""
WORD = re.compile(r"[^\W_]+")


def code_of(word: str) -> int:
    """The sample value that a word sounds as: 1 and up."""
    return int(word) + 1 if word.isdecimal() else 1_000 + sum(map(ord, word)) % 30_000


def words_heard(frames: list[AudioFrame]) -> list[int]:
    """The codes of the words in a recording; a word that breaks off and begins again counts twice."""
    heard: list[int] = []
    before = 0
    for frame in frames:
        value = memoryview(frame.pcm).cast("h")[0]
        if value and value != before:
            heard.append(value)
        before = value
    return heard


@dataclass
class FakeWorker:
    """One worker. It says what it was asked to say, until something is due to go wrong."""

    name: str
    models: tuple[str, ...] = ("fake",)
    pace: float = 0.0
    """Seconds that a frame takes."""
    lead_in: int = 0
    """Silent frames before the first word."""
    die_after: int | None = None
    """Frames after which the connection breaks, and every later one at once."""
    hang_after: int | None = None
    """Frames after which nothing comes any more."""
    refusal: ParleyError | None = None
    """Raised instead of the first frame."""
    cloned: dict[tuple[str, str], ClonedVoice] = field(default_factory=dict)
    """Made from recordings, by model and name."""
    takes_no_voice: bool = False
    """No recording is good enough for it."""
    forgets: int = 0
    """Utterances that it refuses first, because it knows nothing of their session."""
    poison: str = ""
    """A word that breaks it before it is spoken."""
    chokes_on: str = ""
    """A word that its engine raises at; the worker itself goes on."""
    mute_on: str = ""
    """A word that no sound ever comes of."""
    slow_on: str = ""
    """A word whose sound takes ``slow_for`` seconds to come."""
    slow_for: float = 0.0
    word_marks: bool = True
    deaf: bool = False
    """It hears no pause and no resume."""
    cut_short: int | None = None
    """Frames after which the stream ends as if it were complete, without a final frame."""
    answers: bool = True
    """What ``healthy`` says."""
    said: list[str] = field(default_factory=list)
    """The texts that it was given, as far as they came."""
    voices: list[Voice] = field(default_factory=list)
    wordings: list[Wording] = field(default_factory=list)
    sessions: set[str] = field(default_factory=set)
    loaded: list[str] = field(default_factory=list)
    open: int = 0
    """Utterances that it speaks now."""
    closed: bool = False

    def announcement(self, **changes: object) -> Announcement:
        """As it would announce itself."""
        (AnnouncedModel(model, model.split("-")[0], ("en",), is_default=True) for model in self.models)
        fields: dict[str, object] = {
            "name": self.name,
            "address": f"{self.name}:7100",
            "models": tuple(
                AnnouncedModel(model, model.split("-")[0], ("en",), is_default=True) for model in self.models
            ),
            "resident_models": self.models,
            **changes,
        }
        return Announcement(**fields)  # type: ignore[arg-type]

    def synthesize(
        self,
        text: AsyncIterable[str],
        *,
        voice: Voice,
        session_id: str,
        utterance_id: str,
        wording: Wording = Wording(),
    ) -> FakeSynthesis:
        self.voices.append(voice)
        self.wordings.append(wording)
        self.sessions.add(session_id)
        return FakeSynthesis(self, text, utterance_id)

    async def prepare(self, *, voice: Voice, session_id: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.sessions.add(session_id)

    async def end_session(self, session_id: str) -> None:
        if self.deaf:
            raise TimedOut("The worker did not answer.")
        self.sessions.discard(session_id)

    async def load_model(self, model_id: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.loaded.append(model_id)

    @property
    def worker(self) -> FakeHandles:
        """Its models, as an operator handles them."""
        return FakeHandles(self)

    async def healthy(self) -> bool:
        return self.answers

    async def aclose(self) -> None:
        self.closed = True


@dataclass
class FakeHandles:
    """The models of a FakeWorker."""

    owner: FakeWorker

    async def models(self) -> list[ModelStatus]:
        return [ModelStatus(ModelInfo(model, "fake"), "resident") for model in self.owner.models]

    async def load(self, model_id: str) -> None:
        await self.owner.load_model(model_id)

    async def unload(self, model_id: str) -> None:
        self.owner.loaded.remove(model_id)

    async def add_voice(self, voice: NewVoice) -> ClonedVoice:
        if self.owner.takes_no_voice:
            raise ConfigError("This recording can not be heard.")
        self.owner.cloned[voice.model_id, voice.name] = kept = ClonedVoice(voice.model_id, voice.name, 8.0)
        return kept

    async def remove_voice(self, model_id: str, name: str) -> None:
        if self.owner.cloned.pop((model_id, name), None) is None:
            raise NotFound(f"There is no voice {name!r}.")

    async def voices(self) -> list[ClonedVoice]:
        return list(self.owner.cloned.values())


class FakeSynthesis:
    """One utterance of a FakeWorker."""

    def __init__(self, worker: FakeWorker, text: AsyncIterable[str], utterance_id: str) -> None:
        self._worker = worker
        self._frames = self._speak(text, utterance_id)
        self._go = asyncio.Event()
        self._go.set()
        self._made = 0
        self._open = True
        self.opened = worker.die_after != 0
        """Whether the worker was there to take the text."""
        worker.open += 1

    def __aiter__(self) -> AsyncIterator[AudioFrame]:
        return self

    async def __anext__(self) -> AudioFrame:
        if self._worker.cut_short is not None and self._made >= self._worker.cut_short:
            raise StopAsyncIteration
        return await anext(self._frames)

    async def pause(self) -> int:
        if self._worker.deaf:
            raise TimedOut("The worker did not answer.")
        self._go.clear()
        return self._made - 1

    async def resume(self) -> None:
        if self._worker.deaf:
            raise TimedOut("The worker did not answer.")
        self._go.set()

    async def aclose(self) -> None:
        if self._open:
            self._open = False
            self._worker.open -= 1

    async def _speak(self, text: AsyncIterable[str], utterance_id: str) -> AsyncIterator[AudioFrame]:
        worker, position = self._worker, 0
        worker.said.append("")
        if worker.forgets:
            worker.forgets -= 1
            raise NotFound("There is no such session.")
        if worker.refusal is not None:
            raise worker.refusal
        for _ in range(worker.lead_in):
            yield await self._frame(utterance_id, 0)
        async for piece in text:
            worker.said[-1] += piece
            for match in WORD.finditer(piece):
                if match[0] == worker.poison:
                    worker.die_after = 0
                if match[0] == worker.chokes_on:
                    raise EngineError("The model failed while speaking.")
                if match[0] == worker.mute_on:
                    await asyncio.get_running_loop().create_future()
                if match[0] == worker.slow_on:
                    await asyncio.sleep(worker.slow_for)
                start = self._made * FRAME_SAMPLES
                span = (match.start() + position, match.end() + position)
                mark = WordMark(*span, start, start + WORD_FRAMES * FRAME_SAMPLES)
                for index in range(WORD_FRAMES):
                    value = code_of(match[0]) if index < WORD_FRAMES - 1 else 0
                    marks = (mark,) if index == 0 and worker.word_marks else ()
                    yield await self._frame(utterance_id, value, marks)
            position += len(piece)
        if not position:
            raise NotFound("There is nothing to say.")
        yield await self._frame(utterance_id, 0, final=True)

    async def _frame(
        self, utterance_id: str, value: int, marks: tuple[WordMark, ...] = (), *, final: bool = False
    ) -> AudioFrame:
        worker = self._worker
        await asyncio.sleep(worker.pace)
        await self._go.wait()
        if worker.die_after is not None and self._made >= worker.die_after:
            raise UnavailableError(f"The worker {worker.name} can not be reached.")
        if worker.hang_after is not None and self._made >= worker.hang_after:
            await asyncio.get_running_loop().create_future()
        self._made += 1
        sequence = self._made - 1
        pcm = value.to_bytes(2, "little") * FRAME_SAMPLES
        return AudioFrame(
            pcm,
            utterance_id=utterance_id,
            sequence=sequence,
            start_sample=sequence * FRAME_SAMPLES,
            marks=marks,
            final=final,
        )
