"""Semantic end of turn by a Smart Turn v3 model (ONNX), where its file is present.

The model reads the last eight seconds of the turn as Whisper's log-mel features and answers with the
probability that the speaker has finished. Its weights (BSD-2, ``pipecat-ai/smart-turn-v3`` on the
Hugging Face hub) are not part of Parley.
Features after "Robust Speech Recognition via Large-Scale Weak Supervision" (Radford et al., 2022).
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parley.vad.onnx_file import must_have, open_model

RATE = 16_000
SECONDS = 8
"""What the model sees: the newest audio, with silence in front where there is less."""
MELS = 80
_WINDOW = 400
_HOP = 160


class SmartTurn:
    """An EndOfTurnModel; one instance serves all sessions, from any thread."""

    def __init__(self, path: Path) -> None:
        """Load the model. Raises ConfigError when the file is missing or is none of this kind."""
        self._session = open_model(path, "Smart Turn v3")
        must_have(self._session, path, "Smart Turn v3", ["input_features"], [])

    def probability(self, samples: NDArray[np.int16]) -> float:
        """Sigmoid output of the model for this audio (16 kHz)."""
        features = log_mel(newest(np.multiply(samples, 1 / 32768, dtype=np.float32)))
        (answer, *_) = self._session.run(None, {"input_features": features[np.newaxis]})
        return float(np.asarray(answer).reshape(-1)[0])


def newest(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Exactly eight seconds: the end of what there is, after zeros where it is less."""
    count = SECONDS * RATE
    if len(audio) >= count:
        return audio[-count:]
    return np.concatenate([np.zeros(count - len(audio), np.float32), audio])


def log_mel(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Whisper's features of the waveform, brought to zero mean and unit variance first: float32[80, 800]."""
    normal = (audio - audio.mean()) / np.sqrt(audio.var() + 1e-7)
    padded = np.pad(normal, _WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    window = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    power = np.abs(np.fft.rfft(frames[:-1] * window, axis=1)) ** 2
    mel = mel_filters() @ power.T
    decades = np.log10(np.maximum(mel, 1e-10))
    bounded = np.maximum(decades, decades.max() - 8.0)
    features: NDArray[np.float32] = ((bounded + 4.0) / 4.0).astype(np.float32)
    return features


@functools.cache
def mel_filters() -> NDArray[np.float64]:
    """Triangles on Slaney's mel scale, each of unit area: float64[80, 201]."""
    bins = np.fft.rfftfreq(_WINDOW, 1 / RATE)
    edges = _mel_to_hz(np.linspace(0.0, _hz_to_mel(RATE / 2), MELS + 2))
    widths = np.diff(edges)
    slopes = edges[:, np.newaxis] - bins
    rising = -slopes[:-2] / widths[:-1, np.newaxis]
    falling = slopes[2:] / widths[1:, np.newaxis]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    filters: NDArray[np.float64] = triangles * (2.0 / (edges[2:] - edges[:-2]))[:, np.newaxis]
    return filters


# Slaney's scale: linear to 1 kHz (15 mel), then 27 mel for each factor of 6.4.
_LINEAR, _KNEE_HZ, _KNEE_MEL, _STEP = 200.0 / 3.0, 1000.0, 15.0, np.log(6.4) / 27.0


def _hz_to_mel(hz: float) -> float:
    return _KNEE_MEL + float(np.log(hz / _KNEE_HZ)) / _STEP if hz >= _KNEE_HZ else hz / _LINEAR


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel >= _KNEE_MEL, _KNEE_HZ * np.exp(_STEP * (mel - _KNEE_MEL)), mel * _LINEAR)
