"""Whether a recording of a person is good enough to make a voice of, and the part of it that counts (pure).

What a model is given it imitates: the noise of a room, a hand on the microphone and a level that breaks are spoken
with from then on. So a recording is refused with what is wrong and what to do, before anything is kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from parley.audio.levels import level_db, mean_square
from parley.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

RATE = 24_000
"""Hz at which a voice is kept."""
SHORTEST, LONGEST = 6.0, 30.0
"""Seconds from the first word to the end of the last."""
LEAST_SPEECH = 0.6
"""Share of that in which somebody speaks."""
LEAST_LEVEL_DB = -40.0
MOST_CLIPPED = 0.01
"""Share of the speech's samples that may be as loud as its loudest."""
LEAST_SNR_DB = 15.0
_NEAR_PEAK = 0.95
_LOUD_PEAK = 8_231
"""-12 dBFS: below it a recording did not break, whatever its shape."""
_FRAME = RATE // 50
_QUIETEST = 10
"""Percentile of the frames' power that counts as the room."""
_MARGIN = 0.15
"""Seconds kept before the first word and behind the last."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What counts of a recording."""

    seconds: float
    """From the first word to the end of the last; 0 where nobody speaks."""
    speech: float
    """Share of that in which somebody speaks."""
    level_db: float
    """Of the speech, dBFS."""
    clipped: float
    """Share of the speech's samples that are as loud as its loudest, where that is loud."""
    snr_db: float
    """Speech over the room."""


def measure(samples: NDArray[np.int16], speech: Sequence[tuple[float, float]]) -> Measured:
    """``samples`` at 24 kHz; ``speech``: where somebody speaks, seconds from and to, in order."""
    if not speech or not samples.size:
        return Measured(0.0, 0.0, level_db(samples), 0.0, 0.0)
    seconds = speech[-1][1] - speech[0][0]
    spoken = np.concatenate([samples[round(start * RATE) : round(end * RATE)] for start, end in speech])
    share = sum(end - start for start, end in speech) / seconds if seconds > 0 else 0.0
    return Measured(seconds, share, level_db(spoken), _clipped(spoken), _snr_db(samples, spoken))


def complaint(said: Measured) -> str:
    """Why a recording can not be taken, and what to do; empty where it can."""
    if not said.seconds:
        return (
            f"No speech was found in the recording (its level is {said.level_db:.0f} dBFS); record one person who "
            "speaks clearly, close to the microphone."
        )
    if said.seconds < SHORTEST:
        return f"There are {said.seconds:.1f} s of speech in the recording; {SHORTEST:g} to {LONGEST:g} s are needed."
    if said.seconds > LONGEST:
        return (
            f"The recording takes {said.seconds:.1f} s from the first word to the last; {SHORTEST:g} to {LONGEST:g} s "
            "are taken: cut it."
        )
    if said.level_db < LEAST_LEVEL_DB:
        return (
            f"The recording is too quiet: its speech is at {said.level_db:.0f} dBFS, {LEAST_LEVEL_DB:.0f} are needed; "
            "speak closer to the microphone or raise its level."
        )
    if said.clipped > MOST_CLIPPED:
        return (
            f"The recording is overdriven: {100 * said.clipped:.1f} % of its samples are at the limit; lower the "
            "microphone's level and record it again."
        )
    if said.snr_db < LEAST_SNR_DB:
        return (
            f"The recording is too noisy: its speech is {said.snr_db:.0f} dB over the noise, {LEAST_SNR_DB:.0f} are "
            "needed; record it in a quiet room."
        )
    if said.speech < LEAST_SPEECH:
        return (
            f"Only {100 * said.speech:.0f} % of the recording is speech, {100 * LEAST_SPEECH:.0f} % are needed; speak "
            "without long pauses, or cut them out."
        )
    return ""


def reference_of(samples: NDArray[np.int16], speech: Sequence[tuple[float, float]]) -> NDArray[np.int16]:
    """The part of a recording that becomes a voice: from its first word to its last. Raises InvalidRequest."""
    if why := complaint(measure(samples, speech)):
        raise InvalidRequest(why)
    start, end = max(0.0, speech[0][0] - _MARGIN), speech[-1][1] + _MARGIN
    return samples[round(start * RATE) : round(end * RATE)]


def _clipped(spoken: NDArray[np.int16]) -> float:
    """A wave that was cut off stays at its top; codecs and resamplers bend the top, so what is near it counts."""
    loud = np.abs(spoken.astype(np.int32))
    if not spoken.size or loud.max() < _LOUD_PEAK:
        return 0.0
    return float(np.mean(loud >= _NEAR_PEAK * loud.max()))


def _snr_db(samples: NDArray[np.int16], spoken: NDArray[np.int16]) -> float:
    whole = samples[: samples.size // _FRAME * _FRAME].astype(np.float32).reshape(-1, _FRAME) / 32_768
    if not whole.size:
        return 0.0
    noise = max(1e-12, float(np.percentile((whole**2).mean(axis=1), _QUIETEST)))
    return 10 * math.log10(max(1e-12, mean_square(spoken) - noise) / noise)
