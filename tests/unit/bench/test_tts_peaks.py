"""What the benchmark of peaks counts."""

from __future__ import annotations

import numpy as np

from parley.audio.frame import FRAME_SAMPLES, SAMPLE_RATE
from parley.bench.tts_peaks import above_band, bent


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
