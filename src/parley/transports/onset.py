"""Where a silent stream becomes audible again (pure).

A room's server rewrites RTP timestamps, so no number on a packet tells a client which sample it
hears. What survives every way there is the sound itself: the first loud sample after a silence.
"""

from __future__ import annotations

import numpy as np

AUDIBLE = 328
"""Samples of s16le above this are loud: -40 dBFS. The page listens with the same threshold."""
SILENCE_SECONDS = 0.08
"""A stream that was silent for less is not taken to have become audible again."""


class OnsetFinder:
    """Fed with the frames that follow a silence; says at which sample of the utterance they become loud."""

    def __init__(self) -> None:
        self._sample: int | None = None

    def begin(self, sample: int) -> None:
        """The stream was silent; the next frame starts at ``sample``."""
        self._sample = sample

    def find(self, pcm: bytes) -> int | None:
        """The first loud sample, once per :meth:`begin`; None while there is none."""
        if self._sample is None:
            return None
        samples = np.frombuffer(pcm, "<i2").astype(np.int32)
        loud = np.abs(samples) > AUDIBLE
        first = int(loud.argmax())
        if not loud[first]:
            self._sample += len(samples)
            return None
        found, self._sample = self._sample + first, None
        return found
