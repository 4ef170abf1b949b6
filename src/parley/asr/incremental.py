"""A turn heard by an engine that only knows whole recordings: decoded again as it grows, without waiting for its end.

Audio whose words are stable is cut off at the end of a segment, so that decoding a long turn costs no more
than decoding its last sentences.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from parley.asr.agreement import LocalAgreement
from parley.asr.decoder import RATE
from parley.audio.levels import samples_of, to_float
from parley.values import Transcript, TranscriptWord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

_CUT_AFTER = 12.0
_PROMPT_LETTERS = 200
_SHORTEST = 0.1


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch that an engine understood."""

    text: str
    end: float
    """Seconds from the recording's start."""
    words: tuple[TranscriptWord, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """A recording to decode."""

    audio: NDArray[np.float32]
    """16 kHz, mono, -1..1."""
    language: str
    """Empty: detect it."""
    prompt: str
    """What was said just before."""
    final: bool
    """The last time: take care, and give word times."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What an engine made of it."""

    segments: tuple[Segment, ...]
    language: str
    confidence: float = 1.0
    """How far the words can be believed, 0 to 1."""


class IncrementalTurn:
    """One turn's audio and what is understood of it so far."""

    def __init__(self, decode: Callable[[Request], Decoded], language: str) -> None:
        self._decode, self._language = decode, language
        self._pieces: list[NDArray[np.int16]] = []
        self._start = 0
        self._agreement = LocalAgreement()
        self._done: list[str] = []
        self._done_words: list[TranscriptWord] = []
        self._confidence = 1.0
        self.samples = 0
        """Heard so far."""

    def add(self, pcm: bytes) -> None:
        """More audio: s16le at 16 kHz."""
        self._pieces.append(samples_of(pcm))
        self.samples += len(pcm) // 2

    def partial(self) -> Transcript:
        """Decode what there is. Blocking."""
        decoded = self._run(final=False)
        self._agreement.update(_words(decoded.segments))
        transcript = self._transcript(final=False)
        self._cut(decoded.segments)
        return transcript

    def final(self) -> Transcript:
        """Decode the turn's end. Blocking."""
        decoded = self._run(final=True)
        self._agreement.finish(_words(decoded.segments))
        offset = self._start / RATE
        for segment in decoded.segments:
            for word in segment.words:
                self._done_words.append(replace(word, start=word.start + offset, end=word.end + offset))
        return self._transcript(final=True)

    def _run(self, *, final: bool) -> Decoded:
        audio = np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.int16)
        self._pieces = [audio]
        if audio.size < _SHORTEST * RATE:
            return Decoded((), self._language)
        prompt = " ".join(self._done)[-_PROMPT_LETTERS:]
        decoded = self._decode(Request(to_float(audio), self._language, prompt, final))
        self._language = self._language or decoded.language
        self._confidence = decoded.confidence
        return decoded

    def _transcript(self, *, final: bool) -> Transcript:
        stable = " ".join((*self._done, *self._agreement.stable))
        text = " ".join((*self._done, *self._agreement.stable, *self._agreement.tail))
        words = tuple(self._done_words) if final else ()
        return Transcript(
            text, final=final, stable=len(stable), words=words, language=self._language, confidence=self._confidence
        )

    def _cut(self, segments: Sequence[Segment]) -> None:
        """Drop the audio of whole segments whose words are all stable, once there is much of it."""
        audio = self._pieces[0]
        if audio.size < _CUT_AFTER * RATE or len(segments) < 2:
            return
        count, end = 0, 0.0
        for segment in segments[:-1]:
            words = len(segment.text.split())
            if count + words > len(self._agreement.stable):
                break
            count, end = count + words, segment.end
        cut = min(audio.size, int(end * RATE))
        if cut <= 0:
            return
        self._done += self._agreement.stable[:count]
        self._agreement.forget(count)
        self._pieces, self._start = [audio[cut:]], self._start + cut


def _words(segments: Sequence[Segment]) -> list[str]:
    return [word for segment in segments for word in segment.text.split()]
