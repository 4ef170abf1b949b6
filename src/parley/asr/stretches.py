"""One turn in stretches: the audio that may have to be heard again, and the words that are fixed. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from parley.asr.decoder import RATE
from parley.values import Transcript, TranscriptWord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley.asr.decoder import Cut

_SAMPLE = 2
_GAP = 0.2
"""Seconds of silence that show that a word has ended."""
_ONSET = 0.5
"""Seconds without a word that may be the beginning of one."""
_LONGEST_WORD = 2.0


class Stretches:
    """A turn whose decoder may change in the middle, or die, without a word being lost or heard twice."""

    def __init__(self) -> None:
        self._kept = bytearray()
        """From the first sample that is not fixed on."""
        self._fixed = Transcript("")
        self._start = 0
        """Samples before ``_kept``."""
        self.fed = 0
        """Samples of ``_kept`` that the decoder has now."""

    def add(self, pcm: bytes) -> None:
        """The next audio: s16le at 16 kHz."""
        self._kept += pcm

    def take(self, samples: int) -> bytes:
        """The next ``samples`` for the decoder."""
        at = self.fed * _SAMPLE
        self.fed += samples
        return bytes(self._kept[at : at + samples * _SAMPLE])

    def cut(self, cut: Cut) -> int:
        """The decoder has let go: fix what is certain. Returns how many samples are to be heard again."""
        self._fixed = self.whole(cut.transcript)
        samples = min(cut.samples, self.fed)
        del self._kept[: samples * _SAMPLE]
        self._start += samples
        return self.lost() - samples

    def lost(self) -> int:
        """The decoder is gone: returns how many samples are to be heard again."""
        again, self.fed = self.fed, 0
        return again

    def whole(self, said: Transcript) -> Transcript:
        """What a decoder says of its stretch, as the transcript of the whole turn so far."""
        fixed, offset = self._fixed, self._start / RATE
        words = tuple(replace(word, start=word.start + offset, end=word.end + offset) for word in said.words)
        return replace(
            said,
            text=f"{fixed.text} {said.text}".strip(),
            stable=len(fixed.text) + said.stable + bool(fixed.text and said.stable),
            words=fixed.words + words,
            language=said.language or fixed.language,
            confidence=said.confidence if said.text or not fixed.text else fixed.confidence,
            covered=self._start / RATE + (said.covered or self.fed / RATE),
        )


def certain(words: Sequence[TranscriptWord], heard: float) -> tuple[tuple[TranscriptWord, ...], float]:
    """The words that will not change although the decoder stops after ``heard`` seconds, and up to where they reach.

    The last word may only be the beginning of a longer one, unless some silence follows it.
    """
    if not words:
        return (), max(0.0, heard - _ONSET)
    last = words[-1]
    if heard - last.end >= _GAP:
        return tuple(words), max(last.end + _GAP / 2, heard - _ONSET)
    if heard - last.start > _LONGEST_WORD:
        return tuple(words), heard
    return tuple(words[:-1]), last.start
