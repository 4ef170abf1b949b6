"""How deep something is nested is known without going down into it, and whether its texts can be written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from parley.nesting import DEEPEST, deeper, is_text, larger


@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a":', "}"), ('[1,{"a":2,"b":', '},"c"]')])
def test_levels_are_counted(begin: str, end: str) -> None:
    each = begin.count("[") + begin.count("{")
    levels = DEEPEST // each
    assert not deeper(json.loads(begin * levels + "1" + end * levels))
    assert deeper(json.loads(begin * (levels + 1) + "1" + end * (levels + 1)))


def test_what_no_recursion_would_come_through_is_deep() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    assert deeper(value)
    while value:  # taken apart as it was made
        value = value.pop()


@pytest.mark.parametrize("value", [None, 1, "[[[[", [], {}, [[]] * 1_000])
def test_what_is_flat_is_not_deep(value: Any) -> None:
    assert not deeper(value, 2)
    assert deeper([[[]]], 2)


@pytest.mark.parametrize("value", [None, 1.5, "", "\U0001f600", {"a": ["\u00e9", {}]}])
def test_whole_characters_are_text(value: Any) -> None:
    assert is_text(value)


@pytest.mark.parametrize("value", ["\ud83d", {"\ude00": 1}, {"a": ["b", {"c": "d\ud800"}]}])
def test_half_a_character_is_none(value: Any) -> None:
    assert not is_text(value)


def test_what_is_named_often_counts_as_often_and_is_walked_through_once() -> None:
    doubled: list[object] = [1, 1]
    for _ in range(25):
        doubled = [doubled, doubled]
    assert not deeper(doubled)
    assert larger(doubled)
    assert not larger([[1, 2], {"a": 3}], 6)
    assert larger([[1, 2], {"a": 3}], 5)


def test_what_stands_in_itself_is_too_deep() -> None:
    itself: list[object] = []
    itself += [itself, itself]
    assert deeper(itself)
