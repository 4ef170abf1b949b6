"""From engine output to frames: one pipeline for every family.

Engine audio of any rate and format goes in, piece by piece; exact 20 ms frames at 48 kHz with
word marks come out. What comes out depends on what went in alone, not on when or in which chunks,
so that a held utterance is byte-identical to one that was not.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from parley.audio.frame import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE, AudioFrame, WordMark
from parley.audio.levels import to_float, to_int16
from parley.audio.limiter import Limiter
from parley.audio.loudness import SPEECH_LUFS, LoudnessNormalizer
from parley.audio.resample import StreamingResampler
from parley.text.sentences import ends_sentence
from parley.worker.pacing import USUAL_PACE, PacedMarks
from parley.worker.words import words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from parley.text.speech.spoken import Spoken
    from parley.values import SynthesizedAudio

KEPT_SILENCE = 480
"""Samples (10 ms) that stay in front of the first sound."""
MOST_TRIMMED = SAMPLE_RATE
"""A silence longer than this in front of an utterance is meant."""
_SOUND = 10 ** (-55 / 20)


@dataclass(frozen=True, slots=True)
class FramingOptions:
    """What is done to an engine's audio besides resampling."""

    loudness: bool = True
    """Bring it to ``target_lufs``; also keeps peaks below -1 dBFS, for which 5 ms are held back."""
    target_lufs: float = SPEECH_LUFS
    initial_gain_db: float = 0.0
    """Where the gain begins: measured on the voice when it was loaded."""
    trim: bool = True
    """Cut the silence in front of the first sound."""
    sentence_pause: float = 0.0
    """Seconds of silence between a sentence and what follows it."""
    lead_out: float = 0.0
    """The same behind a clause that goes on, and behind the last sentence."""
    pace: float = USUAL_PACE
    """Seconds that a letter takes, for engines that do not say when their words sound."""
    native_marks: bool = False
    """The engine says so itself, sooner or later: nothing is worked out before it has."""


@dataclass(slots=True)
class _Piece:
    """The text being spoken and where its audio begins."""

    spoken: Spoken
    text_start: int
    start_sample: int
    trimmed: int = 0
    received: int = 0
    rate: int = SAMPLE_RATE
    marks: list[WordMark] = field(default_factory=list)
    marked: bool = False
    """Its engine gave marks, and before any were worked out."""
    paced: PacedMarks | None = None
    word: WordMark | None = None
    """A written word that is spoken as several, and not yet to its end."""


