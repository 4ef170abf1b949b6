"""Words and marks, as adapters use them."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from parley.worker.words import grouped_marks, proportional_marks, words


def test_words_keep_their_inner_marks_and_lose_the_outer_ones() -> None:
    text = 'Don\'t "e-mail" 3.5 times, o\u2019clock!'
    assert [text[a:b] for a, b in words(text)] == ["Don't", "e-mail", "3.5", "times", "o\u2019clock"]


def test_a_character_of_a_script_without_spaces_is_a_word() -> None:
    assert len(words("你好 world")) == 3


@given(st.text(alphabet="ab ,.1", max_size=60), st.integers(0, 10_000), st.integers(0, 100_000))
def test_proportional_marks_cover_the_audio_in_order(text: str, start: int, samples: int) -> None:
    marks = proportional_marks(text, words(text), start, samples)
    if marks:
        assert marks[0].start_sample == start
        assert marks[-1].end_sample == start + samples
    assert all(a.end_sample == b.start_sample for a, b in itertools.pairwise(marks))


def test_groups_of_phonemes_give_exact_marks_when_there_is_one_for_each_word() -> None:
    marks = grouped_marks("ab cd", [(0, 2), (3, 5)], [(100, 200), (250, 400)], 1_000)
    assert [(mark.start_sample, mark.end_sample) for mark in marks] == [(1_100, 1_200), (1_250, 1_400)]


@given(
    st.integers(1, 12),
    st.lists(st.integers(1, 500), min_size=1, max_size=12),
)
def test_words_and_groups_that_disagree_still_give_marks_in_order_inside_the_audio(n: int, lengths: list[int]) -> None:
    spans = [(3 * i, 3 * i + 2) for i in range(n)]
    groups, at = [], 0
    for length in lengths:
        groups.append((at, at + length))
        at += length + 10
    marks = grouped_marks("ab " * n, spans, groups)
    starts = [mark.start_sample for mark in marks]
    assert starts == sorted(starts)
    assert all(0 <= mark.start_sample <= mark.end_sample <= groups[-1][1] for mark in marks)
