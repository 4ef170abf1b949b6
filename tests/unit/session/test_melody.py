from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from parley.session.decide.melody import Melody, melody

RATE = 16_000


def sung(*semitones: float, base: float = 120.0, seconds: float = 0.25, noise_db: float = -60.0) -> NDArray[np.int16]:
    """A buzz that glides from each of these pitches to the next."""
    steps = len(semitones) - 1
    time = np.linspace(0, steps, int(steps * seconds * RATE))
    pitch = base * 2 ** (np.interp(time, range(steps + 1), semitones) / 12)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    buzz = sum(np.sin(number * phase) / number for number in range(1, 9))
    noise = np.random.default_rng(1).standard_normal(len(time)) * 10 ** (noise_db / 20)
    return ((buzz / 3 + noise) * 12_000).clip(-32768, 32767).astype(np.int16)


@pytest.mark.parametrize("base", [90.0, 120.0, 210.0])
@pytest.mark.parametrize(
    ("semitones", "finished"),
    [
        ((2, 4, 2, 1, -2, -5), True),
        ((0, 1, -2, -1, 1, 4), True),
        ((2, 4, -3, -4, -1, 0), False),
        ((0, 4, 0, -4, 0, 0), False),
    ],
    ids=["a fall", "the rise of a question", "a rise to the middle", "a level end"],
)
def test_the_last_sounds_are_placed_in_the_range(base: float, semitones: tuple[float, ...], finished: bool) -> None:
    heard = melody(sung(*semitones, base=base))
    assert heard is not None
    assert heard.finished() == finished


def test_a_fall_is_heard_in_noise() -> None:
    heard = melody(sung(2, 4, 2, 1, -2, -5, noise_db=-14))
    assert heard is not None
    assert heard.finished() == 1


def test_a_fall_that_does_not_reach_the_bottom_counts_in_part() -> None:
    shares = [Melody(place / 100, -1.0).finished() for place in range(-20, 40)]
    assert shares == sorted(shares, reverse=True)
    assert (shares[0], shares[-1]) == (1, 0)
    assert Melody(0.05, -1.0).finished() == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("place", "slope", "of_a_question", "of_anything"),
    [(0.95, 1.0, 1, 1), (0.6, 1.0, 1, 0), (0.6, 0.1, 0, 0), (0.4, 2.0, 0, 0), (1.2, -1.0, 0, 0)],
)
def test_a_rise_belongs_to_a_question(place: float, slope: float, of_a_question: float, of_anything: float) -> None:
    heard = Melody(place, slope)
    assert (heard.finished(asking=True), heard.finished()) == (of_a_question, of_anything)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(0, np.int16),
        np.zeros(RATE, np.int16),
        sung(0, 0, 0, 0),
        sung(3, -3)[:1600],
        (np.random.default_rng(2).standard_normal(RATE) * 3_000).astype(np.int16),
    ],
    ids=["nothing", "silence", "a monotone", "too short", "noise"],
)
def test_where_there_is_no_melody_nothing_is_said(samples: NDArray[np.int16]) -> None:
    assert melody(samples) is None


@given(st.binary(max_size=20_000))
def test_any_samples_are_survived(data: bytes) -> None:
    heard = melody(np.frombuffer(data[: len(data) // 2 * 2], np.int16))
    assert heard is None or np.isfinite([heard.place, heard.slope]).all()
