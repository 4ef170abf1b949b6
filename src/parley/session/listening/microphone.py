"""From microphone frames to the beginning and end of speech, with the samples to recognise it from."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Protocol

import numpy as np

from parley.audio.levels import mean_square, samples_of
from parley.errors import ConfigError, ParleyError
from parley.session.decide.melody import SECONDS, Melody, melody
from parley.session.decide.segmenter import Segmenter, SpeechEnded, SpeechStarted
from parley.session.guard import guarded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from parley.audio.frame import AudioFrame
    from parley.interfaces import EchoGuard, InterruptionModel, VoiceActivityDetector
    from parley.session.settings import SessionSettings

RATE = 16_000
_KEPT_FOR_MODEL = 8.0
"""Seconds of a turn that a turn model looks at."""
_KEPT_FOR_MELODY = SECONDS + 0.2
"""The silence in which the question comes up included."""
_ONSET = 0.1
"""Seconds that a turn is old when it is noticed."""
_FRESH = 0.1
"""Seconds for which the newest frame says how things are now."""
_MOST_SILENCE = 2.5
"""Seconds of silence that stand for any longer time without frames: as much as is remembered of what came before."""
_LEVEL_LEARNING = 0.3
_POWER_LEARNING = 0.08


class MicrophoneFilter(Protocol):
    """Brings the transport's samples to 16 kHz: ``parley.audio.resample.microphone_resampler``."""

    def process(self, samples: NDArray[np.int16]) -> NDArray[np.int16]: ...


