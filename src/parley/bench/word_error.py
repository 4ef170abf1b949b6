"""How many words a recogniser gets wrong: both sides brought to one spelling, then the least edit distance.

Numbers below a hundred are words, longer ones digit by digit; case, punctuation, hyphens and apostrophes do not
count, and neither does whether a compound is written as one word or as two.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_ONES = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen""".split()  # noqa: SIM905  (twenty literals are no clearer)
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ALIKE = {"okay": "ok", "mister": "mr", "missus": "mrs", "oclock": "clock"}
_WORD = re.compile(r"\d+|[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class WordError:
    """So many words wrong, of so many that were said."""

    errors: int
    words: int

    def __add__(self, other: WordError) -> WordError:
        return WordError(self.errors + other.errors, self.words + other.words)

    def __float__(self) -> float:
        """0 to 1, or more where words were made up."""
        return self.errors / self.words if self.words else 0.0


def word_error(said: str, heard: str) -> WordError:
    """Words put in, left out or changed."""
    reference = normal(said)
    return WordError(distance(reference, normal(heard)), len(reference))


def normal(text: str) -> list[str]:
    """Its words in one spelling."""
    plain = re.sub(r"(?<=\w)['’\-](?=\w)", "", text.casefold())
    return [_ALIKE.get(word, word) for piece in _WORD.findall(plain) for word in _spelt(piece)]


def _spelt(piece: str) -> list[str]:
    """A number as it is read; anything else as it is."""
    if not piece.isdecimal():
        return [piece]
    if len(piece) > 2 or (len(piece) == 2 and piece[0] == "0"):
        return [_ONES[int(digit)] for digit in piece]
    value = int(piece)
    if value < len(_ONES):
        return [_ONES[value]]
    tens, ones = divmod(value, 10)
    return [_TENS[tens - 2], *([_ONES[ones]] if ones else [])]


def distance(reference: Sequence[str], heard: Sequence[str]) -> int:
    """The fewest words changed; two words of one side that are one of the other's are no change."""
    rows: list[list[int]] = [list(range(len(heard) + 1))]
    for row, word in enumerate(reference, 1):
        current = [row]
        for column, other in enumerate(heard, 1):
            best = min(rows[row - 1][column - 1] + (word != other), rows[row - 1][column] + 1, current[column - 1] + 1)
            if row > 1 and reference[row - 2] + word == other:
                best = min(best, rows[row - 2][column - 1])
            if column > 1 and heard[column - 2] + other == word:
                best = min(best, rows[row - 1][column - 2])
            current.append(best)
        rows.append(current)
    return rows[-1][-1]
