"""Words of a text, and where they stand in its audio. Pure arithmetic.

All positions are Unicode code points in the text that was given.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import TYPE_CHECKING

from parley.audio.frame import WordMark

if TYPE_CHECKING:
    from collections.abc import Sequence

Span = tuple[int, int]
"""First character and one past the last."""

# One word: letters and digits with inner apostrophes, hyphens, points ("don't", "3.5", "e-mail");
# scripts that write no spaces count one character as a word.
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
    r"|[^\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+(?:['’.,\-][^\W_]+)*"
)


def words(text: str) -> list[Span]:
    """Spans of the words of ``text``; punctuation belongs to none."""
    return [match.span() for match in _WORD.finditer(text)]


def weights(text: str, spans: Sequence[Span]) -> list[int]:
    """How long the words at ``spans`` take to say, in letters; a pause after punctuation is as long as three."""
    return [end - begin + (3 if text[end : end + 1] in ",;:.!?" and text[end : end + 1] else 1) for begin, end in spans]


def proportional_marks(text: str, spans: Sequence[Span], start_sample: int, samples: int) -> tuple[WordMark, ...]:
    """Marks for the words at ``spans`` of ``text`` spread over ``samples`` samples by their length.

    A pause after punctuation weighs as much as three letters. Samples count from ``start_sample``.
    """
    if not spans:
        return ()
    edges = _scaled(weights(text, spans), samples)
    return tuple(
        WordMark(begin, end, start_sample + edges[i], start_sample + edges[i + 1])
        for i, (begin, end) in enumerate(spans)
    )


def grouped_marks(
    text: str, spans: Sequence[Span], groups: Sequence[Span], start_sample: int = 0
) -> tuple[WordMark, ...]:
    """Marks for the words at ``spans`` from the sample spans of an engine's phoneme groups.

    An engine may say one word as several groups ("42") or several words as one ("of the"). When the
    counts agree, each word takes its group; else the words are laid over the groups by their
    length and their edges moved to the nearest edge of a group where that keeps them in order.
    """
    if not spans or not groups:
        return ()
    if len(spans) == len(groups):
        return tuple(
            WordMark(begin, end, start_sample + first, start_sample + last)
            for (begin, end), (first, last) in zip(spans, groups, strict=True)
        )
    begin, end = groups[0][0], groups[-1][1]
    marks = proportional_marks(text, spans, begin, end - begin)
    snapped = [begin]
    for mark in marks[1:]:
        nearest = min((first for first, _ in groups), key=lambda edge: abs(edge - mark.start_sample))
        snapped.append(nearest if nearest > snapped[-1] else max(mark.start_sample, snapped[-1]))
    snapped.append(end)
    return tuple(
        WordMark(
            mark.text_start, mark.text_end, start_sample + snapped[i], start_sample + max(snapped[i], snapped[i + 1])
        )
        for i, mark in enumerate(marks)
    )


def _scaled(parts: Sequence[int], samples: int) -> list[int]:
    total = sum(parts)
    return [0, *(round(part * samples / total) for part in accumulate(parts))]
