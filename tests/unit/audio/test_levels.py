import numpy as np
import pytest

from parley.audio.levels import SILENCE_DB, decibels, gain_of, level_db, samples_of, to_float, to_int16


def test_a_full_scale_sine_is_three_decibels_below_a_square() -> None:
    sine = np.sin(np.arange(48_000) * 0.1).astype(np.float32)
    assert level_db(sine) == pytest.approx(-3.01, abs=0.05)


def test_silence_has_the_lowest_level() -> None:
    assert level_db(np.zeros(10, np.int16)) == level_db(np.zeros(0, np.int16)) == SILENCE_DB
    assert decibels(0) == SILENCE_DB


def test_formats_convert_both_ways() -> None:
    samples = np.array([-32_768, -1, 0, 1, 32_767], np.int16)
    assert np.array_equal(to_int16(to_float(samples)), samples)
    assert np.array_equal(samples_of(samples.tobytes()), samples)


def test_loud_floats_are_clipped() -> None:
    assert to_int16(np.array([-2.0, 2.0], np.float32)).tolist() == [-32_768, 32_767]


def test_gain_and_decibels_are_inverse() -> None:
    assert decibels(gain_of(-13.5)) == pytest.approx(-13.5)
