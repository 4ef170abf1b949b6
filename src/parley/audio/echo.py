"""Echo: taking the agent's own voice out of the microphone, and telling how much of it is left.

Both need to know what the loudspeaker plays and when. Frames are laid on a timeline of 16 kHz
samples by the time from which they are heard, the microphone on another by the time of its arrival.
The echo comes later than the timeline says (network, playout buffers, the room): the canceller and
the judge each find the delay themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from parley.audio.levels import mean_square, samples_of
from parley.audio.processing import BLOCK, RATE, AudioProcessing, Blocks, available
from parley.audio.resample import Decimator, Resampler, microphone_resampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from parley.audio.frame import AudioFrame
    from parley.audio.settings import MicrophoneSettings

_SPAN = 4 * RATE
"""Samples that a timeline remembers."""
_JITTER = RATE // 25
"""Arrival times within 40 ms of what the samples say are the samples' own."""
_TAIL = RATE
"""The room and the buffers are empty this long after the last sound was played."""


class Timeline:
    """The last four seconds of a stream, addressed by time; what was not written is silence."""

    def __init__(self) -> None:
        self._ring = np.zeros(_SPAN, np.int16)
        self.end = 0
        """One past the newest sample, counted at 16 kHz on the clock."""

    def write(self, samples: NDArray[np.int16], start: int) -> None:
        """Write at ``start``; close to the end it is taken to follow on, so that jitter tears nothing."""
        if abs(start - self.end) <= _JITTER:
            start = self.end
        elif start > self.end:
            self._fill(min(start - self.end, _SPAN), start)
        places = np.arange(start, start + samples.size) % _SPAN
        self._ring[places] = samples
        self.end = start + samples.size

    def read(self, start: int, count: int) -> NDArray[np.int16]:
        """``count`` samples from ``start`` on."""
        places = np.arange(start, start + count)
        values = self._ring[places % _SPAN]
        values[(places >= self.end) | (places < self.end - _SPAN)] = 0
        return values

    def _fill(self, count: int, end: int) -> None:
        self._ring[np.arange(end - count, end) % _SPAN] = 0


_FRAME, _BANDS = 256, 16
_HISTORY_FRAMES, _NEWEST_FRAMES, _DELAY_FRAMES = 90, 4, 32
_HISTORY = (_HISTORY_FRAMES + _NEWEST_FRAMES) * _FRAME
_QUIET = 30.0**2 * _FRAME
_FIT, _DOUBT = 0.75, 0.15
_ENOUGH_FRAMES, _SURE_FRAMES = 16, 60
"""Two voices that begin together look alike at first: the less there is to compare, the better it has to fit."""
_MARGIN = 2.0
_ADAPTED = 0.9
"""Once the canceller has removed nearly all of a sound, what it leaves is somebody else's."""


