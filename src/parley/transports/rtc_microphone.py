"""The microphone of a WebRTC session: RTP payloads in, an unbroken stream of frames out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley import clock
from parley.audio.frame import FRAME_SAMPLES, SAMPLE_RATE, AudioFrame
from parley.transports.opus import OpusDecoder
from parley.transports.rtp_order import ReceiveOrder

if TYPE_CHECKING:
    from collections.abc import Callable

STOPPED_AFTER = 0.15
"""Seconds without a packet after which the microphone counts as off."""
_LONGEST_GAP = SAMPLE_RATE * 2 // 5  # longer ones have been filled as they passed


class RtcMicrophone:
    """RTP payloads to microphone frames, which ``take_frame`` gets; ``lost`` is told what never came, in seconds."""

    def __init__(
        self, take_frame: Callable[[AudioFrame], None], hold: int, lost: Callable[[float], None] = lambda _: None
    ) -> None:
        self._take_frame = take_frame
        self._lost = lost
        self._order = ReceiveOrder(hold=hold, max_gap=_LONGEST_GAP)
        self._decoder = OpusDecoder()
        self._sequence = 0
        self._last: float | None = None

    def take(self, source: int, sequence: int, timestamp: int, payload: bytes) -> None:
        self._last = clock.now()
        lost = self._order.lost
        pieces = self._order.add(source, sequence, timestamp, payload)
        if self._order.lost > lost:
            self._lost(sum(piece.samples for piece in pieces if piece.payload is None) / SAMPLE_RATE)
        for piece in pieces:
            if piece.payload is None:
                pcm = bytes(2 * piece.samples)
            else:
                pcm = self._decoder.decode(piece.payload, piece.samples)
            self._put(pcm, piece.position)

    def keep_alive(self, now: float) -> None:
        """Called every 20 ms: a microphone that was unplugged in mid-word goes on as silence."""
        if self._last is not None and now - self._last > STOPPED_AFTER:
            piece = self._order.fill(FRAME_SAMPLES)
            self._put(bytes(2 * piece.samples), piece.position)

    def _put(self, pcm: bytes, position: int) -> None:
        self._take_frame(AudioFrame(pcm, SAMPLE_RATE, "", self._sequence, position))
        self._sequence += 1
