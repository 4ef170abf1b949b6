"""Puts the microphone's RTP packets in order, at once, and fills what is missing.

A jitter buffer serves an ear; this one serves a recogniser, which wants every sample as soon
as it exists and does not mind when it comes. So nothing is held back: a packet that is next
leaves at once, a packet that ran ahead waits for at most ``hold`` others, what is lost becomes
a gap of its exact length, and what comes after its gap was declared is dropped. Pure: no clock,
no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass

OPUS_CLOCK = 48_000
"""RTP clock of Opus, whatever its content, in Hz."""
MAX_FRAME_SAMPLES = 5_760
"""Longest duration of one Opus packet: 120 ms."""

_SILK_SAMPLES = (480, 960, 1920, 2880)
_HYBRID_SAMPLES = (480, 960)
_CELT_SAMPLES = (120, 240, 480, 960)


def opus_samples(payload: bytes) -> int:
    """Samples at 48 kHz in an Opus packet, read from its first bytes (RFC 6716, 3.1).

    0 for an empty packet, and for one that claims more than the 120 ms that are allowed.
    """
    if not payload:
        return 0
    config, code = payload[0] >> 3, payload[0] & 3
    if config < 12:
        samples = _SILK_SAMPLES[config & 3]
    elif config < 16:
        samples = _HYBRID_SAMPLES[config & 1]
    else:
        samples = _CELT_SAMPLES[config & 3]
    if code == 0:
        frames = 1
    elif code < 3:
        frames = 2
    else:
        frames = payload[1] & 0x3F if len(payload) > 1 else 0
    total = samples * frames
    return total if total <= MAX_FRAME_SAMPLES else 0


@dataclass(frozen=True, slots=True)
class Piece:
    """The next stretch of the stream."""

    position: int
    """First sample at 48 kHz, counted from the first packet ever seen."""
    samples: int
    payload: bytes | None
    """One Opus packet, or None where the stretch never arrived."""


def _signed(value: int, bits: int) -> int:
    """The shortest way round a counter of ``bits`` bits."""
    half = 1 << (bits - 1)
    return ((value + half) & ((1 << bits) - 1)) - half


class ReceiveOrder:
    """One RTP stream in, one unbroken stream of pieces out.

    ``hold``: packets that may wait behind a missing one before it counts as lost.
    ``max_gap``: longest stretch, in samples, that is filled; a longer one (a microphone that was
    switched off) is shortened to it, and the stream goes on from there.
    """

    def __init__(self, *, hold: int = 1, max_gap: int = 2 * OPUS_CLOCK) -> None:
        self._hold = hold
        self._max_gap = max_gap
        self._source: int | None = None
        self._next_sequence = 0
        self._waiting: dict[int, tuple[int, bytes]] = {}
        self._last_timestamp: int | None = None
        self._position = 0
        self._filled = 0
        self.lost = 0
        """Packets that never came."""
        self.late = 0
        """Packets that came after their place was filled, or twice."""

    def add(self, source: int, sequence: int, timestamp: int, payload: bytes) -> list[Piece]:
        """Take a packet as it came off the wire; return what can leave now, in order."""
        if source != self._source:
            self._restart(source, sequence)
        ahead = _signed(sequence - self._next_sequence, 16)
        if ahead < 0:
            if ahead > -1_000:
                self.late += 1
                return []
            self._restart(source, sequence)
            ahead = 0
        index = self._next_sequence + ahead
        if index in self._waiting:
            self.late += 1
            return []
        self._waiting[index] = (timestamp, payload)
        return self._release()

    def fill(self, samples: int) -> Piece:
        """A stretch of silence now, for a sender that has stopped; it counts towards the next gap."""
        piece = Piece(self._position, samples, None)
        self._position += samples
        self._filled += samples
        return piece

    def _restart(self, source: int, sequence: int) -> None:
        """Another sender, or one that jumped back: its packets follow on where the last ones ended."""
        self._source = source
        self._next_sequence = sequence
        self._waiting.clear()
        self._last_timestamp = None

    def _release(self) -> list[Piece]:
        pieces: list[Piece] = []
        while self._waiting:
            if self._next_sequence not in self._waiting:
                if len(self._waiting) <= self._hold:
                    break
                first = min(self._waiting)
                self.lost += first - self._next_sequence
                self._next_sequence = first
            timestamp, payload = self._waiting.pop(self._next_sequence)
            self._next_sequence += 1
            self._append(pieces, timestamp, payload)
        return pieces

    def _append(self, pieces: list[Piece], timestamp: int, payload: bytes) -> None:
        samples = opus_samples(payload)
        if samples == 0:
            return
        if self._last_timestamp is not None:
            gap = min(_signed(timestamp - self._last_timestamp, 32) - self._filled, self._max_gap)
            if gap > 0:
                pieces.append(Piece(self._position, gap, None))
                self._position += gap
        self._filled = 0
        pieces.append(Piece(self._position, samples, payload))
        self._position += samples
        self._last_timestamp = (timestamp + samples) & 0xFFFFFFFF