class Microphone:
    """One session's hearing. ``keep_turns``: remember eight seconds of speech for a turn model."""

    def __init__(
        self,
        incoming: MicrophoneFilter,
        vad: VoiceActivityDetector,
        echo: EchoGuard | None,
        settings: SessionSettings,
        *,
        keep_turns: bool,
        overhearing: InterruptionModel | None = None,
    ) -> None:
        if vad.sample_rate != RATE:
            raise ConfigError(f"The voice activity detector wants {vad.sample_rate} Hz; sessions give it {RATE} Hz.")
        self.segmenter = Segmenter(settings.segmenter, alert_threshold=settings.barge_in.alert_threshold)
        self.usual_level_db = settings.barge_in.usual_level_dbfs
        self.heard_at = 0.0
        """Loop time of the newest frame, or up to which silence stands for frames; 0 before the first."""
        self._filter = incoming
        self._vad = vad
        self._echo = echo
        self._overhearing = overhearing
        self._received = 0
        self._kept: deque[tuple[int, NDArray[np.int16]]] = deque()
        least = settings.segmenter.pre_roll + settings.segmenter.start_duration
        self._window = int((max(least, _KEPT_FOR_MODEL if keep_turns else _KEPT_FOR_MELODY) + 0.1) * RATE)
        self._pre_roll = int(settings.segmenter.pre_roll * RATE)
        self._power: float | None = None
        self._forgotten = 0

    def set_alert(self, alert: bool) -> None:
        """While alert, the first sign of speech counts."""
        if alert != self.segmenter.alert:
            self.segmenter.alert = alert
            self._vad.set_alert(alert)
            if self._overhearing is not None:
                (self._overhearing.begin if alert else self._overhearing.end)()

    def hear(self, frame: AudioFrame, now: float) -> tuple[NDArray[np.int16], list[SpeechStarted | SpeechEnded]]:
        """Take a frame; return its samples at 16 kHz, and what it began or ended."""
        samples = self._filter.process(samples_of(frame.pcm))
        if self._echo is not None:
            samples = self._echo.clean(samples, now)
        return samples, self._listen(samples, now)

    def hear_silence(self, until: float) -> tuple[NDArray[np.int16], list[SpeechStarted | SpeechEnded]]:
        """Take the frames that did not come for silence, up to ``until`` (loop time)."""
        missing = min(until - self.heard_at, _MOST_SILENCE)
        samples = np.zeros(max(0, round(missing * RATE)), np.int16)
        return samples, self._listen(samples, until)

    def _listen(self, samples: NDArray[np.int16], now: float) -> list[SpeechStarted | SpeechEnded]:
        self.heard_at = now
        self._received += samples.size
        self._keep(samples)
        if self._overhearing is not None:
            self._overhear(samples, now)
        events: list[SpeechStarted | SpeechEnded] = []
        segmenter = self.segmenter
        for score in self._vad.score(samples):
            event = segmenter.update(score.probability, score.samples)
            if event is not None:
                events.append(event)
                if isinstance(event, SpeechStarted):
                    self._power = None
        if segmenter.speaking and not segmenter.silence:
            power = mean_square(samples)
            self._power = power if self._power is None else self._power + _POWER_LEARNING * (power - self._power)
        return events

    def _overhear(self, samples: NDArray[np.int16], now: float) -> None:
        if self._overhearing is None or not self.segmenter.alert:
            return
        try:
            with guarded("interruption model"):
                self._overhearing.hear(samples, now)
        except ParleyError:
            self._overhearing = None  # without it the words are judged

    def _keep(self, samples: NDArray[np.int16]) -> None:
        kept = self._kept
        kept.append((self._received, samples))
        while kept[0][0] < self._received - self._window:
            kept.popleft()

    def since_onset(self) -> NDArray[np.int16]:
        """Samples from the pre-roll before the latest speech until now."""
        start = int(self.segmenter.onset * RATE) - self._pre_roll
        return self._since(start)

    def forget(self) -> None:
        """What was heard so far belongs to nothing that is said from now on."""
        self.segmenter.reject()
        self._kept.clear()
        self._forgotten = self._received

    def change(self, settings: SessionSettings) -> None:
        """Tell speech from silence by these from now on."""
        self.segmenter.change(settings.segmenter)
        self._pre_roll = int(settings.segmenter.pre_roll * RATE)

    @property
    def received(self) -> float:
        """Seconds of audio so far."""
        return self._received / RATE

    @property
    def heard_from(self) -> float:
        """Seconds of audio at which the latest speech is taken to begin: its onset, and a little before."""
        return max(self._forgotten / RATE, self.segmenter.onset - self._pre_roll / RATE)

    def recent(self) -> NDArray[np.int16]:
        """All samples that are kept."""
        return self._since(0)

    def melody(self, since: float) -> Melody | None:
        """Of what was said from ``since`` (loop time) to the last voice."""
        speech = self._since(self._received - int((self.heard_at - since + _ONSET) * RATE))
        silence = self._received - int(self.segmenter.last_voice * RATE)
        return melody(speech[: max(0, len(speech) - silence)])

    def _since(self, start: int) -> NDArray[np.int16]:
        pieces = [samples for end, samples in self._kept if end > start]
        joined = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
        return joined[max(0, joined.size - (self._received - start)) :]

    # --- questions ---------------------------------------------------------------------

    @property
    def onset_at(self) -> float:
        """Loop time at which the latest speech began."""
        return self.heard_at - (self._received / RATE - self.segmenter.onset)

    @property
    def last_voice_at(self) -> float:
        """Loop time of the last voice."""
        return self.heard_at - self.since_voice

    @property
    def since_voice(self) -> float:
        """Seconds of audio, silence in place of frames included, since the last voice."""
        return self._received / RATE - self.segmenter.last_voice

    def silence(self, now: float) -> float:
        """Seconds since the last voice, also when the microphone has stopped sending."""
        segmenter = self.segmenter
        if segmenter.speaking and not segmenter.silence and now - self.heard_at < _FRESH:
            return 0.0
        return now - self.last_voice_at

    def rising(self, now: float) -> bool:
        """True while something has just begun that may be speech; a microphone that stopped sending brings no more."""
        return self.segmenter.rising and now - self.heard_at < _FRESH

    @property
    def level_db(self) -> float:
        """Of the latest speech, in dBFS: mostly of its last quarter of a second."""
        if self._power is None:
            return self.usual_level_db
        return 10 * math.log10(max(self._power, 1e-12))

    @property
    def echo_likelihood(self) -> float:
        """How likely the newest sound is the agent's own."""
        return self._echo.likelihood() if self._echo is not None else 0.0

    @property
    def wish(self) -> float | None:
        """How likely what is said over a reply asks for the floor, by a model; None without one."""
        return self._overhearing.wish() if self._overhearing is not None else None

    def learn_level(self) -> None:
        """The latest speech was the participant's."""
        if self._power is not None:
            self.usual_level_db += _LEVEL_LEARNING * (self.level_db - self.usual_level_db)

    def played(self, frame: AudioFrame, at: float) -> None:
        """The loudspeaker plays this."""
        if self._echo is not None:
            self._echo.played(frame, at)
        if self._overhearing is not None:
            self._overhearing.played(frame, at)
