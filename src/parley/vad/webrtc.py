"""The WebRTC project's voice activity detector: next to free, and easily fooled by clicks and loud noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from parley.values import SpeechScore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from parley.vad.settings import VadSettings

_FRAME = 160


class WebRtcVad:
    """One stream of 16 kHz samples, decided every 10 ms: probability 0 or 1."""

    sample_rate = 16_000

    def __init__(self, settings: VadSettings) -> None:
        import webrtcvad

        self._vad: Any = webrtcvad.Vad(settings.webrtc_mode)
        self._rest = np.zeros(0, np.int16)

    def set_alert(self, alert: bool) -> None:
        """Nothing to do: every 10 ms is fine enough."""

    def score(self, samples: NDArray[np.int16]) -> Sequence[SpeechScore]:
        """Take any number of samples; return one score per 10 ms."""
        joined = np.concatenate((self._rest, samples)) if self._rest.size else samples
        count = joined.size // _FRAME
        self._rest = joined[count * _FRAME :].copy()
        pcm = joined[: count * _FRAME].tobytes()
        size = 2 * _FRAME
        return [
            SpeechScore(1.0 if self._vad.is_speech(pcm[at : at + size], 16_000) else 0.0, _FRAME)
            for at in range(0, len(pcm), size)
        ]