class EchoJudge:
    """How much of the newest 64 ms in the microphone is explained by what was played before.

    From one and a half seconds of history it finds the delay at which the band levels of the microphone
    follow those of the playout, and each band's gain on the way; then it predicts. Done only when asked.
    """

    def __init__(self) -> None:
        # Whole spectral bins, none empty. Sums, not a matrix product: those start threads at this size.
        edges = np.geomspace(200, 7_000, _BANDS + 1) / RATE * _FRAME
        self._edges = np.maximum.accumulate(
            np.maximum(np.round(edges).astype(int), int(edges[0]) + np.arange(_BANDS + 1))
        )
        self._widths = np.diff(self._edges).astype(np.float32)
        self._window = np.hanning(_FRAME).astype(np.float32)

    def explained(self, microphone: NDArray[np.int16], playout: NDArray[np.int16]) -> float:
        """0 to 1. The last ``_HISTORY`` samples of one, ``_DELAY_FRAMES`` frames more of the other."""
        near, far = self._levels(microphone), self._levels(playout)
        delay, fit = self._delay(near[:-_NEWEST_FRAMES], far)
        begin = _DELAY_FRAMES - delay
        aligned = far[begin : begin + near.shape[0]]
        # The tail of a room smears sound over the following frames.
        smeared = np.maximum(aligned, 0.5 * far[begin - 1 : begin - 1 + near.shape[0]]) if begin else aligned
        past, played = near[:-_NEWEST_FRAMES], smeared[:-_NEWEST_FRAMES]
        sounding = int(np.count_nonzero((played**2).sum(axis=1) > _QUIET))
        if sounding < _ENOUGH_FRAMES or fit < _FIT + _DOUBT * max(0.0, 1 - sounding / _SURE_FRAMES):
            return 0.0
        gains = (past * played).sum(axis=0) / np.maximum((played * played).sum(axis=0), 1e-9)
        newest = near[-_NEWEST_FRAMES:]
        surplus = np.maximum(newest - _MARGIN * gains * smeared[-_NEWEST_FRAMES:], 0)
        total = float((newest**2).sum())
        return 1.0 - float((surplus**2).sum()) / total if total > _QUIET else 0.0

    def _levels(self, samples: NDArray[np.int16]) -> NDArray[np.float32]:
        """Amplitudes per frame and band."""
        frames = samples[: samples.size // _FRAME * _FRAME].reshape(-1, _FRAME) * self._window
        spectrum = np.fft.rfft(frames)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        bands = np.add.reduceat(power[:, : self._edges[-1]], self._edges[:-1], axis=1)
        return np.asarray(np.sqrt(bands / self._widths), np.float32)

    def _delay(self, near: NDArray[np.float32], far: NDArray[np.float32]) -> tuple[int, float]:
        """The delay in frames that fits best, and the correlation there."""
        count = near.shape[0]
        a = np.sqrt(near)
        a = a - a.mean(axis=0)
        b = np.sqrt(far)
        norm = float((a * a).sum())
        best, fit = 0, 0.0
        for delay in range(_DELAY_FRAMES + 1):
            shifted = b[_DELAY_FRAMES - delay : _DELAY_FRAMES - delay + count]
            shifted = shifted - shifted.mean(axis=0)
            other = float((shifted * shifted).sum())
            if other <= 0 or norm <= 0:
                continue
            value = float((a * shifted).sum()) / (norm * other) ** 0.5
            if value > fit:
                best, fit = delay, value
        return best, fit


class LoudspeakerEcho:
    """The EchoGuard: remembers what was played, cancels it where it may, and judges what is left."""

    def __init__(self, *, cancel: bool) -> None:
        self._processing = AudioProcessing(echo=True) if cancel else None
        self._blocks = Blocks()
        self._playout, self._microphone = Timeline(), Timeline()
        self._to_ears: dict[int, Resampler] = {48_000: Decimator()}
        self._judge = EchoJudge()
        self._judged_at, self._judgement = -1, 0.0
        self._raw_power = self._clean_power = 0.0
        self._adapted = False

    def played(self, frame: AudioFrame, at: float) -> None:
        """See :class:`parley.interfaces.EchoGuard`."""
        resampler = self._to_ears.get(frame.sample_rate)
        if resampler is None:
            resampler = self._to_ears[frame.sample_rate] = microphone_resampler(frame.sample_rate)
        self._playout.write(resampler.process(samples_of(frame.pcm)), round(at * RATE))

    def clean(self, samples: NDArray[np.int16], at: float) -> NDArray[np.int16]:
        """See :class:`parley.interfaces.EchoGuard`. Free while nothing has been played for a second."""
        self._microphone.write(samples, round(at * RATE) - samples.size)
        start = self._microphone.end - samples.size
        if self._processing is None or self._playout.end + _TAIL < start:
            self._raw_power = self._clean_power = 0.0
            return samples if self._processing is None else self._pass(samples)
        cleaned = []
        blocks = self._blocks.cut(samples)
        for number, block in enumerate(blocks):
            self._processing.far(self._playout.read(start + number * BLOCK, BLOCK))
            cleaned.append(self._processing.near(block))
        result = self._blocks.join(np.concatenate(cleaned) if cleaned else np.zeros(0, np.int16), samples.size)
        self._raw_power += 0.5 * (mean_square(samples) - self._raw_power)
        self._clean_power += 0.5 * (mean_square(result) - self._clean_power)
        return result

    def likelihood(self) -> float:
        """See :class:`parley.interfaces.EchoGuard`. Costs a millisecond, once per piece of audio."""
        end = self._microphone.end
        if end != self._judged_at:
            self._judged_at = end
            self._judgement = self._assess(end)
        return self._judgement

    def _assess(self, end: int) -> float:
        start = end - _HISTORY
        if self._playout.end + _TAIL < end:
            return 0.0
        removed = self._removed()
        self._adapted = self._adapted or removed > _ADAPTED
        if self._adapted:
            return removed
        lead = _DELAY_FRAMES * _FRAME
        playout = self._playout.read(start - lead, _HISTORY + lead)
        return self._judge.explained(self._microphone.read(start, _HISTORY), playout)

    def _removed(self) -> float:
        """What the canceller took away: 12 dB or more means that there was nothing but echo."""
        if not self._raw_power or self._clean_power <= 0:
            return 0.0
        removed_db = 10 * float(np.log10(self._raw_power / self._clean_power))
        return float(np.clip((removed_db - 4) / 8, 0, 1))

    def _pass(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Through the same framing without the work."""
        return self._blocks.join(self._blocks.cut(samples).copy(), samples.size)


def create_echo_guard(settings: MicrophoneSettings) -> LoudspeakerEcho | None:
    """The guard for one session that has no echo canceller of its own; None where the settings want none.

    ConfigError when cancelling is insisted upon and the livekit package is missing.
    """
    if settings.echo == "off":
        return None
    return LoudspeakerEcho(cancel=settings.echo == "cancel" or (settings.echo == "auto" and available()))
