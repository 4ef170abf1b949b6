"""Marks for a text whose engine does not say when each word sounds, given before they are heard. Pure.

A streaming engine's audio leaves while its sentence is still being made, so nobody knows yet how long that will be.
Where a word stands is therefore worked out from its length and a pace; the words that are left when the sentence ends
share the time that is left.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from parley.audio.frame import WordMark
from parley.worker.words import proportional_marks, weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley.worker.words import Span

USUAL_PACE = 1 / 15
"""Seconds that a letter takes, where the voice has not been measured."""


class PacedMarks:
    """The marks of one piece of text that begins at sample ``start``; ``pace`` is in samples a letter."""

    def __init__(self, text: str, spans: Sequence[Span], start: int, pace: float) -> None:
        self._text = text
        self._spans = spans
        self._start = self._edge = start
        self._letters = [0, *accumulate(weights(text, spans))]
        self._pace = pace
        self._given = 0

    def due(self, until: int) -> tuple[WordMark, ...]:
        """Those that are taken to begin before a sample, and have not been given yet."""
        marks: list[WordMark] = []
        while self._at(self._given) < until and (mark := self.next()) is not None:
            marks.append(mark)
        return tuple(marks)

    def next(self) -> WordMark | None:
        """The next one, due or not; None when all have been given."""
        index = self._given
        if index == len(self._spans):
            return None
        self._given += 1
        self._edge = self._at(self._given)
        return WordMark(*self._spans[index], self._at(index), self._at(index + 1))

    def rest(self, end: int) -> tuple[WordMark, ...]:
        """The others, now that the audio is known to end there."""
        start = min(self._edge, end)
        spans, self._given = self._spans[self._given :], len(self._spans)
        return proportional_marks(self._text, spans, start, end - start)

    def measured(self, end: int) -> float:
        """The pace that it had after all; the one that was assumed where there are no words."""
        letters = self._letters[-1]
        return (end - self._start) / letters if letters and end > self._start else self._pace

    def _at(self, index: int) -> int:
        return self._start + round(self._letters[index] * self._pace)
