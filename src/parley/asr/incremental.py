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
_SURE_LANGUAGE, _ENOUGH_FOR_LANGUAGE = 0.8, 1.0
"""Probability, and seconds of audio with its silence, from which a detected language holds for the rest of a turn."""


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
    """Probably the last time: take care, and give word times."""
    wanted: Callable[[], bool] = lambda: True
    """False once nobody waits for this any more: between two steps the engine may raise :class:`Unwanted`."""
    hot_words: Sequence[str] = ()
    """Likely to be said in this turn, beside those of the engine's own settings."""


class Unwanted(Exception):
    """A decoding was broken off because nobody waits for it any more."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What an engine made of it."""

    segments: tuple[Segment, ...]
    language: str
    confidence: float = 1.0
    """How far the words can be believed, 0 to 1."""
    language_probability: float = 1.0
    """How sure a language that was detected is."""


class IncrementalTurn:
    """One turn's audio and what is understood of it so far."""

    def __init__(self, decode: Callable[[Request], Decoded], language: str, hot_words: Sequence[str] = ()) -> None:
        self._decode, self._language, self._hot_words = decode, language, tuple(hot_words)
        self._newest = Decoded((), language)
        self._attempt = object()
        self._pieces: list[NDArray[np.int16]] = []
        self._start = 0
        self._agreement = LocalAgreement()
        self._done: list[str] = []
        self._confidence = 1.0
        self.samples = 0
        """Heard so far."""
        self.decoded = 0
        """How much of it the newest transcript is of."""

    def add(self, pcm: bytes) -> None:
        """More audio: s16le at 16 kHz."""
        self._pieces.append(samples_of(pcm))
        self.samples += len(pcm) // 2

    def partial(self) -> Transcript:
        """Decode what there is. Blocking. Raises Unwanted when it was broken off; it may be tried again."""
        decoded = self._run(final=False)
        self._agreement.update(_words(decoded.segments))
        transcript = self._transcript(final=False)
        self._cut(decoded.segments)
        return transcript

    def pause(self) -> Transcript:
        """Decode what there is as if it were all: perhaps nothing more is said. Blocking, Unwanted as above."""
        self._agreement.update(_words(self._run(final=True).segments))
        return self._transcript(final=False)

    def final(self) -> Transcript:
        """Decode the turn's end. Blocking, Unwanted as above."""
        self.pause()
        return self.conclude()

    def conclude(self) -> Transcript:
        """Nothing was said after what :meth:`pause` decoded: that is the turn."""
        self._agreement.finish()
        return self._transcript(final=True)

    def drop(self) -> None:
        """Nobody waits for what is being decoded. May be called from another thread."""
        self._attempt = object()

    @property
    def known_language(self) -> str:
        """What was asked for, or detected with certainty; else empty."""
        return self._language

    def _run(self, *, final: bool) -> Decoded:
        attempt = self._attempt = object()
        audio = np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.int16)
        self._pieces = [audio]
        decoded = Decoded((), self._language)
        if audio.size >= _SHORTEST * RATE:
            prompt = " ".join(self._done)[-_PROMPT_LETTERS:]
            wanted = lambda: self._attempt is attempt  # noqa: E731
            request = Request(to_float(audio), self._language, prompt, final, wanted, self._hot_words)
            decoded = self._decode(request)
            self._confidence = decoded.confidence
            sure = decoded.language_probability >= _SURE_LANGUAGE and audio.size >= _ENOUGH_FOR_LANGUAGE * RATE
            if sure and not self._language:
                self._language = decoded.language
        self._newest = decoded
        self.decoded = self.samples
        return decoded

    def _transcript(self, *, final: bool) -> Transcript:
        stable = " ".join((*self._done, *self._agreement.stable))
        text = " ".join((*self._done, *self._agreement.stable, *self._agreement.tail))
        offset = self._start / RATE
        words = (word for segment in self._newest.segments for word in segment.words)
        return Transcript(
            text,
            final=final,
            stable=len(stable),
            words=tuple(replace(word, start=word.start + offset, end=word.end + offset) for word in words),
            language=self._language or self._newest.language,
            confidence=self._confidence,
            covered=self.decoded / RATE,
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
