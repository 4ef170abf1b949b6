"""Words of a text, and where they stand in its audio. Pure arithmetic.

All positions are Unicode code points in the text that was given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

from parley.audio.frame import WordMark

Span = tuple[int, int]
"""First character and one past the last."""
Sizes = tuple[Sequence[int], Sequence[int]]
"""How large words are by themselves, and groups as they were spoken: in phonemes, say."""

# One word: letters and digits with inner apostrophes, hyphens, points ("don't", "3.5", "e-mail");
# scripts that write no spaces count one character as a word.
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
    r"|[^\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+(?:['’.,\-][^\W_]+)*"
)


_NOT_ONE_TO_ONE = 0.2


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
    text: str, spans: Sequence[Span], groups: Sequence[Span], start_sample: int = 0, *, sizes: Sizes | None = None
) -> tuple[WordMark, ...]:
    """Marks for the words at ``spans`` from the sample spans of an engine's phoneme groups.

    An engine may say one word as several groups ("42") or several words as one ("of the"). Where the counts
    disagree, words and groups are matched in order so that their ``sizes`` fit best (letters and time, where the
    engine's own are not known); words that share a group share its time. None of them is left without time.
    """
    if not spans or not groups:
        return ()
    if len(spans) == len(groups):
        times: list[Span] = list(groups)
    else:
        mine, theirs = sizes or ([end - begin for begin, end in spans], [last - first for first, last in groups])
        mine, theirs = [max(1, size) for size in mine], [max(1, size) for size in theirs]
        times = []
        for words_, groups_ in _matched(mine, theirs):
            times += _divided(mine[slice(*words_)], groups[groups_[0]][0], groups[groups_[1] - 1][1])
    return tuple(
        WordMark(begin, end, start_sample + first, start_sample + max(first, last))
        for (begin, end), (first, last) in zip(spans, times, strict=True)
    )


def _matched(mine: Sequence[int], theirs: Sequence[int]) -> list[tuple[Span, Span]]:
    """Words matched to groups by their sizes: one to one, one to some, or some to one.

    The cheapest way through both in order: a match costs by how far its sizes are apart, against what the words
    want, and a little for not being one to one.
    """
    scale = sum(theirs) / sum(mine)
    wanted = [0.0, *accumulate(size * scale for size in mine)]
    had = [0, *accumulate(theirs)]
    spare = abs(len(mine) - len(theirs))
    most = spare + 2
    best: dict[tuple[int, int], tuple[float, tuple[int, int]]] = {(0, 0): (0.0, (0, 0))}
    for i in range(len(mine)):
        for j in range(max(0, i - most), min(len(theirs), i + most + 1)):
            if (i, j) not in best:
                continue
            so_far = best[i, j][0]
            steps = [(1, 1), *((1, n) for n in range(2, most + 1)), *((n, 1) for n in range(2, most + 1))]
            for words_, groups_ in steps:
                end = (i + words_, j + groups_)
                if end[0] > len(mine) or end[1] > len(theirs):
                    continue
                want, have = wanted[end[0]] - wanted[i], had[end[1]] - had[j]
                cost = so_far + abs(have - want) / want + _NOT_ONE_TO_ONE * (words_ + groups_ - 2)
                if end not in best or cost < best[end][0]:
                    best[end] = (cost, (i, j))
    end, matches = (len(mine), len(theirs)), []
    if end not in best:  # too far apart for any such way
        return [((0, len(mine)), (0, len(theirs)))]
    while end != (0, 0):
        start = best[end][1]
        matches.append(((start[0], end[0]), (start[1], end[1])))
        end = start
    return matches[::-1]


def _divided(sizes: Sequence[int], first: int, last: int) -> list[Span]:
    """The time from ``first`` to ``last`` shared by size."""
    edges = _scaled(sizes, max(0, last - first))
    return [(first + edges[k], first + edges[k + 1]) for k in range(len(sizes))]


def _scaled(parts: Sequence[int], samples: int) -> list[int]:
    total = sum(parts)
    return [0, *(round(part * samples / total) for part in accumulate(parts))]
