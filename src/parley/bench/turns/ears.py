"""Two recognisers in virtual time: the embedded one, whose run time becomes delay, and one that understands all.

The second stands for a good recogniser, so that what the manners cost is told apart from what bad ears cost.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, AsyncIterable

from parley import clock
from parley.asr.pocketsphinx import SphinxDecoder
from parley.audio import AudioFrame
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


class EmbeddedEars:
    """A Recognizer that hears one turn at a time, as a session gives them; it knows this case's microphone alone."""

    def __init__(self) -> None:
        self._memory = ""

    async def transcribe(
        self, audio: AsyncIterable[AudioFrame], *, language: str = ""
    ) -> AsyncGenerator[Transcript, None]:
        engine = decoder()
        engine.start(language, self._memory)
        ready_at = clock.now()
        async for frame in audio:
            # The decoder works through its backlog; what it finds is known once it is done with this frame.
            ready_at = max(ready_at, clock.now()) + REAL_TIME_FACTOR * frame.duration
            partial = engine.feed(frame.pcm)
            if partial is not None:
                await asyncio.sleep(max(0.0, ready_at - clock.now()))
                yield partial
        await asyncio.sleep(max(0.0, ready_at - clock.now()) + FINAL_DELAY)
        final = engine.finish()
        self._memory = engine.memory
        yield final

    def for_session(self) -> EmbeddedEars:
        """One with a memory of its own."""
        return EmbeddedEars()

    async def aclose(self) -> None:
        pass


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

    def for_session(self) -> TrueWords:
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
