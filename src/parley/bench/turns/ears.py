"""Recognisers in virtual time: any decoder, whose run time becomes delay, and one that understands all.

The last stands for a good recogniser, so that what the manners cost is told apart from what bad ears cost.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, AsyncIterable, Sequence

from parley import clock
from parley.asr.decoder import TurnDecoder
from parley.asr.pocketsphinx import SphinxDecoder
from parley.audio import AudioFrame
from parley.bench.cpu_time import timed
from parley.bench.turns.corpus import Case
from parley.bench.turns.room import Room
from parley.llm.script import phrases
from parley.session.decide.lexicon import lexicon
from parley.values import Transcript

REAL_TIME_FACTOR = 0.25
"""Seconds that the decoder takes for a second of speech, both language models together (two-core machine)."""
FINAL_DELAY = 0.02
"""Seconds that it takes for the last words once the audio has ended."""


@functools.cache
def decoder() -> SphinxDecoder:
    """One for all cases: loading it takes half a second."""
    known = lexicon("en")
    loaded = SphinxDecoder((*phrases(), *sorted(known.backchannels), *sorted(known.stops)))
    loaded.load()
    return loaded


class DecoderEars:
    """A Recognizer over one decoder: it hears one turn at a time, as a session gives them, in this case's microphone.

    A decoder's time passes as measured CPU time, or as ``factor`` seconds for a second of sound where that is given:
    then a case always goes the same way.
    """

    def __init__(self, engine: TurnDecoder, factor: float | None = None) -> None:
        self._engine, self._factor = engine, factor
        self._memory = ""

    async def transcribe(
        self, audio: AsyncIterable[AudioFrame], *, language: str = ""
    ) -> AsyncGenerator[Transcript, None]:
        engine = self._engine
        engine.start(language, self._memory)
        ready_at, speaking = clock.now(), True
        async for frame in audio:
            # The decoder works through its backlog; what it finds is known once it is done with this frame.
            partial, spent = timed(engine.feed, frame.pcm)
            if speaking and not frame.speaking:
                partial, more = timed(engine.pause)
                spent += more
            speaking = frame.speaking
            ready_at = max(ready_at, clock.now()) + self._delay(spent, frame.duration)
            if partial is not None:
                await asyncio.sleep(max(0.0, ready_at - clock.now()))
                yield partial
        final, spent = timed(engine.finish)
        await asyncio.sleep(max(0.0, ready_at - clock.now()) + (FINAL_DELAY if self._factor is not None else spent))
        self._memory = engine.memory
        yield final

    def _delay(self, spent: float, duration: float) -> float:
        return spent if self._factor is None else self._factor * duration

    def for_session(self, hot_words: Sequence[str] = ()) -> DecoderEars:
        """One with a memory of its own."""
        return DecoderEars(self._engine, self._factor)

    async def aclose(self) -> None:
        pass


class EmbeddedEars(DecoderEars):
    """The embedded recogniser, whose run time on a two-core machine becomes delay."""

    def __init__(self) -> None:
        super().__init__(decoder(), REAL_TIME_FACTOR)


LAG = 0.2
"""Seconds from a word's end until a good streaming recogniser tells it."""
_PRE_ROLL = 0.45
"""A turn's audio begins a little before its onset; words before that are not in it."""


class TrueWords:
    """A Recognizer that understands every word, ``LAG`` seconds after its end."""

    def __init__(self, case: Case, room: Room) -> None:
        self._room = room
        self._words = [word for sound in case.sounds if sound.text for word in _timed(sound.text, sound.at, sound.end)]

    async def transcribe(
        self, audio: AsyncIterable[AudioFrame], *, language: str = ""
    ) -> AsyncGenerator[Transcript, None]:
        began, told = clock.now() - _PRE_ROLL, ""
        async for _ in audio:
            text = self._between(began, clock.now() - LAG)
            if text != told:
                told = text
                yield Transcript(text, stable=len(text))
        ended = clock.now()
        await asyncio.sleep(LAG if self._between(began, ended) != told else 0.0)
        text = self._between(began, ended)
        yield Transcript(text, final=True, stable=len(text))

    def _between(self, began: float, ended: float) -> str:
        zero = self._room.sounds_from
        if zero is None:
            return ""
        return " ".join(word for start, end, word in self._words if zero + start >= began and zero + end <= ended)

    def for_session(self, hot_words: Sequence[str] = ()) -> TrueWords:
        """It learns nothing."""
        return self

    async def aclose(self) -> None:
        pass


def _timed(text: str, start: float, end: float) -> list[tuple[float, float, str]]:
    """Each word with its share of the sound, by its length."""
    words = text.lower().replace("um hum", "mhm").split()
    scale = (end - start) / sum(map(len, words))
    timed, at = [], start
    for word in words:
        timed.append((at, at + scale * len(word), word))
        at += scale * len(word)
    return timed
