"""Opus at the edge: mono, 48 kHz, one packet per call, on the caller's thread.

The encoder runs in the codec's low-delay mode: 2.5 ms of look-ahead instead of 6.5 ms, and
half the work. In that mode silence after silence is always the same three bytes and leaves the
encoder as it was, so a quiet agent costs no encoding at all.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av

from parley.audio.frame import FRAME_SAMPLES, SAMPLE_RATE

LOOK_AHEAD_SAMPLES = 120
"""The decoder gives a sample back this much later than the encoder took it."""
SILENT_PACKETS = {960: b"\xf8\xff\xfe", 480: b"\xf0\xff\xfe"}
"""Silence, mono, by its length in samples."""

_SETTLED = 2  # constant packets in a row after which the encoder is no longer asked
_TIME_BASE = Fraction(1, SAMPLE_RATE)


class OpusEncoder:
    """Frames of s16le mono at 48 kHz to Opus packets.

    ``frame_samples``: 960 (20 ms) or 480 (10 ms). ``bitrate``: bit/s on average.
    ``complexity``: 0 to 10; above 5 the gain is not audible in speech.
    """

    def __init__(self, *, frame_samples: int = FRAME_SAMPLES, bitrate: int = 32_000, complexity: int = 4) -> None:
        codec: Any = av.CodecContext.create("libopus", "w")
        codec.bit_rate = bitrate
        codec.format = "s16"
        codec.layout = "mono"
        codec.sample_rate = SAMPLE_RATE
        codec.time_base = _TIME_BASE
        codec.options = {
            "application": "lowdelay",
            "compression_level": str(complexity),
            "frame_duration": str(frame_samples * 1000 // SAMPLE_RATE),
        }
        self.frame_samples = frame_samples
        self._silence = bytes(2 * frame_samples)
        self._silent_packet = SILENT_PACKETS[frame_samples]
        self._codec = codec
        self._position = 0
        self._settled = 0

    def encode(self, pcm: bytes) -> bytes:
        """One whole frame to one packet."""
        if self._settled >= _SETTLED and pcm == self._silence:
            return self._silent_packet
        frame: Any = av.AudioFrame(format="s16", layout="mono", samples=self.frame_samples)
        frame.planes[0].update(pcm)
        frame.sample_rate = SAMPLE_RATE
        frame.time_base = _TIME_BASE
        frame.pts = self._position
        self._position += self.frame_samples
        payload = b"".join(bytes(packet) for packet in self._codec.encode(frame))
        self._settled = self._settled + 1 if payload == self._silent_packet else 0
        return payload

    def encode_silence(self) -> bytes:
        """One frame of silence."""
        return self.encode(self._silence)


class OpusDecoder:
    """Opus packets to s16le mono at 48 kHz."""

    def __init__(self) -> None:
        codec: Any = av.CodecContext.create("libopus", "r")
        codec.format = "s16"
        codec.layout = "mono"
        codec.sample_rate = SAMPLE_RATE
        self._codec = codec

    def decode(self, payload: bytes, samples: int) -> bytes:
        """One packet to ``samples`` samples; a packet that cannot be decoded becomes silence."""
        try:
            frames = self._codec.decode(av.Packet(payload))
            pcm = b"".join(bytes(frame.planes[0])[: 2 * frame.samples] for frame in frames)
        except av.FFmpegError:
            pcm = b""
        wanted = 2 * samples
        return pcm[:wanted] if len(pcm) >= wanted else pcm + bytes(wanted - len(pcm))
