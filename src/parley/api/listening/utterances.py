"""A stream of sound, cut into stretches of speech; time is counted in samples (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from parley.audio.resample import ASR_RATE
from parley.session.decide.segmenter import Segmenter
from parley.session.settings import BargeInSettings, SegmenterSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from parley.values import SpeechScore


@dataclass(frozen=True, slots=True)
class Began:
    """Somebody speaks."""

    at: float
    """Seconds of the stream where the first sound for the recogniser lies; the speech may begin a little later."""


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """For the recogniser."""

    samples: NDArray[np.int16]
    """At 16 kHz."""
    speaking: bool
    """False where the speaker is known to be silent at its end."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What was said is complete."""

    at: float
    """Seconds of the stream where the last voice was heard, or where it was cut."""


Event = Began | Sound | Ended


@dataclass(slots=True)
class Utterances:
    """Where each stretch of speech begins and ends.

    ``silence`` and ``longest`` are in seconds; without ``detection`` only :meth:`commit` and ``longest`` end one.
    """

    silence: float
    longest: float
    detection: bool = True
    settings: SegmenterSettings = field(default_factory=SegmenterSettings)
    _segmenter: Segmenter = field(init=False)
    _kept: NDArray[np.int16] = field(init=False)
    """The newest sound that belongs to no utterance, as much as the next one may want."""
    _heard: int = field(default=0, init=False)
    _opened: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._segmenter = Segmenter(self.settings, alert_threshold=BargeInSettings().alert_threshold)
        self._kept = np.zeros(0, np.int16)

    @property
    def seconds(self) -> float:
        """Heard so far."""
        return self._heard / ASR_RATE

    def take(self, samples: NDArray[np.int16], scores: Sequence[SpeechScore]) -> list[Event]:
        """The next samples at 16 kHz (20 ms are a good measure), with the scores that fell due."""
        for score in scores:
            self._segmenter.update(score.probability, score.samples)
        self._heard += samples.size
        if self._opened is not None:
            return self._more(samples)
        self._keep(samples)
        if self.detection and not self._segmenter.speaking:
            return []
        self._opened = self._heard - self._kept.size
        opening, self._kept = self._kept, self._kept[:0]
        return [Began(self._opened / ASR_RATE), Sound(opening, True)]

    def commit(self) -> list[Event]:
        """What is open is complete."""
        return [] if self._opened is None else [self._close(self.seconds)]

    def _more(self, samples: NDArray[np.int16]) -> list[Event]:
        assert self._opened is not None
        speaking = self._segmenter.speaking or not self.detection
        events: list[Event] = [Sound(samples, speaking)]
        if self.detection and self._segmenter.silence >= self.silence and not speaking:
            events.append(self._close(self._segmenter.last_voice))
        elif self._heard - self._opened >= self.longest * ASR_RATE:
            events.append(self._close(self.seconds))
        return events

    def _close(self, at: float) -> Ended:
        self._opened = None
        self._segmenter.reject()
        return Ended(at)

    def _keep(self, samples: NDArray[np.int16]) -> None:
        """As much as lies before the moment at which speech is noticed, and the pre-roll before that."""
        most = int((self.settings.pre_roll + self.settings.start_duration + 0.1) * ASR_RATE)
        self._kept = np.concatenate((self._kept, samples))
        if self._segmenter.speaking:
            since = self._heard - int((self._segmenter.onset - self.settings.pre_roll) * ASR_RATE)
            most = min(most, since)
        self._kept = self._kept[-max(most, samples.size) :]