class Framer:
    """Turns one utterance's audio into frames. Not thread-safe; one caller at a time."""

    def __init__(self, utterance_id: str, options: FramingOptions) -> None:
        self._utterance_id = utterance_id
        self._options = options
        self._spoken = ""
        """The last piece."""
        self._normalizer = (
            LoudnessNormalizer(SAMPLE_RATE, target=options.target_lufs, initial_gain_db=options.initial_gain_db)
            if options.loudness
            else None
        )
        self._limiter = Limiter(SAMPLE_RATE) if options.loudness else None
        self._trimming = options.trim
        self._held: NDArray[Any] | None = None
        self._resampler: StreamingResampler | None = None
        self._piece: _Piece | None = None
        self._pcm = bytearray()
        self._samples = 0
        self._sequence = 0
        self._marks: list[WordMark] = []
        self._pace = options.pace * SAMPLE_RATE

    @property
    def sequence(self) -> int:
        """Number of the next frame."""
        return self._sequence

    def begin_piece(self, spoken: Spoken, text_start: int) -> None:
        """The next audio speaks this piece, whose written text stands at ``text_start`` in the utterance's text."""
        if self._samples:
            self._rest(self._options.sentence_pause if ends_sentence(self._spoken) else self._options.lead_out)
        self._spoken = spoken.text
        self._piece = _Piece(spoken, text_start, self._samples)

    def push(self, audio: SynthesizedAudio) -> list[AudioFrame]:
        """Take engine output; return the frames that became whole."""
        piece = self._piece
        assert piece is not None, "begin_piece() comes first"
        piece.rate = audio.sample_rate
        piece.received += audio.samples.size
        if piece.paced is None:
            piece.marks.extend(audio.marks)
            piece.marked = piece.marked or bool(audio.marks)
        samples = self._resampled(audio)
        if samples.size:
            self._append(samples)
        self._rebase(piece)
        self._work_out(piece)
        return self._frames()

    def end_piece(self) -> list[AudioFrame]:
        """All audio of the piece has come; return the frames that became whole."""
        piece = self._piece
        assert piece is not None, "begin_piece() comes first"
        if self._resampler is not None:
            self._append(self._resampler.flush())
            self._resampler = None
        if self._trimming and self._held is not None:
            self._release(self._held)
        self._rebase(piece)
        if not piece.marked:
            paced = piece.paced or self._paced(piece)
            for mark in paced.rest(self._samples):
                self._mark(piece, mark)
            self._pace = paced.measured(self._samples)
        if piece.word is not None:
            self._marks.append(piece.word)
        self._piece = None
        return self._frames()

    def _work_out(self, piece: _Piece) -> None:
        """No marks came with the piece's first sound: those whose sound is at hand go out with it."""
        if piece.marked or self._options.native_marks or self._samples <= piece.start_sample:
            return
        piece.paced = paced = piece.paced or self._paced(piece)
        for mark in paced.due(self._samples):
            self._mark(piece, mark)
        while piece.word is not None and (following := paced.next()) is not None:
            self._mark(piece, following)

    def _paced(self, piece: _Piece) -> PacedMarks:
        text = piece.spoken.text
        return PacedMarks(text, words(text), piece.start_sample, self._pace)

    def finish(self) -> list[AudioFrame]:
        """The utterance is complete: return its last frames; the very last is padded with silence and marked final."""
        if self._samples:
            self._rest(self._options.lead_out)
        if self._limiter is not None:
            self._pcm.extend(to_int16(self._limiter.flush()).tobytes())
        self._pcm.extend(bytes(FRAME_BYTES - len(self._pcm) % FRAME_BYTES))
        return self._frames(final=True)

    def _resampled(self, audio: SynthesizedAudio) -> NDArray[Any]:
        if audio.sample_rate == SAMPLE_RATE:
            return audio.samples
        if self._resampler is None or self._resampler.input_rate != audio.sample_rate:
            if self._resampler is not None:
                self._append(self._resampler.flush())
            self._resampler = StreamingResampler(audio.sample_rate, SAMPLE_RATE, dtype="float32")
        return self._resampler.process(to_float(audio.samples))

    def _append(self, samples: NDArray[Any]) -> None:
        if self._trimming:
            self._trim(samples)
        else:
            self._release(samples)

    def _trim(self, samples: NDArray[Any]) -> None:
        """Drop silence until the first sound; keep the last 10 ms of it."""
        piece = self._piece
        assert piece is not None
        loud = np.flatnonzero(np.abs(to_float(samples)) > _SOUND)
        joined = samples if self._held is None else np.concatenate((self._held, samples))
        if loud.size:
            first = joined.size - samples.size + int(loud[0])
            dropped = max(0, first - KEPT_SILENCE)
        else:
            dropped = max(0, joined.size - KEPT_SILENCE)
        piece.trimmed += dropped
        if loud.size or piece.trimmed >= MOST_TRIMMED:
            self._release(joined[dropped:])
        else:
            self._held = joined[dropped:]

    def _release(self, samples: NDArray[Any]) -> None:
        """Samples that will be heard: set their level and queue them as s16."""
        self._trimming, self._held = False, None
        self._samples += samples.size
        if self._normalizer is not None and self._limiter is not None:
            samples = self._limiter.process(self._normalizer.process(samples))
        self._pcm.extend(to_int16(samples).tobytes())

    def _rest(self, seconds: float) -> None:
        """A voice takes a breath."""
        if seconds:
            self._release(np.zeros(round(seconds * SAMPLE_RATE), np.int16))

    def _rebase(self, piece: _Piece) -> None:
        """Move marks from the engine's rate, text and start to the utterance's."""
        if self._trimming or not piece.marks:
            return
        scale, base = SAMPLE_RATE / piece.rate, piece.start_sample
        for mark in piece.marks:
            start = max(base, base + round(mark.start_sample * scale) - piece.trimmed)
            end = max(start, base + round(mark.end_sample * scale) - piece.trimmed)
            self._mark(piece, WordMark(mark.text_start, mark.text_end, start, end))
        piece.marks.clear()

    def _mark(self, piece: _Piece, mark: WordMark) -> None:
        """Note a spoken word by the written one that it stands for; all the words of "2026" make one mark."""
        first, last = piece.spoken.written(mark.text_start, mark.text_end)
        word = WordMark(piece.text_start + first, piece.text_start + last, mark.start_sample, mark.end_sample)
        held = piece.word
        if held is not None and held.text_start == word.text_start:
            word = replace(held, text_end=max(held.text_end, word.text_end), end_sample=mark.end_sample)
        elif held is not None:
            self._marks.append(held)
        piece.word = word if piece.spoken.goes_on(mark.text_end) else None
        if piece.word is None:
            self._marks.append(word)

    def _frames(self, *, final: bool = False) -> list[AudioFrame]:
        count = min(len(self._pcm), self._free()) // FRAME_BYTES
        if not count:
            return []
        pcm = bytes(self._pcm[: count * FRAME_BYTES])
        del self._pcm[: count * FRAME_BYTES]
        return [
            self._frame(pcm[index * FRAME_BYTES : (index + 1) * FRAME_BYTES], final and index == count - 1)
            for index in range(count)
        ]

    def _free(self) -> int:
        """Bytes that may leave: while an engine has not said all of a written word, its sound waits for its mark."""
        piece = self._piece
        if piece is None or piece.word is None or not self._options.native_marks:
            return len(self._pcm)
        return max(0, piece.word.start_sample - self._sequence * FRAME_SAMPLES) * 2

    def _frame(self, pcm: bytes, final: bool) -> AudioFrame:
        start = self._sequence * FRAME_SAMPLES
        due: tuple[WordMark, ...] = ()
        if self._marks:
            end = start + FRAME_SAMPLES
            due = tuple(mark for mark in self._marks if final or mark.start_sample < end)
            self._marks = [] if final else [mark for mark in self._marks if mark.start_sample >= end]
        frame = AudioFrame(pcm, SAMPLE_RATE, self._utterance_id, self._sequence, start, due, final)
        self._sequence += 1
        return frame
