"""The one audio value that crosses every seam."""

from __future__ import annotations

from dataclasses import dataclass

SAMPLE_RATE = 48_000
"""Hz of all synthesised audio, from the worker to the ear."""
FRAME_SAMPLES = 960
"""Samples in one frame of synthesised audio: exactly 20 ms."""
FRAME_BYTES = 2 * FRAME_SAMPLES
"""Bytes in one such frame: signed 16 bit, little endian, mono."""


@dataclass(frozen=True, slots=True)
class WordMark:
    """Where one word of an utterance stands, in its text and in its audio."""

    text_start: int
    """First character (Unicode code point) of the word in the utterance's text."""
    text_end: int
    """One past its last character."""
    start_sample: int
    """First sample of the word, counted at 48 kHz from the utterance's first sample."""
    end_sample: int
    """One past its last sample; the next word's start where the engine tells no ends."""


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """A stretch of mono s16le PCM. Synthesised frames are exactly 20 ms at 48 kHz."""

    pcm: bytes
    """Signed 16 bit little-endian mono samples."""
    sample_rate: int = SAMPLE_RATE
    """Hz."""
    utterance_id: str = ""
    """The reply that it belongs to; empty for the participant's microphone."""
    sequence: int = 0
    """0, 1, 2 ... within the utterance or the microphone stream."""
    start_sample: int = 0
    """Position of the first sample in the utterance or the microphone stream."""
    marks: tuple[WordMark, ...] = ()
    """Words that begin in this frame, or that became known with it."""
    final: bool = False
    """The utterance's last frame (padded with silence to its full length)."""
    speaking: bool = True
    """Of a microphone: False where its speaker is known to be silent at the frame's end, perhaps only for a moment."""

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.pcm) // 2

    @property
    def end_sample(self) -> int:
        """One past the last sample."""
        return self.start_sample + len(self.pcm) // 2

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.pcm) / 2 / self.sample_rate
