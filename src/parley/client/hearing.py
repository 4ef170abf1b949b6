"""Whether a microphone hears somebody: a judgement on its level, without a detector of speech."""

from __future__ import annotations

from typing import Literal

import numpy as np

Verdict = Literal["heard", "faint", "nothing"]

QUIET_DB = -60.0
"""What a quiet room has: the left end of a meter, dB below full scale."""
FULL_DB = -10.0
"""Close to too loud: its right end."""
_VOICE_DB = -45.0
"""A voice into a microphone that is usable at all is louder than this."""
_OVER_ROOM = 12.0
"""And so many dB louder than the room."""
_VOICED_BLOCKS = 20
"""Of 10 ms: a word. A click or a knock on the table is shorter."""


def level_db(pcm: bytes) -> float:
    """Root mean square of s16le samples in dB below full scale; -100 for digital silence and for no samples."""
    samples = np.frombuffer(pcm, np.int16).astype(np.float64)
    power = float(np.mean(samples**2)) if len(samples) else 0.0
    return 10 * float(np.log10(power / 32768**2)) if power > 0 else -100.0


class Hearing:
    """Judges blocks of 10 ms."""

    def __init__(self) -> None:
        self._levels: list[float] = []

    @property
    def blocks(self) -> int:
        return len(self._levels)

    def take(self, pcm: bytes) -> None:
        """One more block."""
        self._levels.append(level_db(pcm))

    @property
    def verdict(self) -> Verdict:
        """What the blocks tell: a voice, some sound, or none at all."""
        if not self._levels or max(self._levels) <= -100.0:
            return "nothing"
        room = float(np.percentile(self._levels, 10))
        voiced = sum(level > max(_VOICE_DB, room + _OVER_ROOM) for level in self._levels)
        return "heard" if voiced >= _VOICED_BLOCKS else "faint"
