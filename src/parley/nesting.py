"""Whether what somebody sent as JSON or YAML is safe to walk through and to write down (pure)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

DEEPEST = 32
"""Levels of lists and objects that are taken from outside: whatever walks through them by recursion is safe then."""
LARGEST = 100_000
"""Values that are taken from outside at once, where few characters can stand for many."""


def deeper(value: Any, levels: int = DEEPEST) -> bool:
    """Whether more lists and objects than this stand inside each other."""
    nested = [value]
    for _ in range(levels + 1):
        nested = [inner for inner in nested if isinstance(inner, dict | list)]
        if not nested:
            return False
        parts = (part for inner in nested for part in _parts(inner))
        nested = list({id(part): part for part in parts}.values())  # YAML's aliases name one many times
    return True


def larger(value: Any, most: int = LARGEST) -> bool:
    """Whether more values than this stand in it, each counted as often as it is named; at most ``DEEPEST`` levels."""
    sizes: dict[int, int] = {}

    def size(part: Any) -> int:
        if not isinstance(part, dict | list):
            return 1
        if id(part) not in sizes:
            sizes[id(part)] = 1 + sum(map(size, _parts(part)))
        return sizes[id(part)]

    return size(value) > most


def _parts(value: dict[Any, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def is_text(value: Any) -> bool:
    """Whether all texts in this, at most ``DEEPEST`` levels deep, can be written as UTF-8: none has half a character.

    JSON can name the halves of a pair of surrogates one by one.
    """
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
