"""Optional work on the microphone in front of everything that listens: less noise, one level."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from parley.audio.levels import gain_of, level_db
from parley.audio.processing import AudioProcessing, Blocks
from parley.audio.resample import Resampler, microphone_resampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from parley.audio.settings import MicrophoneSettings

_FLOOR_RISE_DB, _SPEECH_ABOVE_FLOOR_DB = 0.02, 12.0
_QUIETEST_SPEECH_DB = -55.0
_LEARN, _GLIDE_DB = 0.05, 0.2


class NoiseSuppressor:
    """Takes steady noise out of 16 kHz audio; as many samples out as in."""

    def __init__(self) -> None:
        self._processing = AudioProcessing(noise=True)
        self._blocks = Blocks()

    def process(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        blocks = [self._processing.near(block) for block in self._blocks.cut(samples)]
        return self._blocks.join(np.concatenate(blocks) if blocks else np.zeros(0, np.int16), samples.size)


class LevelNormalizer:
    """Raises quiet speech to one level, slowly: the gain follows what stands out of the background.

    It never lowers, never exceeds ``max_gain_db``, and holds still in silence, so that noise is not pumped up.
    """

    def __init__(self, target_dbfs: float, max_gain_db: float) -> None:
        self._target, self._max_gain = target_dbfs, max_gain_db
        self._floor = math.inf
        self._speech: float | None = None
        self.gain_db = 0.0

    def process(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        before = self.gain_db
        self._learn(level_db(samples))
        if not self.gain_db and not before:
            return samples
        gains = np.linspace(gain_of(before), gain_of(self.gain_db), samples.size, dtype=np.float32)
        return np.asarray(np.clip(np.rint(samples * gains), -32_768, 32_767), np.int16)

    def _learn(self, level: float) -> None:
        self._floor = min(self._floor + _FLOOR_RISE_DB, level)
        if level < max(self._floor + _SPEECH_ABOVE_FLOOR_DB, _QUIETEST_SPEECH_DB):
            return
        self._speech = level if self._speech is None else self._speech + _LEARN * (level - self._speech)
        wanted = min(self._max_gain, max(0.0, self._target - self._speech))
        self.gain_db += max(-_GLIDE_DB, min(_GLIDE_DB, wanted - self.gain_db))


class Microphone:
    """A resampler to 16 kHz with noise suppression and level behind it, as the settings say."""

    def __init__(self, input_rate: int, settings: MicrophoneSettings) -> None:
        self._resampler: Resampler = microphone_resampler(input_rate)
        self.input_rate, self.output_rate = input_rate, self._resampler.output_rate
        self.delay = self._resampler.delay
        self._noise = NoiseSuppressor() if settings.suppress_noise else None
        self._level = LevelNormalizer(settings.level_dbfs, settings.max_gain_db) if settings.normalise_level else None

    def process(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        return self._listen(self._resampler.process(samples))

    def flush(self) -> NDArray[np.int16]:
        return self._listen(self._resampler.flush())

    def _listen(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        if not samples.size:
            return samples
        if self._noise:
            samples = self._noise.process(samples)
        return self._level.process(samples) if self._level else samples


def open_microphone(input_rate: int, settings: MicrophoneSettings) -> Resampler:
    """The way from a transport's microphone to the ears; a bare resampler where the settings ask for no more."""
    if not settings.suppress_noise and not settings.normalise_level:
        return microphone_resampler(input_rate)
    return Microphone(input_rate, settings)
