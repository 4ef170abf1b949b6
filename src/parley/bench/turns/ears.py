"""The embedded recogniser in virtual time: real words, and its run time as virtual delay."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, AsyncIterable, Sequence

from parley import clock
from parley.asr.pocketsphinx import SphinxDecoder
from parley.audio import AudioFrame
from parley.interfaces import Transcript
from parley.llm.script import phrases
from parley.session.lexicon import lexicon

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
    """A Recognizer that hears one turn at a time, as a session gives them."""

    async def transcribe(
        self, audio: AsyncIterable[AudioFrame], *, language: str = "", hot_words: Sequence[str] = ()
    ) -> AsyncGenerator[Transcript, None]:
        engine = decoder()
        engine.start(language, hot_words)
        ready_at = clock.now()
        async for frame in audio:
            # The decoder works through its backlog; what it finds is known once it is done with this frame.
            ready_at = max(ready_at, clock.now()) + REAL_TIME_FACTOR * frame.duration
            partial = engine.feed(frame.pcm)
            if partial is not None:
                await asyncio.sleep(max(0.0, ready_at - clock.now()))
                yield partial
        await asyncio.sleep(max(0.0, ready_at - clock.now()) + FINAL_DELAY)
        yield engine.finish()

    async def aclose(self) -> None:
        pass
