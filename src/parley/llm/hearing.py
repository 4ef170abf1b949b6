"""Which of a few known phrases was meant, though the recogniser may have misheard it (pure)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from functools import cache

_SOUNDS = str.maketrans("cqxzvjgdbm", "kkksfkktpn")
"""Consonants that recognisers confuse, brought together."""
_FILLERS = frozenset({"uh", "um", "er", "hm", "mm", "well", "so", "please", "okay", "ok", "and", "then", "now", "just"})
_ENOUGH = 0.6


def words_of(text: str) -> list[str]:
    """Lower-case words without punctuation or fillers."""
    words = re.findall(r"[\w']+", text.lower().replace("’", "'"))
    return [word for word in words if word not in _FILLERS]


@cache
def skeleton(word: str) -> str:
    """The consonants that are left of a word when it is misheard."""
    rough = word.replace("ph", "f").replace("gh", "").replace("wh", "w").translate(_SOUNDS)
    bones = re.sub(r"[aeiouyhw']", "", rough)
    return re.sub(r"(.)\1+", r"\1", bones)


@cache
def likeness(one: str, other: str) -> float:
    """0 to 1: how likely is it that somebody who said ``one`` was heard as ``other``?"""
    if one == other:
        return 1.0
    if len(one) < 3 or len(other) < 3:
        return 0.0
    bones = skeleton(one)
    if len(bones) > 2 and bones == skeleton(other):
        return 0.85
    ratio = difflib.SequenceMatcher(None, one, other).ratio()
    return ratio if ratio >= 0.75 else 0.0


def understand(text: str, phrases: Mapping[str, Sequence[str]]) -> str:
    """The key whose phrases are nearest to ``text``; "" when none is near enough."""
    heard = words_of(text)
    weights = _weights(tuple((key, tuple(group)) for key, group in phrases.items()))
    best, found = _ENOUGH, ""
    for key, group in phrases.items():
        for phrase in group:
            score = _score(heard, words_of(phrase), weights)
            if score > best:
                best, found = score, key
    return found


@cache
def _weights(phrases: tuple[tuple[str, tuple[str, ...]], ...]) -> dict[str, float]:
    """A word that belongs to few meanings says more: 1 for one, less for many."""
    owners: dict[str, set[str]] = {}
    for key, group in phrases:
        for phrase in group:
            for word in words_of(phrase):
                owners.setdefault(word, set()).add(key)
    return {word: 1.0 / len(keys) for word, keys in owners.items()}


def _score(heard: list[str], phrase: list[str], weights: Mapping[str, float]) -> float:
    """Share of the phrase that was heard, less a little for every word that is not in it."""
    total = sum(weights[word] for word in phrase)
    matched = 0.0
    used = 0
    for word in phrase:
        best = max((likeness(word, other) for other in heard), default=0.0)
        matched += weights[word] * best
        used += best > 0
    extra = max(0, len(heard) - used)
    return matched / total - 0.04 * extra
