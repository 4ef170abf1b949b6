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


def starts(
    text: str, groups: list[tuple[int, int]], sizes: tuple[list[int], list[int]] | None = None
) -> list[tuple[int, int]]:
    return [(mark.start_sample, mark.end_sample) for mark in grouped_marks(text, words(text), groups, sizes=sizes)]


def test_words_that_are_run_together_share_the_time_of_their_group() -> None:
    assert starts("some of the people", [(0, 400), (420, 660), (700, 1_300)], ([3, 2, 2, 5], [3, 4, 5])) == [
        (0, 400), (420, 540), (540, 660), (700, 1_300),
    ]  # fmt: skip
    assert starts("At the corner", [(0, 250), (300, 900)]) == [(0, 100), (100, 250), (300, 900)]


def test_a_word_that_is_said_as_several_takes_all_of_their_time() -> None:
    assert starts("It is 4200 feet", [(0, 100), (110, 210), (220, 500), (510, 700), (720, 1_100)])[2:] == [
        (220, 700), (720, 1_100),
    ]  # fmt: skip


@given(st.integers(1, 40), st.lists(st.integers(2_000, 20_000), min_size=1, max_size=40))
def test_no_word_is_left_without_time_however_many_groups_there_are(n: int, lengths: list[int]) -> None:
    groups, at = [], 0
    for length in lengths:
        groups.append((at, at + length))
        at += length + 10
    marks = starts("abc " * n, groups)
    assert len(marks) == n
    assert all(first < end for first, end in marks)
