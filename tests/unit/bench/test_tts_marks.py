"""What the benchmark of word marks counts."""

from __future__ import annotations

import numpy as np
import pytest

from parley.audio.frame import WordMark
from parley.bench.tts_marks import Spoken, after_the_sound, differences

TEXT = "Who's there, again?"
SILENCE, LOUD = np.zeros(9_600, np.int16), np.full(24_000, 9_000, np.int16)
SPOKEN = Spoken(
    TEXT,
    np.concatenate([SILENCE, LOUD, SILENCE, LOUD]),
    [WordMark(0, 5, 9_600, 20_000), WordMark(6, 11, 20_000, 33_600), WordMark(13, 18, 45_600, 67_200)],
)


def test_only_words_that_were_heard_alike_and_given_a_time_are_compared() -> None:
    heard = [("who's", 0.1, 0.4), ("they're", 0.4, 0.8), ("again", 0.9, 0.9)]
    assert differences(SPOKEN, heard) == [(pytest.approx(100), pytest.approx(1000 * (20_000 / 48_000 - 0.4)))]


def test_a_word_that_the_recogniser_made_up_shifts_nothing() -> None:
    heard = [("um", 0.0, 0.1), ("who's", 0.2, 0.4), ("there", 0.4, 0.7), ("again", 0.95, 1.4)]
    assert [round(start) for start, _ in differences(SPOKEN, heard)] == [0, 17, 0]


def test_marks_are_compared_with_the_sounds_that_begin_behind_a_silence() -> None:
    assert after_the_sound(SPOKEN) == [pytest.approx(0, abs=5), pytest.approx(1000 * 2_400 / 48_000, abs=5)]
