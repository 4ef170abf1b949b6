"""A voice as an RTP track: packets on an even grid, speech or silence, already encoded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from parley import clock
from parley.audio.frame import SAMPLE_RATE

if TYPE_CHECKING:
    from parley.transports.opus import OpusEncoder

NextFrame = Callable[[int], bytes | None]
"""Asked for the frame at a position of the stream, in samples; None is silence."""

_TOO_LATE = 0.2
_TIME_BASE = Fraction(1, SAMPLE_RATE)


class VoiceTrack(MediaStreamTrack):
    """Asks for a frame when it is due, on an even grid; positions go on through silence.

    A loop that was held up catches up at once; one that was away for more than 0.2 s skips what
    it missed, so that the listener's jitter buffer does not grow.
    """

    kind = "audio"

    def __init__(self, encoder: OpusEncoder, next_frame: NextFrame) -> None:
        super().__init__()
        self._samples = encoder.frame_samples
        self._seconds = encoder.frame_samples / SAMPLE_RATE
        self._encoder = encoder
        self._next_frame = next_frame
        self.due: float | None = None
        """When the packet that was made last was due, on the loop's clock."""
        self.position = 0
        """Of the packet that is made next, in samples."""
        self.sent_position = 0
        """Of the packet that was made last."""
        self.on_packet: Callable[[], None] | None = None
        """Called for each packet once its time has come; for measurements."""

    async def recv(self) -> Any:
        """The next ``av.Packet``, when it is due."""
        if self.readyState != "live":
            raise MediaStreamError
        await self._wait_until_due()
        position = self.position
        pcm = self._next_frame(position)
        payload = self._encoder.encode_silence() if pcm is None else self._encoder.encode(pcm)
        packet = av.Packet(payload)
        packet.pts = position
        packet.time_base = _TIME_BASE
        self.sent_position = position
        self.position = position + self._samples
        return packet

    async def _wait_until_due(self) -> None:
        now = clock.now()
        self.due = now if self.due is None else self.due + self._seconds
        if now < self.due:
            await asyncio.sleep(self.due - now)
        elif now - self.due > _TOO_LATE:
            skipped = int((now - self.due) / self._seconds)
            self.due += skipped * self._seconds
            self.position += skipped * self._samples
        if self.on_packet is not None:
            self.on_packet()
