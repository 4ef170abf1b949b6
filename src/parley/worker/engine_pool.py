"""A model in memory: its engine slots as one, and what was measured when it was warmed up."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from parley.audio.loudness import SPEECH_LUFS, gain_to
from parley.errors import EngineError, ParleyError
from parley.interfaces import TtsAdapter
from parley.text.speech.lexicon import EMPTY, parse_lexicon
from parley.text.speech.normaliser import Normaliser
from parley.values import ModelInfo, SynthesizedAudio, Voice, Wording
from parley.worker.head_start import Speed
from parley.worker.loras import Loras
from parley.worker.pacing import USUAL_PACE
from parley.worker.pack import traits_of
from parley.worker.refusals import too_slow
from parley.worker.words import weights, words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parley.worker.gate import Gate
    from parley.worker.job import Engine, Job

WARM_UP_TEXT = "Hello, this is my voice."
_ENOUGH_SECONDS = 5.0
_WARM_UP_LIMIT = 120.0
_FACTORS = 7
"""Utterances whose median is a voice's speed."""
_MOST_AT_ONCE = 0.7
"""A voice streams when it has made less than this share of a sentence's work before its first audio."""


class EnginePool:
    """One or more engines of the same model. A job goes to the one with the least to do."""

    def __init__(
        self, info: ModelInfo, engines: Sequence[Engine], *, calibrated: bool = False, gate: Gate | None = None
    ) -> None:
        self.info = info
        self.calibrated = calibrated
        """Its loudness is right as it comes: nothing is measured or changed."""
        self.gain_db = 0.0
        """What brings its voice to the common loudness, as measured on the warm-up."""
        self.pace = USUAL_PACE
        """Seconds that a letter takes at the voice's own speed, as measured on the warm-up."""
        self._factors: deque[float] = deque(maxlen=_FACTORS)
        self._measured_in_use = self._streams = False
        self.sentence_pause = self.lead_out = 0.0
        """Seconds of silence that belong to the voice: between sentences; behind clauses and the last sentence."""
        self.verbatim = False
        """It speaks text as it stands unless told otherwise: an instrument of tests."""
        self.phonemes = ""
        """The bracket in which it takes sounds (IPA) inside a text; empty where it takes none."""
        self.lexicon = EMPTY
        """How this voice is to say some words."""
        self.spoken_language: Callable[[Voice], str] | None = None
        """What a voice speaks that names no language, where its family knows better than the pack's first one."""
        self._engines = tuple(engines)
        self._gate = gate
        self.loras = Loras(info.model_id, self._engines)

    def language(self, voice: Voice) -> str:
        """The language (BCP 47) that ``voice`` speaks with this model."""
        own = self.spoken_language(voice) if self.spoken_language is not None and not voice.language else ""
        return voice.language or own or (self.info.languages[0] if self.info.languages else "")

    def normaliser(self, voice: Voice, wording: Wording) -> Normaliser | None:
        """What stands between an utterance's text and this voice; None where it speaks text as it stands."""
        if wording.normalize is False or (self.verbatim and wording.normalize is None):
            return None
        lexicon = parse_lexicon(wording.lexicon).over(self.lexicon)
        return Normaliser(self.language(voice), lexicon, phonemes=self.phonemes)

    async def load(
        self, *, measure: bool = True, target_lufs: float = SPEECH_LUFS, slowest: float = 0.0
    ) -> None:  # fmt: skip
        """Load all engines, or none. Raises what the first one that failed raised.

        ConfigError for a voice whose real-time factor is above ``slowest``, where that is not 0.
        """
        await asyncio.get_running_loop().run_in_executor(None, Normaliser, self.language(Voice()))  # reads its rules
        results = await asyncio.gather(*(engine.load() for engine in self._engines), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        try:
            if failures:
                raise failures[0]
            self.info = replace(self.info, word_marks=self._engines[0].word_marks)
            if not self.calibrated:
                await self._warm_up(target_lufs if measure else None)
            if 0 < slowest < self.real_time_factor:
                raise too_slow(self.info.model_id, self.real_time_factor, slowest)
        except BaseException:  # our own code, a cancelled load among it: all engines, or none
            with contextlib.suppress(Exception):  # our own code: why it could not be loaded says more
                await asyncio.shield(self.unload())
            raise

    async def _warm_up(self, target_lufs: float | None) -> None:
        """Measure loudness, pace and speed on a sentence; the gain is left alone without a target."""
        job = _WarmUp(WARM_UP_TEXT)
        self.submit(job)
        try:
            async with asyncio.timeout(_WARM_UP_LIMIT):
                await job.done
        except TimeoutError:
            raise EngineError(
                f"The model {self.info.model_id} said nothing for {_WARM_UP_LIMIT:.0f} s after it was loaded."
            ) from None
        finally:
            job.cancelled = True
        if job.chunks:
            rate = job.chunks[0].sample_rate
            samples = np.concatenate([chunk.samples for chunk in job.chunks])
            if target_lufs is not None:
                self.gain_db = gain_to(samples, rate, target_lufs)
            seconds = samples.size / rate
            self._factors.append(sum(job.seconds) / seconds if seconds else 0.0)
            self._streams = len(job.seconds) > 1 and job.seconds[0] < _MOST_AT_ONCE * sum(job.seconds)
            self.pace = samples.size / rate / sum(weights(WARM_UP_TEXT, words(WARM_UP_TEXT)))

    @property
    def real_time_factor(self) -> float:
        """Seconds of work for a second of audio, in the median of what was spoken of late; 0 before it spoke."""
        return median(self._factors) if self._factors else 0.0

    def speed(self, voice: Voice) -> Speed:
        """How fast ``voice`` is made and speaks."""
        return Speed(self.real_time_factor, self._streams, self.pace / voice.speed)

    def spoke(self, factor: float) -> None:
        """An utterance took ``factor`` seconds of work for a second of its audio."""
        if factor > 0:
            if not self._measured_in_use:  # the warm-up ran while other things started
                self._factors.clear()
                self._measured_in_use = True
            self._factors.append(factor)

    def submit(self, job: Job) -> None:
        """Queue a job on the engine with the least to do."""
        if self._gate is not None:
            self._gate.submit(job, self._assign, self.wake)
        else:
            self._assign(job)

    def _assign(self, job: Job) -> None:
        min(self._engines, key=lambda engine: engine.load_factor).submit(job)

    def wake(self) -> None:
        """A job wants more again, or was cancelled."""
        for engine in self._engines:
            if engine.load_factor:
                engine.wake()

    @property
    def slots(self) -> int:
        return len(self._engines)

    @property
    def memory_bytes(self) -> int:
        """What the engines were seen to take together; 0 when unknown."""
        return sum(engine.memory_bytes for engine in self._engines)

    async def hear(self, name: str, *, gone: bool, speakers: tuple[str, ...]) -> None:
        """A recording has come into the pack as a speaker, or gone; ``speakers`` are those there are now.

        Raises what the first engine raised that can not speak as it.
        """
        self.info = replace(self.info, speakers=speakers)
        heard = (engine.drop_voice(name) if gone else engine.take_voice(name) for engine in self._engines)
        for result in await asyncio.gather(*heard, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def unload(self) -> None:
        """Free all engines, whatever some of them raise; then raises what the first of those did."""
        await self.loras.aclose()
        results = await asyncio.gather(*(engine.unload() for engine in self._engines), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result


def build_pool(
    info: ModelInfo,
    create: Callable[[], TtsAdapter],
    *,
    slots: int,
    isolated: bool,
    python: str = "",
    gate: Gate | None = None,
) -> EnginePool:
    """Make the engines of a model, not loaded yet: threads here, or processes of their own.

    ``python`` is the interpreter of an environment that its library lives in, always in processes of their own.
    Jobs of a model that needs a GPU pass through ``gate`` first.
    """
    from parley.worker.engine_process import ProcessEngine
    from parley.worker.runner import ThreadEngine

    adapters = [create()]
    traits = traits_of(adapters[0])
    wanted = max(slots, traits.slots)
    adapters += [create() for _ in range(wanted - 1)]
    engines: list[Any] = (
        [ProcessEngine(adapter, python) for adapter in adapters]
        if isolated or python
        else [ThreadEngine(adapter) for adapter in adapters]
    )
    pool = EnginePool(info, engines, calibrated=traits.calibrated, gate=gate)
    pool.sentence_pause, pool.lead_out = traits.sentence_pause, traits.lead_out
    pool.verbatim, pool.phonemes = traits.verbatim, traits.phonemes
    pool.spoken_language = traits.spoken_language
    return pool


class _WarmUp:
    """Speaks a sentence that nobody hears."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.voice = Voice()
        self.chunks: list[SynthesizedAudio] = []
        self.seconds: list[float] = []
        """Of work, chunk by chunk."""
        self.cancelled = False
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()

    def ahead(self) -> float:
        return 0.0

    def wants_more(self) -> bool:
        return True

    def started(self, pid: int = 0) -> None:
        """Nobody counts it."""

    def push(self, audio: SynthesizedAudio, seconds: float) -> None:
        self.chunks.append(audio)
        self.seconds.append(seconds)
        if sum(chunk.samples.size / chunk.sample_rate for chunk in self.chunks) > _ENOUGH_SECONDS:
            self.cancelled = True

    def finished(self, error: ParleyError | None) -> None:
        self._loop.call_soon_threadsafe(self._settle, error)

    def _settle(self, error: ParleyError | None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
