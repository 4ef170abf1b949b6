"""Echo: taking the agent's own voice out of the microphone, and telling how much of it is left.

Both need to know what the loudspeaker plays and when. Frames are laid on a timeline of 16 kHz
samples by the time from which they are heard, the microphone on another by the time of its arrival.
The echo comes later than the timeline says (network, playout buffers, the room), or, with headphones, never:
``echo_path`` knows which. Only where it is proven to come is it cancelled; before, the microphone is heard as it is,
and a sound that follows what is played is the agent's own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from parley.audio.echo_delay import LONGEST, WINDOW, EchoDelay, Match
from parley.audio.echo_path import LIKELY, SURE, EchoPath, EchoState, Look
from parley.audio.levels import mean_square, samples_of
from parley.audio.processing import BLOCK, RATE, AudioProcessing, Blocks, available, library
from parley.audio.resample import Decimator, Resampler, microphone_resampler
from parley.audio.timeline import Timeline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from parley.audio.frame import AudioFrame
    from parley.audio.settings import MicrophoneSettings

_TAIL = 1.0
"""Seconds after the last sound was played in which the room and the buffers become empty."""
_AUDIBLE = 30.0**2 / 32_768**2
"""Power from which a frame that is played is a sound."""

_FRAME, _BANDS = 256, 16
_HISTORY_FRAMES, _NEWEST_FRAMES, _DELAY_FRAMES = 90, 4, 32
_HISTORY = (_HISTORY_FRAMES + _NEWEST_FRAMES) * _FRAME
_QUIET = 30.0**2 * _FRAME
_FIT, _DOUBT = 0.75, 0.15
_ENOUGH_FRAMES, _SURE_FRAMES = 16, 60
"""Two voices that begin together look alike at first: the less there is to compare, the better it has to fit."""
_MARGIN = 2.0


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


class EchoLevel:
    """How loud the echo is, next to what is played: whatever is much louder is somebody else."""

    def __init__(self) -> None:
        self._gain = 0.0
        self._learnt = 0

    def learn(self, microphone: NDArray[np.int16], playout: NDArray[np.int16]) -> None:
        """Both hold nothing but the echo, already aligned."""
        played = mean_square(playout)
        if played > _AUDIBLE:
            self._learnt += 1
            self._gain += max(_LEVEL_RATE, 1 / self._learnt) * (mean_square(microphone) / played - self._gain)

    def excess(self, microphone: NDArray[np.int16], playout: NDArray[np.int16]) -> float:
        """Power of the newest 32 ms over that of the echo to expect; 0 while little is known."""
        if self._learnt < _LEVELS:
            return 0.0
        played = playout.astype(np.float32).reshape(-1, _PIECE)
        powers = np.einsum("ij,ij->i", played, played) / (_PIECE * 32_768.0**2)
        # A room smears sound over what follows.
        loudest = max(powers[-2:].max(), 0.5 * powers[-4:-2].max(), 0.25 * powers[:-4].max())
        return mean_square(microphone[-2 * _PIECE :]) / (self._gain * float(loudest) + _FAINT)


_PIECE = WINDOW // 7
_LEVEL_RATE, _LEVELS = 0.3, 5
_FAINT = 1e-6
"""Power, -60 dBFS, below which nothing is louder than the echo."""


class EchoCanceller:
    """WebRTC's, begun where the path is proven, on the second that was heard until then."""

    def __init__(self, delay: float, microphone: Timeline, playout: Timeline, since: int, until: int) -> None:
        self.delay = delay
        self._microphone, self._playout = microphone, playout
        self._shift = max(0, round((delay - _AHEAD) * RATE))
        self._processing = AudioProcessing(echo=True)
        self._blocks = Blocks()
        self._before = self._after = self._removed = 0.0
        self._adapted = False
        self._fades = False
        self._processed = 0
        blocks = max(0, until - max(since, until - _LEARNT_FROM)) // BLOCK
        start = until - blocks * BLOCK
        self._cancel(microphone.read(start, blocks * BLOCK).reshape(-1, BLOCK), start)

    def process(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """The newest samples of the microphone, without the echo; as many as come in."""
        blocks = self._blocks.cut(samples)
        result = self._blocks.join(self._cancel(blocks, self._microphone.end - samples.size), samples.size)
        before, after = mean_square(samples), mean_square(result)
        seconds = _RISING if after > self._after else _FALLING
        share = 1 - math.exp(-samples.size / (seconds * RATE))
        self._fades = before < _FADED * self._before
        self._before += share * (before - self._before)
        self._after += share * (after - self._after)
        if self._before > 0 and self._after > 0:
            self._removed = min(1.0, max(0.0, (10 * math.log10(self._before / self._after) - 4) / 8))
            self._adapted = self._adapted or self._removed > _ADAPTED
        return result

    def _cancel(self, blocks: NDArray[np.int16], start: int) -> NDArray[np.int16]:
        played = self._playout.read(start - self._shift, blocks.size).reshape(-1, BLOCK)
        self._processed += blocks.size
        cleaned = []
        for far, near in zip(played, blocks, strict=True):
            self._processing.far(far)
            cleaned.append(self._processing.near(near))
        return np.concatenate(cleaned) if cleaned else np.zeros(0, np.int16)

    @property
    def fades(self) -> bool:
        """What the microphone heard is dying away: how much was taken of it is still that of the sound before."""
        return self._fades

    @property
    def settled(self) -> bool:
        """It has learnt for so long that what it leaves can be believed."""
        return self._processed >= _SETTLED

    def removed(self) -> float | None:
        """0 to 1; 12 dB or more mean that there was nothing but echo. None before it has once taken so much."""
        return self._removed if self._adapted else None


_AHEAD = 0.02
"""Seconds by which the canceller gets what was played before its echo."""
_LEARNT_FROM = 6 * RATE // 5
_SETTLED = 5 * RATE // 2
_RISING, _FALLING = 0.02, 0.06
"""Seconds over which levels are smoothed: somebody who begins shows at once, an echo that ends is still ours."""
_FADED = 0.1
"""Of the smoothed power; below it the levels only remember the sound that has just ended."""
_ADAPTED = 0.9
"""Once the canceller has removed nearly all of a sound, what it leaves is somebody else's."""

_EVERY = {EchoState.UNKNOWN: 0.1, EchoState.NONE: 0.5, EchoState.PROVEN: 0.1}
"""Seconds between two looks that nobody asked for."""
_SOUNDED = 0.1
"""Seconds of sound played before there is anything to compare."""
_ARRIVES = LONGEST / RATE + 0.05
"""Seconds in which the echo of a reply's first sound arrives, if there is one."""
_ENOUGH = 0.11
"""Seconds of a sound that tell an echo from a person."""
_VOWEL = 0.4
"""Seconds: longer is no vowel."""
_ASKED_AGAIN = 0.1
"""Questions closer than this are about one sound."""
_OURS, _LIKE_OURS = 7.0, 7.0
"""Strengths at the delay of a proven path, and of a likely one, that make a sound our own."""
_LOUDER, _QUITE_LOUD = 6.0, 3.0
"""Power over that of the echo to expect."""
_MOVED = 0.025
"""Seconds by which the delay may move before the canceller begins anew."""
_PASSES, _PASSED = 0.2, 0.1
"""What a canceller that has once taken everything takes so little of, for so many seconds, is somebody else's: what
a room leaves of our own voice while it is being learnt is shorter."""
_DOUBT = 0.9
_SILENCE = 10
"""Amplitude below which a microphone hears nothing."""


class LoudspeakerEcho:
    """The EchoGuard: remembers what was played, finds out whether it comes back, cancels it then, and judges."""

    def __init__(self, *, cancel: bool) -> None:
        if cancel:
            library()  # now, not in the middle of a reply
        self.path = EchoPath()
        self._may_cancel = cancel
        self._canceller: EchoCanceller | None = None
        self._playout, self._microphone = Timeline(), Timeline()
        self._to_ears: dict[int, Resampler] = {48_000: Decimator()}
        self._delay, self._level, self._judge = EchoDelay(), EchoLevel(), EchoJudge()
        self._plays_until = float("-inf")
        self._sounds_since: float | None = None
        self._next_look = float("-inf")
        self._looked_at = self._judged_at = -1
        self._match, self._excess, self._judgement = Match(), 0.0, 0.0
        self._asked_first = self._asked_before = self._asked_last = self._passes_since = float("-inf")

    def played(self, frame: AudioFrame, at: float) -> None:
        """See :class:`parley.interfaces.EchoGuard`."""
        resampler = self._to_ears.get(frame.sample_rate)
        if resampler is None:
            resampler = self._to_ears[frame.sample_rate] = microphone_resampler(frame.sample_rate)
        samples = resampler.process(samples_of(frame.pcm))
        self._playout.write(samples, round(at * RATE))
        if at > self._plays_until + _TAIL / 2:
            self._sounds_since = None
        if self._sounds_since is None and mean_square(samples) > _AUDIBLE:
            self._sounds_since = at
        self._plays_until = max(self._plays_until, at + frame.duration)

    def clean(self, samples: NDArray[np.int16], at: float) -> NDArray[np.int16]:
        """See :class:`parley.interfaces.EchoGuard`. Free while nothing has been played for a second."""
        if at > self._plays_until + _TAIL:
            return samples
        self._microphone.write(samples, round(at * RATE) - samples.size)
        if at >= self._next_look:
            self._look()
        if self.path.state is not EchoState.PROVEN or not self._may_cancel:
            return samples
        canceller = self._canceller
        if canceller is None or abs(canceller.delay - self.path.delay) > _MOVED:
            canceller = self._canceller = self._new_canceller(self._microphone.end - samples.size)
        cleaned = canceller.process(samples)
        return samples if self._somebody_else else cleaned

    def likelihood(self) -> float:
        """See :class:`parley.interfaces.EchoGuard`. Costs a millisecond, once per piece of audio."""
        end = self._microphone.end
        if end != self._judged_at:
            self._judged_at, self._judgement = end, self._assess(end / RATE)
        return self._judgement

    # --- looks ---------------------------------------------------------------------------

    def _look(self) -> None:
        """Compare the newest tenth of a second with what was played before it."""
        end = self._microphone.end
        if end == self._looked_at:
            return
        self._looked_at, now, path = end, end / RATE, self.path
        microphone = self._microphone.read(end - WINDOW, WINDOW)
        playout = self._playout.read(end - WINDOW - LONGEST, WINDOW + LONGEST)
        sounding = self._sounds_since is not None and now - self._sounds_since >= _SOUNDED
        self._match = Match()
        if sounding and int(microphone.max()) > _SILENCE:
            self._match = self._delay.find(microphone, playout, path.candidate(now))
        path.look(Look(now, self._match.strength, self._match.delay, sounding and self._audible(playout)))
        if path.state is EchoState.PROVEN:
            # followed between two samples, a delay of none may come out as a sample too early
            begin = min(max(LONGEST - round(path.delay * RATE), 0), LONGEST)
            aligned = playout[begin : begin + WINDOW]
            if self._likeness >= LIKELY:
                self._level.learn(microphone, aligned)
            self._excess = self._level.excess(microphone, aligned)
        self._next_look = now + _EVERY[path.state]

    @property
    def _likeness(self) -> float:
        """How clearly the newest sound is what was played, by the path that is proven."""
        match = self._match
        there = abs(match.delay - self.path.delay) <= _MOVED / 2
        return max(match.at_expected, match.strength if there else 0.0)

    @staticmethod
    def _audible(playout: NDArray[np.int16]) -> bool:
        return mean_square(playout) > _AUDIBLE

    @property
    def _somebody_else(self) -> bool:
        """What the microphone hears is far louder than our echo could be."""
        return self._excess > _LOUDER

    def _new_canceller(self, until: int) -> EchoCanceller:
        since = round((self._sounds_since or 0.0) * RATE)
        return EchoCanceller(self.path.delay, self._microphone, self._playout, since, until)

    # --- judgement -----------------------------------------------------------------------

    def _assess(self, now: float) -> float:
        if now > self._plays_until + _TAIL:
            return 0.0
        if now - self._asked_last > _ASKED_AGAIN:
            self._asked_first = self._asked_last = self._passes_since = now
        self._asked_before, self._asked_last = self._asked_last, now
        self._look()
        if self.path.state is EchoState.PROVEN:
            return self._assess_echo()
        if self.path.state is EchoState.NONE:
            return 1.0 if self._match.strength >= SURE else 0.0
        if self._match.strength >= LIKELY or self._match.at_expected >= _LIKE_OURS:
            return 1.0
        return _DOUBT if self._too_early(now) else 0.0

    def _too_early(self, now: float) -> bool:
        """A sound that began when the first echo may arrive, and is too short to tell, or beside which only a held
        vowel was played, to which nothing can be compared."""
        since = self._sounds_since
        first = self.path.state is EchoState.UNKNOWN and since is not None and self._asked_first - since < _ARRIVES
        return first and now - self._asked_first < (_ENOUGH if self._match.comparable else _VOWEL)

    def _assess_echo(self) -> float:
        if self._canceller is None or not self._may_cancel:
            return 1.0 if self._likeness >= _OURS else self._explained()
        removed, now = self._canceller.removed(), self._microphone.end / RATE
        if removed is None or removed >= _PASSES:
            self._passes_since = now
        elif self._canceller.fades and not self._canceller.settled:
            self._passes_since += now - self._asked_before
        if now - self._passes_since >= _PASSED:
            return 0.0
        if self._match.strength >= SURE:
            return 1.0
        if self._somebody_else:
            return 0.0
        settled = self._canceller.settled
        alike = self._likeness >= (LIKELY if settled else _OURS) or (not settled and self._excess > 0)
        if alike and self._excess < _QUITE_LOUD:
            return 1.0
        return self._explained() if removed is None else removed

    def _explained(self) -> float:
        start, lead = self._microphone.end - _HISTORY, _DELAY_FRAMES * _FRAME
        playout = self._playout.read(start - lead, _HISTORY + lead)
        return self._judge.explained(self._microphone.read(start, _HISTORY), playout)


def create_echo_guard(settings: MicrophoneSettings) -> LoudspeakerEcho | None:
    """The guard for one session that has no echo canceller of its own; None where the settings want none.

    ConfigError when cancelling is insisted upon and the livekit package is missing.
    """
    if settings.echo == "off":
        return None
    return LoudspeakerEcho(cancel=settings.echo == "cancel" or (settings.echo == "auto" and available()))
