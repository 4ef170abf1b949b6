"""YAML that somebody else may have written: read without harm, or refused."""

from __future__ import annotations

from typing import Any

import yaml

from parley.nesting import DEEPEST, deeper, larger

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Three times as fast where its C library came with it; that one has no bound of its own and overruns its stack."""
_LONGEST = 4_000_000
"""Characters; nested by indentation alone, so many are 2,800 levels."""
_MARKS = ("[", "{", "- ", "? ")
_HARMLESS = 5_000
"""So many marks that may each open a level are safe for any loader."""


def loaded(text: str) -> Any:
    """What it says. Raises yaml.YAMLError where it is no YAML, ValueError where it is none that can be taken."""
    if len(text) > _LONGEST:
        raise ValueError(f"it is longer than {_LONGEST:,} characters")
    if sum(map(text.count, _MARKS)) > _HARMLESS:
        _check_depth(text)
    try:
        data = yaml.load(text, _LOADER)  # noqa: S506  (a safe one)
    except yaml.YAMLError:
        data = yaml.safe_load(text)  # knows better in which line the fault is
    if deeper(data):
        raise ValueError("it nests too deeply")
    if larger(data):
        raise ValueError("its aliases make too much of it")
    return data


def _check_depth(text: str) -> None:
    """By the events, which are told one after the other."""
    depth = 0
    for event in yaml.parse(text, _LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError("it nests too deeply")
