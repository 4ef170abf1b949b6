import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.audio.loudness import LoudnessMeter, LoudnessNormalizer, gain_to, loudness


def tone(frequency: float, seconds: float = 2.0, level_db: float = 0.0, rate: int = 48_000) -> np.ndarray:
    wave = 10 ** (level_db / 20) * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)
    return wave.astype(np.float32)


@pytest.mark.parametrize(("frequency", "expected"), [(997, -3.01), (100, -4.8), (10_000, 0.65)])
def test_calibration_tones_read_as_the_standard_says(frequency: float, expected: float) -> None:
    assert loudness(tone(frequency), 48_000) == pytest.approx(expected, abs=0.4)


def test_silence_between_words_is_gated_out() -> None:
    talk = np.concatenate([tone(997, 2, -20), np.zeros(96_000, np.float32), tone(997, 2, -20)])
    assert loudness(talk, 48_000) == pytest.approx(-23.01, abs=0.7)


def test_silence_has_no_loudness_and_gets_no_gain() -> None:
    assert loudness(np.zeros(48_000, np.int16), 48_000) == -math.inf
    assert gain_to(np.zeros(48_000, np.int16), 48_000) == 0.0


def test_a_meter_can_be_used_again() -> None:
    meter = LoudnessMeter(48_000)
    meter.process(tone(997))
    meter.reset()
    assert meter.integrated == -math.inf


def test_with_the_gain_of_the_warm_up_the_first_second_is_right() -> None:
    quiet = tone(500, 2, -35)
    normalizer = LoudnessNormalizer(48_000, initial_gain_db=gain_to(quiet, 48_000))
    assert loudness(normalizer.process(quiet)[:48_000], 48_000) == pytest.approx(-16, abs=0.2)


def test_without_it_the_level_glides_to_the_target() -> None:
    out = LoudnessNormalizer(48_000, glide_db=6).process(tone(500, 6, -28))
    assert loudness(out[-48_000:], 48_000) == pytest.approx(-16, abs=0.5)
    assert np.abs(np.diff(out)).max() < 0.05


@given(cuts=st.lists(st.integers(0, 9_000), max_size=10))
@settings(max_examples=25, deadline=None)
def test_normalised_speech_does_not_depend_on_how_it_is_cut(cuts: list[int]) -> None:
    audio = tone(300, 0.8, -6)
    whole = LoudnessNormalizer(48_000, initial_gain_db=9, glide_db=6).process(audio)
    parts, cut, position = LoudnessNormalizer(48_000, initial_gain_db=9, glide_db=6), [], 0
    for size in [*cuts, audio.size]:
        cut.append(parts.process(audio[position : position + size]))
        position += size
    assert np.array_equal(np.concatenate(cut), whole)
