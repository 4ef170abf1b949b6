import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.audio.levels import gain_of
from parley.audio.limiter import CEILING_DB, LOOK_AHEAD, Limiter

RATE = 48_000
CEILING = gain_of(CEILING_DB)


def limited(samples: np.ndarray, rate: int = RATE) -> np.ndarray:
    limiter = Limiter(rate)
    return np.concatenate([limiter.process(samples.astype(np.float32)), limiter.flush()])


def speech_like(seed: int, level: float, seconds: float = 0.4) -> np.ndarray:
    """Pulses of a voice under an envelope that comes and goes; peaks as high as ``level``."""
    random = np.random.default_rng(seed)
    time = np.arange(int(RATE * seconds)) / RATE
    pitch = random.uniform(80, 250)
    wave = sum(np.sin(2 * np.pi * pitch * k * time + random.uniform(0, 6)) / k for k in range(1, 20))
    wave *= np.clip(np.sin(2 * np.pi * random.uniform(2, 6) * time), 0, 1)
    return (wave / max(1e-9, np.abs(wave).max()) * level).astype(np.float32)


speeches = st.builds(speech_like, st.integers(0, 10_000), st.floats(0, 8))


@given(speeches)
@settings(max_examples=40, deadline=None)
def test_no_sample_passes_the_ceiling_and_none_is_lost(speech: np.ndarray) -> None:
    out = limited(speech)
    assert out.size == speech.size
    assert np.abs(out).max(initial=0) <= CEILING + 1e-6


@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=1_200))
@settings(max_examples=40, deadline=None)
def test_no_sample_passes_the_ceiling_whatever_comes(values: list[float]) -> None:
    assert np.abs(limited(np.array(values, np.float32))).max() <= CEILING + 1e-6


@given(speeches, st.lists(st.integers(0, 3_000), max_size=12))
@settings(max_examples=40, deadline=None)
def test_the_outcome_does_not_depend_on_how_the_sound_is_cut(speech: np.ndarray, cuts: list[int]) -> None:
    limiter, pieces, at = Limiter(RATE), [], 0
    for size in (*cuts, speech.size):
        pieces.append(limiter.process(speech[at : at + size]))
        at += size
    pieces.append(limiter.flush())
    assert np.array_equal(np.concatenate(pieces), limited(speech))


@given(speeches)
@settings(max_examples=40, deadline=None)
def test_the_gain_moves_by_no_more_than_its_way_over_half_the_look_ahead(speech: np.ndarray) -> None:
    speech = np.where(np.abs(speech) < 1e-4, np.float32(1e-4), speech)
    gains = limited(speech).astype(np.float64) / speech
    steps = np.abs(np.diff(gains))
    assert gains.max() <= 1 + 1e-6
    assert steps.max() <= (1 - gains.min()) / (LOOK_AHEAD / 2 * RATE) + 1e-6


@given(st.integers(0, 10_000), st.floats(0.01, 0.89))
@settings(max_examples=20, deadline=None)
def test_what_never_reaches_the_ceiling_is_not_touched(seed: int, level: float) -> None:
    quiet = speech_like(seed, level)
    assert np.array_equal(limited(quiet), quiet)


def test_silence_stays_silence_and_sound_far_from_a_peak_stays_as_it_is() -> None:
    sound = np.full(RATE, 0.1, np.float32)
    sound[24_000:24_100] = 2.0
    out = limited(sound)
    assert np.array_equal(out[: 24_000 - round(LOOK_AHEAD * RATE)], sound[: 24_000 - round(LOOK_AHEAD * RATE)])
    assert np.array_equal(out[40_000:], sound[40_000:])
    assert not limited(np.zeros(10_000, np.float32)).any()


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_no_more_is_held_back_than_five_milliseconds(rate: int) -> None:
    limiter = Limiter(rate)
    assert limiter.delay == pytest.approx(LOOK_AHEAD * rate, abs=1)
    given_, got = 0, 0
    for size in (1, 7, 1_000, 0, 333):
        given_ += size
        got += limiter.process(np.full(size, 0.5, np.float32)).size
        assert got == max(0, given_ - limiter.delay)
    assert got + limiter.flush().size == given_


def test_a_voice_keeps_its_band() -> None:
    """A harmonic sound that is pushed 6 dB over the ceiling gains nothing above what it had."""
    time = np.arange(RATE) / RATE
    voice = sum(np.sin(2 * np.pi * 120 * k * time) for k in range(1, 30))
    voice = (voice / np.abs(voice).max() * 2 * CEILING).astype(np.float32)

    def above_8_khz(sound: np.ndarray) -> float:
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(sound.size))) ** 2
        return 10 * np.log10(spectrum[8_000:].sum() / spectrum.sum())

    assert above_8_khz(limited(voice)) < -90
    assert above_8_khz(np.clip(voice, -CEILING, CEILING)) > -50


def test_a_limiter_can_be_used_again() -> None:
    limiter = Limiter(RATE)
    loud = np.full(4_000, 3.0, np.float32)
    first = np.concatenate([limiter.process(loud), limiter.flush()])
    assert np.array_equal(np.concatenate([limiter.process(loud), limiter.flush()]), first)
