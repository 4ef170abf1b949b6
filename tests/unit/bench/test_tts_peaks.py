"""What the benchmark of peaks counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parley.audio.frame import FRAME_SAMPLES, SAMPLE_RATE
from parley.bench.tts_peaks import above_band, bent, clicks
from parley.bench.tts_peaks_plots import draw, spectrogram


def tone(frequency: float, level: float) -> np.ndarray:
    wave = level * np.sin(2 * np.pi * frequency * np.arange(FRAME_SAMPLES) / SAMPLE_RATE)
    return wave.astype(np.float32).reshape(1, -1)


def test_what_lies_above_the_band_is_told_from_what_lies_in_it() -> None:
    (inside,) = above_band(tone(3_000, 0.5), 22_050)
    (outside,) = above_band(tone(15_000, 0.5), 22_050)
    assert inside < -100
    assert outside > -0.1


def test_a_knee_adds_what_the_voice_has_not() -> None:
    loud = tone(3_000, 1.5)
    assert above_band(bent(loud), 22_050)[0] > above_band(loud, 22_050)[0] + 60
    assert np.array_equal(bent(tone(3_000, 0.5)), tone(3_000, 0.5))


def test_a_step_in_a_tone_is_a_click_and_the_tone_is_none() -> None:
    sound = np.tile(tone(500, 0.3).ravel(), 5)
    assert clicks(sound) == 0
    sound[1_500:] *= -1
    assert clicks(sound) >= 1


def test_a_spectrogram_shows_a_tone_where_it_is_and_as_loud_as_it_is() -> None:
    picture = spectrogram(np.tile(tone(3_000, 0.5).ravel(), 50))
    middle = picture[:, picture.shape[1] // 2]
    assert middle.argmax() * SAMPLE_RATE / 1_024 == pytest.approx(3_000, abs=47)
    assert middle.max() == pytest.approx(-6, abs=1.5)
    assert picture.shape[0] == 513


def test_the_pictures_of_a_voice_are_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    sound = np.tile(tone(3_000, 0.5).ravel(), 20)
    path = draw("piper/joe", "One two.", {"as it comes": sound, "limited": 0.5 * sound}, 22_050, tmp_path / "plots")
    assert path.name == "piper-joe-peaks.png"
    assert path.read_bytes().startswith(b"\x89PNG")
