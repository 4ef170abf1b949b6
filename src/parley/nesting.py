"""How deep what somebody sent is nested (pure)."""

from __future__ import annotations

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
