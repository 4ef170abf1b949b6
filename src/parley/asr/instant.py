"""A recogniser for measurements: it takes no time and always understands the same words.

What the tone model is among voices. With it, a benchmark sees Parley's own time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley.values import Transcript

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Sequence

    from parley.asr.settings import AsrSettings
    from parley.audio.frame import AudioFrame

WORDS = "What time is it?"
"""What it understands where ``asr.model`` says nothing else."""
_ENOUGH = 0.1
"""Seconds of audio after which it knows."""


class InstantRecognizer:
    """``interfaces.Recognizer`` without an engine."""

    def __init__(self, words: str = WORDS) -> None:
        self._words = words

    async def transcribe(
        self, audio: AsyncIterable[AudioFrame], *, language: str = ""
    ) -> AsyncGenerator[Transcript, None]:
        heard = 0.0
        async for frame in audio:
            before, heard = heard, heard + frame.duration
            if before < _ENOUGH <= heard:
                yield Transcript(self._words, stable=len(self._words), language=language)
        yield Transcript(self._words, final=True, stable=len(self._words), language=language)

    def for_session(self, hot_words: Sequence[str] = ()) -> InstantRecognizer:
        """It learns nothing."""
        return self

    async def aclose(self) -> None:
        """Nothing to free."""


def create(settings: AsrSettings) -> InstantRecognizer:
    return InstantRecognizer(settings.model or WORDS)


__all__ = ["InstantRecognizer", "create"]
