import pytest

from parley.asr.pieces import words_of
from parley.values import TranscriptWord


def test_pieces_become_words_that_end_where_the_next_begins_or_soon() -> None:
    words = words_of(["▁turn", "▁kit", "chen", "▁lights"], [0.2, 0.4, 0.6, 2.0], [0.0, -0.1, -0.3, -5.0])
    assert words == (
        TranscriptWord("turn", 0.2, 0.4, 1.0),
        TranscriptWord("kitchen", 0.4, pytest.approx(0.9), pytest.approx(0.8187)),  # type: ignore[arg-type]
        TranscriptWord("lights", 2.0, 2.3, pytest.approx(0.0067)),  # type: ignore[arg-type]
    )


def test_a_mark_belongs_to_the_word_before_it_also_when_a_space_stands_between() -> None:
    words = words_of([" do", "n't", " !", " Go", "."], [0.1, 0.2, 0.3, 1.0, 1.1], [])
    assert [word.text for word in words] == ["don't!", "Go."]


def test_words_of_a_model_that_tells_no_probabilities_are_not_quite_sure() -> None:
    (word,) = words_of([" turn"], [0.2], [])
    assert 0.5 < word.probability < 0.8
