"""Speech probabilities in, beginning and end of speech out; time is counted in samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parley.session.settings import SegmenterSettings

_FADING = 0.3
"""Seconds after the end of clear speech in which only a clear score begins another one, even while alert."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Somebody speaks."""

    at: float
    """Audio seconds where the first scored stretch with speech began."""


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """Nobody has spoken for a while."""

    at: float
    """Audio seconds where the last stretch with speech ended."""


class Segmenter:
    """Calm, it waits for a stretch of speech; alert (a reply sounds), the first sign is enough."""

    def __init__(self, settings: SegmenterSettings, *, alert_threshold: float, sample_rate: int = 16_000) -> None:
        self._settings = settings
        self._alert_threshold = alert_threshold
        self._rate = sample_rate
        self._position = 0
        self._rising = 0
        self._onset = 0
        self._last_voice = 0
        """Where the last stretch ended that was clearly voice, next to the clearest of this speech."""
        self._last_sound = 0
        self._ended = -sample_rate
        self._clearest = 0.0
        self._voiced = 0
        self._voiced_before = 0
        self.alert = False
        self.speaking = False

    def change(self, settings: SegmenterSettings) -> None:
        """Go on by these."""
        self._settings = settings

    @property
    def now(self) -> float:
        """Audio seconds scored so far."""
        return self._position / self._rate

    @property
    def onset(self) -> float:
        """Audio seconds where the latest speech began."""
        return self._onset / self._rate

    @property
    def last_voice(self) -> float:
        """Audio seconds where the last clear voice ended."""
        return self._last_voice / self._rate

    @property
    def voiced(self) -> float:
        """Seconds of the latest speech that were voice, pauses not counted."""
        return self._voiced / self._rate

    @property
    def voiced_ever(self) -> float:
        """Seconds of voice in all speech so far."""
        return (self._voiced_before + self._voiced) / self._rate

    @property
    def silence(self) -> float:
        """Seconds since the last clear voice."""
        return (self._position - self._last_voice) / self._rate

    @property
    def rising(self) -> bool:
        """True while something has begun that may be speech, though it is not certain yet."""
        return self._rising > 0

    def update(self, probability: float, samples: int) -> SpeechStarted | SpeechEnded | None:
        """Take the score of the next ``samples``; at most one event falls due."""
        self._position += samples
        if self.speaking:
            return self._while_speaking(probability, samples)
        return self._while_silent(probability, samples)

    def reject(self) -> None:
        """What was just reported as speech is none: be silent again."""
        self.speaking = False
        self._rising = self._voiced = 0

    def _note_end(self) -> None:
        """Only what was voice for a while fades: a first sign that came to nothing must not make the next one late."""
        self.speaking = False
        if self._voiced >= self._settings.start_duration * self._rate:
            self._ended = self._position

    @property
    def _rested(self) -> bool:
        """False while scores may still be fading from speech that has ended."""
        return self._position - self._ended >= _FADING * self._rate

    def _while_silent(self, probability: float, samples: int) -> SpeechStarted | None:
        threshold = self._alert_threshold if self.alert and self._rested else self._settings.start_threshold
        if probability < threshold:
            self._rising = 0
            return None
        if not self._rising:
            self._onset = self._position - samples
        self._rising += samples
        if not self.alert and self._rising < self._settings.start_duration * self._rate:
            return None
        self.speaking = True
        self._voiced_before += self._voiced
        self._voiced, self._rising = self._rising, 0
        self._last_voice = self._last_sound = self._position
        self._clearest = probability
        return SpeechStarted(self._onset / self._rate)

    def _while_speaking(self, probability: float, samples: int) -> SpeechEnded | None:
        settings = self._settings
        if probability >= settings.stop_threshold:
            self._last_sound = self._position
            self._clearest = max(self._clearest, probability)
            # A detector's score fades over a tenth of a second after the voice has ended.
            if probability >= settings.clear_share * self._clearest:
                self._last_voice = self._position
            if probability >= settings.start_threshold:
                self._voiced += samples
            return None
        if self._position - self._last_sound < settings.stop_duration * self._rate:
            return None
        self._note_end()
        return SpeechEnded(self._last_voice / self._rate)
