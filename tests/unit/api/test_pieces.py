"""Where a long recording is cut."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from parley.api.pieces import Span, pieces


def middle(start: float, end: float) -> float:
    return (start + end) / 2


def test_neighbours_are_heard_together_and_a_long_silence_is_not_heard() -> None:
    assert pieces([(1, 2), (2.5, 4), (9, 10)], 20, middle) == [(0.75, 4.25), (8.75, 10.25)]


def test_a_piece_does_not_grow_beyond_what_is_heard_in_one_go() -> None:
    assert pieces([(1, 9), (9.5, 14)], 20, middle, longest=10) == [(0.75, 9.25), (9.25, 14.25)]


def test_speech_without_a_pause_is_cut_where_it_is_quietest() -> None:
    asked = []

    def quietest(start: float, end: float) -> float:
        asked.append((start, end))
        return 8.5

    assert pieces([(0, 15)], 15, quietest, longest=10) == [(0, 8.5), (8.5, 15)]
    assert asked == [(6, 10)]


def test_nothing_said_is_nothing_to_hear() -> None:
    assert pieces([], 60, middle) == []


@given(st.lists(st.tuples(st.floats(0.05, 40), st.floats(0.05, 8)), max_size=20), st.floats(2, 30))
def test_all_speech_is_heard_once_in_order_and_in_pieces_that_fit(steps: list[Span], longest: float) -> None:
    at, said = 0.0, []
    for speech, silence in steps:
        said.append((at + silence, at + silence + speech))
        at += silence + speech
    found = pieces(said, at, middle, longest)
    assert all(end - start <= longest + 1e-6 for start, end in found)
    assert all(one[1] <= two[0] + 1e-9 for one, two in pairwise(found))
    for start, end in said:
        heard = sum(max(0.0, min(end, high) - max(start, low)) for low, high in found)
        assert abs(heard - (end - start)) < 1e-6
