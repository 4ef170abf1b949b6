"""What a window of whisper says, cut where the speech ended."""

from __future__ import annotations

import pytest

from parley.asr.whisper_window import confidence, stretches_of

STAMP, END = 1000, 900


def at(seconds: float) -> int:
    return STAMP + round(seconds / 0.02)


def cut(tokens: list[int], seconds: float) -> list[tuple[list[int], float]]:
    return stretches_of(tokens, STAMP, END, seconds)


def test_words_stand_between_their_stamps() -> None:
    tokens = [at(0), 1, 2, at(1.5), at(1.5), 3, at(2.4)]
    assert cut(tokens, 4.0) == [([1, 2], 1.5), ([3], 2.4)]


def test_what_is_said_into_the_padding_is_dropped() -> None:
    tokens = [at(0), 1, 2, at(2.0), at(2.0), 1, 2, at(4.0)]
    assert cut(tokens, 2.0) == [([1, 2], 2.0)]


def test_a_stamp_beyond_the_audio_is_its_end() -> None:
    assert cut([at(0), 1, at(9.0)], 2.0) == [([1], 2.0)]


def test_words_that_were_cut_off_by_the_bound_are_kept() -> None:
    assert cut([at(0), 1, 2, 3], 1.0) == [([1, 2, 3], 1.0)]


def test_a_sentence_that_runs_on_and_on_without_a_stamp_is_said_once() -> None:
    sentence = [1, 2, 3, 4, 5, 6]
    assert cut([at(0), *sentence, *sentence, *sentence[:3]], 1.7) == [(sentence, 1.7)]
    assert cut([at(0), 7, 8, 9, *sentence, *sentence, *sentence], 3.0) == [([7, 8, 9, *sentence], 3.0)]


def test_who_has_the_time_to_may_say_it_twice() -> None:
    twice = [1, 2, 3, 1, 2, 3]
    assert cut([at(0), *twice, at(2.0)], 4.0) == [(twice, 2.0)]


def test_silence_has_no_words() -> None:
    assert cut([at(0), at(0.1), END], 1.0) == []


@pytest.mark.parametrize(
    ("log_probability", "no_speech", "least", "most"),
    [(-0.26, 0.07, 0.85, 1.0), (-1.11, 0.57, 0.0, 0.1), (-0.5, 0.0, 0.8, 1.0), (-2.0, 0.0, 0.0, 0.01)],
)
def test_confidence_follows_the_models_own_numbers(
    log_probability: float, no_speech: float, least: float, most: float
) -> None:
    assert least <= confidence(log_probability, no_speech) <= most


def test_what_may_be_no_speech_is_believed_less() -> None:
    assert confidence(-0.5, 0.6) < confidence(-0.5, 0.1)
