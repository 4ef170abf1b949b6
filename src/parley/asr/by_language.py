"""One recogniser in front of several: each language is heard by ears that know it.

Which they are is decided outside; each engine is loaded with the first turn that wants it.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from parley.asr.workload import Working, Workload

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Sequence

    from parley.asr.settings import AsrSettings
    from parley.audio.frame import AudioFrame
    from parley.interfaces import Recognizer
    from parley.values import Transcript


_LANGUAGES = 256
"""Choices that are kept."""


class ByLanguage:
    """Opens what ``choose`` says for a language (BCP 47, empty: unknown) with ``make``, once.

    ``choose`` may read files: it runs in a thread, since a client may name a new language in each message.
    """

    def __init__(self, choose: Callable[[str], AsrSettings], make: Callable[[AsrSettings], Recognizer]) -> None:
        self._choose = choose
        self._make = make
        self._chosen: dict[str, AsrSettings] = {}
        self._opened: dict[AsrSettings, Recognizer] = {}

    async def ears(self, language: str) -> Recognizer:
        """The recogniser for a language."""
        settings = self._chosen.get(language)
        if settings is None:
            settings = await asyncio.to_thread(self._choose, language)
            if len(self._chosen) >= _LANGUAGES:
                self._chosen.clear()  # only strangers name so many
            self._chosen[language] = settings
        if settings not in self._opened:
            self._opened[settings] = self._make(settings)
        return self._opened[settings]

    async def transcribe(
        self, audio: AsyncIterable[AudioFrame], *, language: str = ""
    ) -> AsyncGenerator[Transcript, None]:
        """Hear one turn. See :class:`parley.interfaces.Recognizer`."""
        ears = await self.ears(language)
        async with aclosing(ears.transcribe(audio, language=language)) as transcripts:
            async for transcript in transcripts:
                yield transcript

    @property
    def workload(self) -> Workload:
        """Of all that were opened (``workload.Working``)."""
        working = (ears.workload for ears in self._opened.values() if isinstance(ears, Working))
        return sum(working, Workload())

    def for_session(self, hot_words: Sequence[str] = ()) -> Recognizer:
        """The same for one session."""
        return _OneSession(self, hot_words)

    async def aclose(self) -> None:
        """Close every recogniser that was opened."""
        for recognizer in self._opened.values():
            await recognizer.aclose()


class _OneSession:
    """What one session's ears have learnt, per recogniser."""

    def __init__(
        self, shared: ByLanguage, hot_words: Sequence[str] = (), own: dict[int, Recognizer] | None = None
    ) -> None:
        self._shared, self._hot_words = shared, tuple(hot_words)
        self._own: dict[int, Recognizer] = {} if own is None else own

    async def transcribe(
        self, audio: AsyncIterable[AudioFrame], *, language: str = ""
    ) -> AsyncGenerator[Transcript, None]:
        ears = await self._shared.ears(language)
        own = self._own.setdefault(id(ears), ears.for_session())
        own = own.for_session(self._hot_words) if self._hot_words else own
        async with aclosing(own.transcribe(audio, language=language)) as transcripts:
            async for transcript in transcripts:
                yield transcript

    def for_session(self, hot_words: Sequence[str] = ()) -> Recognizer:
        return _OneSession(self._shared, hot_words, self._own)

    async def aclose(self) -> None:
        """Whoever made the shared one closes it."""
