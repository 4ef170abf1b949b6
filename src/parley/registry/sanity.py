"""Whether an announcement can be believed: the registry is written by others, and a worker may be broken or lie."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_TEXT = 300
MAX_ITEMS = 5_000
MAX_WHOLE = 2**53
MAX_NUMBER = 1e9


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT and value.isprintable()


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_WHOLE


def _is_number(value: Any) -> bool:
    """Neither negative nor infinite nor NaN."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_NUMBER


def _are_texts(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) <= MAX_ITEMS and all(map(_is_text, value))


_KINDS: dict[str, Callable[[Any], bool]] = {
    "str": _is_text,
    "int": _is_whole,
    "float": _is_number,
    "bool": lambda value: isinstance(value, bool),
    "tuple[str, ...]": _are_texts,
}


def check_fields(said: Any) -> None:
    """ValueError when a field of a dataclass holds what its type does not allow, or an absurd figure."""
    for field in dataclasses.fields(said):
        allowed = _KINDS.get(str(field.type))
        value = getattr(said, field.name)
        if allowed is not None and not allowed(value):
            raise ValueError(f"{field.name} cannot be {repr(value)[:80]}")
