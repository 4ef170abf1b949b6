"""LocalAgreement: which words of a transcript that is decoded again and again will not change any more.

A word is stable once two hypotheses in a row agree on everything up to it. What is stable is never
revoked: a later hypothesis that words it differently only continues it. Pure; after Macháček,
Dabre and Bojar, "Turning Whisper into Real-Time Transcription System" (2023).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def same(one: str, other: str) -> bool:
    """Equal but for case and punctuation."""
    return plain(one) == plain(other)


def plain(word: str) -> str:
    """A word without case and punctuation; itself where it has nothing else."""
    return "".join(letter for letter in word.casefold() if letter.isalnum()) or word


class LocalAgreement:
    """The stable words of one stretch of speech, and what follows them for now."""

    def __init__(self) -> None:
        self.stable: list[str] = []
        self.tail: list[str] = []
        """Words of the newest hypothesis after the stable ones."""

    def update(self, hypothesis: Sequence[str]) -> list[str]:
        """Take the words of a new hypothesis for the same stretch; return those that became stable."""
        rest = list(hypothesis[continuation(self.stable, hypothesis) :])
        agreed = 0
        while agreed < min(len(rest), len(self.tail)) and same(rest[agreed], self.tail[agreed]):
            agreed += 1
        fresh = rest[:agreed]
        self.stable += fresh
        self.tail = rest[agreed:]
        return fresh

    def finish(self, hypothesis: Sequence[str] | None = None) -> list[str]:
        """The last hypothesis: all of it becomes stable. Returns every word."""
        if hypothesis is not None:
            self.tail = list(hypothesis[continuation(self.stable, hypothesis) :])
        self.stable += self.tail
        self.tail = []
        return self.stable

    def forget(self, words: int) -> None:
        """The stretch now begins after its first ``words`` stable words."""
        del self.stable[:words]


def continuation(stable: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Where in ``hypothesis`` the words after ``stable`` begin: the cut with the least edit distance."""
    row = list(range(len(hypothesis) + 1))
    for count, word in enumerate(stable, 1):
        diagonal, row[0] = row[0], count
        for column, other in enumerate(hypothesis, 1):
            cost = diagonal + (0 if same(word, other) else 1)
            diagonal = row[column]
            row[column] = min(cost, row[column] + 1, row[column - 1] + 1)
    least = min(row)
    cuts = [column for column, distance in enumerate(row) if distance == least]
    return min(cuts, key=lambda cut: abs(cut - len(stable)))
