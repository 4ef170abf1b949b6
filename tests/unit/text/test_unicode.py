"""Text from strangers becomes valid, whatever its deltas cut in two."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from parley.text.unicode import WholeDeltas, whole

UNITS = st.text(st.characters(codec=None), max_size=20)
"""Any code points, halves of pairs among them."""


def streamed(*deltas: str) -> str:
    halves = WholeDeltas()
    return "".join([*(halves.add(delta) for delta in deltas), halves.finish()])


def test_halves_in_two_deltas_become_one_character() -> None:
    assert streamed("Hi \ud83d", "\ude00!") == "Hi 😀!"


def test_halves_in_one_delta_become_one_character() -> None:
    assert streamed("Hi \ud83d" + "\ude00!") == "Hi 😀!"


def test_a_first_half_alone_is_replaced() -> None:
    assert streamed("Hi \ud83d", " you") == "Hi \ufffd you"


def test_a_second_half_alone_is_replaced() -> None:
    assert streamed("Hi \ude00 you") == "Hi \ufffd you"


def test_a_half_at_the_very_end_is_replaced() -> None:
    assert streamed("Hi \ud83d") == "Hi \ufffd"


def test_control_characters_become_spaces_and_lines_stay() -> None:
    assert whole("a\x00b\x1bc\n\td") == "a b c\n\td"


@given(UNITS)
def test_what_comes_out_can_always_be_sent(text: str) -> None:
    whole(text).encode()


@given(st.text(max_size=20).map(whole), st.lists(st.integers(0, 40), max_size=6))
def test_however_valid_text_is_cut_by_utf_16_units_it_comes_out_the_same(text: str, cuts: list[int]) -> None:
    units = text.encode("utf-16-le")
    edges = [0, *sorted(2 * cut for cut in cuts if 2 * cut < len(units)), len(units)]
    deltas = [units[first:last].decode("utf-16-le", "surrogatepass") for first, last in itertools.pairwise(edges)]
    assert streamed(*deltas) == text
