"""What a listener at the far end of an RTP stream hears, sample by sample (pure).

The stream plays in real time, a fixed delay behind its first packet. Anchors say which sample of
which utterance stands at which timestamp; pause and clear mute at once, and the sound comes back
exactly at the next anchor.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from parley.audio.frame import SAMPLE_RATE
from parley.messages import AudioAnchor

DELAY = 0.04
"""Seconds that packets wait before they are heard."""


@dataclass(frozen=True, slots=True)
class HeardStretch:
    """Sound that reached the ear without a break."""

    at: float
    """When its first sample was heard."""
    utterance_id: str
    start_sample: int
    pcm: bytes

    @property
    def end_sample(self) -> int:
        return self.start_sample + len(self.pcm) // 2


class RtcPlayout:
    """Told of packets, anchors and directives; ``now`` is in seconds with any origin."""

    def __init__(self, delay: float = DELAY) -> None:
        self.heard: list[HeardStretch] = []
        """What was heard of utterances; silence between them is left out only while muted."""
        self._delay = delay
        self._origin: tuple[float, int] | None = None
        self._last_timestamp = 0
        self._unwrapped = 0
        self._packets: deque[tuple[int, bytes]] = deque()
        self._playhead = 0
        self._anchors: deque[AudioAnchor] = deque()
        self._starts: deque[int] = deque()
        self._muted = False
        self._wait_for_anchor = False

    def push(self, timestamp: int, pcm: bytes, now: float) -> None:
        """A decoded packet; one that comes after its moment is dropped."""
        position = self._unwrap(timestamp)
        if self._origin is None:
            self._origin = (now + self._delay, position)
            self._playhead = position
        self.advance(now)
        if position >= self._playhead:
            self._packets.append((position, pcm))

    def anchor(self, anchor: AudioAnchor, now: float) -> None:
        """From this timestamp on, the stream carries this part of the utterance."""
        self.advance(now)
        self._anchors.append(anchor)
        self._starts.append(self._near(anchor.rtp_timestamp))

    def pause(self, now: float) -> int:
        """Mute; returns one past the last sample heard of the utterance."""
        sample = self.position(now)[1]
        self._muted = True
        self._wait_for_anchor = False
        return sample

    def resume(self, now: float) -> None:
        """Be heard again from the next anchor on."""
        self.advance(now)
        self._wait_for_anchor = True
        self._forget_anchors()

    def clear(self, now: float) -> int:
        """Mute until another utterance is anchored; returns one past the last sample heard."""
        sample = self.position(now)[1]
        self._muted = True
        self._wait_for_anchor = True
        self._forget_anchors()
        return sample

    def position(self, now: float) -> tuple[str, int]:
        """Utterance and one past its last sample heard."""
        if not self._muted or self._wait_for_anchor:
            self.advance(now)
        found = self._anchor_at(self._playhead - 1)
        if found is not None:
            anchor, start = found
            return anchor.utterance_id, anchor.sample + self._playhead - start
        return self.heard[-1].utterance_id if self.heard else "", self.heard[-1].end_sample if self.heard else 0

    def advance(self, now: float) -> None:
        """Play everything up to ``now``."""
        if self._origin is None:
            return
        started, first = self._origin
        target = first + round((now - started) * SAMPLE_RATE)
        while self._packets and self._packets[0][0] < target:
            position, pcm = self._packets.popleft()
            end = position + len(pcm) // 2
            if end > target:
                self._packets.appendleft((target, pcm[2 * (target - position) :]))
                pcm = pcm[: 2 * (target - position)]
            self._hear(position, pcm, started + (position - first) / SAMPLE_RATE)
        self._playhead = max(self._playhead, target)

    def _hear(self, position: int, pcm: bytes, at: float) -> None:
        if self._muted:
            if not self._wait_for_anchor or not self._starts:
                return
            end = position + len(pcm) // 2
            if self._starts[0] >= end:
                return
            skip = max(0, self._starts[0] - position)
            position, pcm, at = position + skip, pcm[2 * skip :], at + skip / SAMPLE_RATE
            self._muted = self._wait_for_anchor = False
        while pcm:
            found = self._anchor_at(position)
            hole = self._hole_after(position)
            borders = [*self._starts, *([hole] if hole is not None else [])]
            samples = min([len(pcm) // 2, *(border - position for border in borders if border > position)])
            if found is not None and (hole is None or position < hole):
                anchor, start = found
                sample = anchor.sample + position - start
                self.heard.append(HeardStretch(at, anchor.utterance_id, sample, pcm[: 2 * samples]))
            position, pcm, at = position + samples, pcm[2 * samples :], at + samples / SAMPLE_RATE

    def _anchor_at(self, position: int) -> tuple[AudioAnchor, int] | None:
        while len(self._starts) > 1 and self._starts[1] <= position:
            self._starts.popleft()
            self._anchors.popleft()
        if self._starts and self._starts[0] <= position:
            return self._anchors[0], self._starts[0]
        return None

    def _hole_after(self, position: int) -> int | None:
        """Where the voice stops to wait for its next samples, when the next anchor says that it did."""
        if len(self._starts) < 2 or self._starts[0] > position:
            return None
        now, then = self._anchors[0], self._anchors[1]
        if now.utterance_id != then.utterance_id or then.sample < now.sample:
            return None
        return self._starts[0] + then.sample - now.sample

    def _forget_anchors(self) -> None:
        self._anchors.clear()
        self._starts.clear()

    def _unwrap(self, timestamp: int) -> int:
        if self._origin is None:
            self._unwrapped = timestamp
        else:
            self._unwrapped = self._near(timestamp)
        self._last_timestamp = timestamp
        return self._unwrapped

    def _near(self, timestamp: int) -> int:
        half = 1 << 31
        return self._unwrapped + ((timestamp - self._unwrapped + half) & 0xFFFFFFFF) - half
