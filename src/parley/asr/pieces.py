"""Words out of the pieces that a recogniser writes, with their times and probabilities. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from parley.asr.decoder import UNTOLD
from parley.values import TranscriptWord

if TYPE_CHECKING:
    from collections.abc import Sequence

_LAST_PIECE = 0.3
"""Seconds that the last piece of a word may last."""
_SPACES = "\u2581 "


def words_of(
    pieces: Sequence[str], times: Sequence[float], log_probabilities: Sequence[float]
) -> tuple[TranscriptWord, ...]:
    """Words from pieces and the seconds at which they were said: one that begins with a space or "▁" begins a word.

    A word ends where the next begins, or soon after its last piece. Without a log probability for each piece, how
    sure a word is is not told.
    """
    begun: list[tuple[str, list[int]]] = []
    for place, piece in enumerate(pieces[: len(times)]):
        bare = piece.strip(_SPACES)
        mark = bool(bare) and not any(letter.isalnum() for letter in bare)
        if not begun or (piece[:1] in _SPACES and not mark):
            begun.append((bare, [place]))
        else:
            begun[-1] = (begun[-1][0] + bare, [*begun[-1][1], place])
    told = len(log_probabilities) >= len(times)
    starts = [times[places[0]] for _, places in begun]
    ends = [
        min(after, times[places[-1]] + _LAST_PIECE)
        for (_, places), after in zip(begun, [*starts[1:], math.inf], strict=False)
    ]
    return tuple(
        TranscriptWord(text, start, end, confidence([log_probabilities[at] for at in places]) if told else UNTOLD)
        for (text, places), start, end in zip(begun, starts, ends, strict=True)
        if text
    )


def confidence(log_probabilities: Sequence[float]) -> float:
    """How far pieces can be believed: their mean log probability, as a probability."""
    if not log_probabilities:
        return UNTOLD
    return round(min(1.0, math.exp(sum(log_probabilities) / len(log_probabilities))), 4)
