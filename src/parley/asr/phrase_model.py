"""A small language model of given phrases, in the ARPA format: trigrams with back-off.

Counts are smoothed by absolute discounting, so that words of different phrases can follow one
another, at a price. Pure: text in, text out.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ORDER = 3
_DISCOUNT = 0.15
"""Measured: with more, words of other phrases get in; phrases are few, and each counts."""
_WORD = re.compile(r"[a-z][a-z']*")
_START, _END = "<s>", "</s>"

Gram = tuple[str, ...]


def words_of(text: str) -> Gram:
    """The words of a phrase as the dictionary spells them: lower case, no punctuation."""
    return tuple(_WORD.findall(text.lower().replace("’", "'")))


def arpa(phrases: Iterable[Sequence[str]]) -> str:
    """The model of phrases given as words; at least one phrase must have a word."""
    counts = _count(phrases)
    probability = _probabilities(counts)
    lines = ["\\data\\", *(f"ngram {size}={len(counts[size])}" for size in range(1, ORDER + 1))]
    for size in range(1, ORDER + 1):
        lines += ["", f"\\{size}-grams:"]
        continued = _continued(counts[size + 1]) if size < ORDER else {}
        for gram in sorted(counts[size]):
            weight = ""
            if size < ORDER and gram[-1] != _END:
                weight = f" {_log(_backoff(gram, continued.get(gram, ()), counts, probability)):.4f}"
            value = -99.0 if gram == (_START,) else _log(probability[gram])
            lines.append(f"{value:.4f} {' '.join(gram)}{weight}")
    return "\n".join([*lines, "", "\\end\\", ""])


def _count(phrases: Iterable[Sequence[str]]) -> dict[int, Counter[Gram]]:
    counts: dict[int, Counter[Gram]] = {size: Counter() for size in range(1, ORDER + 1)}
    for phrase in phrases:
        if not phrase:
            continue
        sentence = (_START, *phrase, _END)
        for size, counter in counts.items():
            counter.update(sentence[at : at + size] for at in range(len(sentence) - size + 1))
    return counts


def _probabilities(counts: dict[int, Counter[Gram]]) -> dict[Gram, float]:
    """Discounted relative frequency of each gram's last word after the words before it."""
    total = sum(count for gram, count in counts[1].items() if gram != (_START,))
    values = {gram: count / total for gram, count in counts[1].items()}
    for size in range(2, ORDER + 1):
        for gram, count in counts[size].items():
            values[gram] = (count - _DISCOUNT) / counts[size - 1][gram[:-1]]
    return values


def _continued(grams: Iterable[Gram]) -> dict[Gram, list[str]]:
    result: dict[Gram, list[str]] = {}
    for gram in grams:
        result.setdefault(gram[:-1], []).append(gram[-1])
    return result


def _backoff(
    gram: Gram, followers: Sequence[str], counts: dict[int, Counter[Gram]], probability: dict[Gram, float]
) -> float:
    """Weight that lets the discounted mass of ``gram`` flow to the words that never followed it."""
    if not followers:
        return 1.0
    freed = _DISCOUNT * len(followers) / counts[len(gram)][gram]
    seen = sum(probability.get((*gram[1:], word), 0.0) for word in followers)
    return freed / max(1e-6, 1 - seen)


def _log(value: float) -> float:
    return math.log10(max(value, 1e-9))
