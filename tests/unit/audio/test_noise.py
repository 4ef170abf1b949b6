import numpy as np
import pytest

from parley.audio.levels import level_db
from parley.audio.noise import LevelNormalizer, Microphone, open_microphone
from parley.audio.processing import available
from parley.audio.resample import Decimator
from parley.audio.settings import MicrophoneSettings
from parley.bench.speech import noise, say

SENTENCE = np.concatenate([say("The weather will be fine tomorrow."), np.zeros(24_000, np.int16)])


def quiet(by_db: float) -> np.ndarray:
    return (np.tile(SENTENCE, 6) * 10 ** (by_db / 20)).astype(np.int16)


def through(microphone: object, samples: np.ndarray) -> np.ndarray:
    return np.concatenate([microphone.process(samples[at : at + 960]) for at in range(0, samples.size - 959, 960)])


def test_without_settings_the_microphone_is_the_bare_resampler() -> None:
    assert isinstance(open_microphone(48_000, MicrophoneSettings()), Decimator)


def test_a_quiet_microphone_is_raised_within_the_bound() -> None:
    samples = quiet(-15)
    raised = through(open_microphone(48_000, MicrophoneSettings(normalise_level=True)), samples)
    plain = through(Decimator(), samples)
    tail = slice(-3 * 16_000, None)
    assert 8 < level_db(raised[tail]) - level_db(plain[tail]) <= 18.1


def test_a_loud_microphone_is_left_alone() -> None:
    normalizer = LevelNormalizer(-30.0, 18.0)
    samples = np.full(320, 8_000, np.int16)
    assert all(normalizer.process(samples) is samples for _ in range(50))


def test_noise_alone_is_not_pumped_up() -> None:
    normalizer = LevelNormalizer(-23.0, 18.0)
    for number in range(200):
        normalizer.process(noise(320, -60, number, "white"))
    assert normalizer.gain_db == 0.0


@pytest.mark.skipif(not available(), reason="needs the livekit package")
def test_steady_noise_is_taken_out() -> None:
    microphone = Microphone(48_000, MicrophoneSettings(suppress_noise=True))
    hiss = noise(48_000 * 3, -40, 1, "white")
    assert level_db(through(microphone, hiss)[16_000:]) < level_db(through(Decimator(), hiss)[16_000:]) - 8
