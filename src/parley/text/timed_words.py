"""From word marks to timed words: each with its text as it was written (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parley.audio.frame import WordMark


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word, with what stands between it and the next one."""

    text: str
    start_sample: int
    """At 48 kHz, from the utterance's first."""
    end_sample: int


class TimedWords:
    """Of one utterance: ``add`` its text as it goes to the voice, and give ``due`` the marks that come back."""

    def __init__(self) -> None:
        self._text = ""
        self._held: WordMark | None = None

    def add(self, piece: str) -> None:
        """The next piece of the text that marks count in."""
        self._text += piece

    def due(self, marks: Iterable[WordMark]) -> list[TimedWord]:
        """The words whose extent is known with these marks."""
        words = []
        for mark in marks:
            if self._held is not None:
                words.append(self._word(self._held, mark.text_start))
            self._held = mark
        return words

    def last(self) -> list[TimedWord]:
        """The word that stood at the end."""
        held, self._held = self._held, None
        return [self._word(held, len(self._text))] if held is not None else []

    def _word(self, mark: WordMark, text_end: int) -> TimedWord:
        text = self._text[mark.text_start : max(text_end, mark.text_end)]
        return TimedWord(text, mark.start_sample, mark.end_sample)
