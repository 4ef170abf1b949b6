"""Somebody who speaks with a Piper voice: recognisers understand it as they understand people.

The library is used as it is, beside Parley's own adapter, so that a participant does not share the agent's process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import soxr

from parley.bench import speech
from parley.errors import ConfigError
from parley.hints import install

if TYPE_CHECKING:
    from pathlib import Path

    from parley.bench.speech import Samples


class PiperSpeaker:
    """One voice, read once. The same words are the same samples every time."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is a voice pack. Raises ConfigError where the library is missing."""
        try:
            from piper import PiperVoice, SynthesisConfig
        except ImportError as error:
            raise ConfigError(f"Piper is not installed; install it with: {install('piper')}.") from error
        self._voice = PiperVoice.load(folder / "model.onnx")
        self._steady = SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0)

    def say(self, text: str) -> Samples:
        """Speak ``text``: mono s16 at 48 kHz, levelled, without silence around it."""
        chunks = list(self._voice.synthesize(text, self._steady))
        samples = np.concatenate([chunk.audio_float_array for chunk in chunks])
        heard = soxr.resample(samples, chunks[0].sample_rate, speech.RATE, quality="HQ")
        return speech.level(speech.trim(heard), speech.SPEECH_LEVEL_DB)
