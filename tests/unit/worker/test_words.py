"""Sentences, words and marks, as adapters use them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.worker.words import MAX_SENTENCE, grouped_marks, proportional_marks, sentences, words


def texts(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith met Mrs. Jones.", ["Dr. Smith met Mrs. Jones."]),
        ("It costs 3.50 dollars. Cheap.", ["It costs 3.50 dollars.", "Cheap."]),
        ("J. R. Hartley wrote it. Yes.", ["J. R. Hartley wrote it.", "Yes."]),
        ('She said "stop." Then left.', ['She said "stop."', "Then left."]),
        ("no end", ["no end"]),
        ("  spaces  around .  ", ["spaces  around ."]),
        ("你好。再见！", ["你好。", "再见！"]),
        ("one line\nanother", ["one line", "another"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_a_text_is_cut_where_its_sentences_end(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


def test_a_sentence_that_never_ends_is_cut_at_a_comma_or_a_space() -> None:
    text = "and so on, " * 100
    parts = texts(text)
    assert all(len(part) <= MAX_SENTENCE for part in parts)
    assert all(part.endswith(",") for part in parts)


def test_a_word_longer_than_a_sentence_may_be_is_cut_anywhere() -> None:
    assert all(len(part) <= MAX_SENTENCE for part in texts("x" * 5_000))


@given(st.text(max_size=900))
def test_no_character_but_white_space_is_lost(text: str) -> None:
    spans = sentences(text)
    kept = "".join(text[start:end] for start, end in spans)
    assert kept.split() == "".join(kept).split()
    assert "".join(kept.split()) == "".join(text.split())
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


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
