"""What is likely to be said is found in a list and in a text, whoever wrote it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.api.hot_words import LONGEST, MOST, likely, likely_in


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("", ()),
        (" , ;\n", ()),
        ("Parley, Piper,Parley", ("Parley", "Piper")),
        ("Node.js; v1.2 of it", ("Node.js", "v1.2 of it")),
        ("Welcome. Names: Ada\nand  Bo!", ("Welcome", "Names", "Ada", "and Bo")),
        ("東京、大阪。京都", ("東京", "大阪", "京都")),
        (f"{'x' * (LONGEST + 1)}, y", ("y",)),
    ],
)
def test_names_are_parted_and_sentences_end(prompt: str, found: tuple[str, ...]) -> None:
    assert likely_in(prompt) == found


@given(st.lists(st.text()))
def test_whatever_comes_they_are_few_short_and_each_there_once(said: list[str]) -> None:
    found = likely([*said, *map(str, range(2 * MOST))])
    assert len(found) == MOST == len(set(found))
    assert all(0 < len(word) <= LONGEST and word == " ".join(word.split()) for word in found)
