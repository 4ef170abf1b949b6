"""Sentences and words of a text, and where words stand in its audio. Pure arithmetic.

Adapters speak sentence by sentence, so they need spans of sentences; marks need spans of words.
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

MAX_SENTENCE = 300
"""Characters after which a sentence without an end is cut at the best place."""

_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s|$)|[。！？]+[」』”’）]*|\n+")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"“])(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|No|Inc|Ltd|Jr|Sr|approx)\.$"
)
_SOFT = re.compile(r"[,;:，、；：]\s*|\s[-–—]\s")
# One word: letters and digits with inner apostrophes, hyphens, points ("don't", "3.5", "e-mail");
# scripts that write no spaces count one character as a word.
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
    r"|[^\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+(?:['’.,\-][^\W_]+)*"
)


def sentences(text: str) -> list[Span]:
    """Spans of the sentences of ``text``, without the white space around them."""
    spans: list[Span] = []
    start = 0
    for match in _END.finditer(text):
        if _ABBREVIATION.search(text[start : match.end()]):
            continue
        spans += _pieces(text, start, match.end())
        start = match.end()
    return spans + _pieces(text, start, len(text))


def words(text: str) -> list[Span]:
    """Spans of the words of ``text``; punctuation belongs to none."""
    return [match.span() for match in _WORD.finditer(text)]


def _pieces(text: str, start: int, end: int) -> list[Span]:
    """One span, stripped; several when it is longer than an engine should speak in one go."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start == end:
        return []
    if end - start <= MAX_SENTENCE:
        return [(start, end)]
    cut = _best_cut(text, start, start + MAX_SENTENCE)
    return _pieces(text, start, cut) + _pieces(text, cut, end)


def _best_cut(text: str, start: int, limit: int) -> int:
    soft = [match.end() for match in _SOFT.finditer(text, start, limit)]
    if soft:
        return soft[-1]
    space = text.rfind(" ", start + 1, limit)
    return space if space > start else limit


def proportional_marks(text: str, spans: Sequence[Span], start_sample: int, samples: int) -> tuple[WordMark, ...]:
    """Marks for the words at ``spans`` of ``text`` spread over ``samples`` samples by their length.

    A pause after punctuation weighs as much as three letters. Samples count from ``start_sample``.
    """
    if not spans:
        return ()
    weights = [
        end - begin + (3 if text[end : end + 1] in ",;:.!?" and text[end : end + 1] else 1) for begin, end in spans
    ]
    edges = _scaled(weights, samples)
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


def _scaled(weights: Sequence[int], samples: int) -> list[int]:
    total = sum(weights)
    return [0, *(round(part * samples / total) for part in accumulate(weights))]
