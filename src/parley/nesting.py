"""Whether what somebody sent as JSON is safe to walk through and to write down (pure)."""

from __future__ import annotations

import json
from typing import Any

DEEPEST = 32
"""Levels of lists and objects that are taken from outside: whatever walks through them by recursion is safe then."""


def deeper(value: Any, levels: int = DEEPEST) -> bool:
    """Whether more lists and objects than this stand inside each other."""
    nested = [value]
    for _ in range(levels + 1):
        nested = [inner for inner in nested if isinstance(inner, dict | list)]
        if not nested:
            return False
        nested = [part for inner in nested for part in (inner.values() if isinstance(inner, dict) else inner)]
    return True


def is_text(value: Any) -> bool:
    """Whether all texts in this, at most ``DEEPEST`` levels deep, can be written as UTF-8: none has half a character.

    JSON can name the halves of a pair of surrogates one by one.
    """
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
