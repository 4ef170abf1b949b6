"""Test tones: the instrument of tests and benchmarks.

Every word of the text becomes a stretch of tone of a known length, so that audio positions can be
computed by hand. Plain tones are one continuous sine wave. With ``words`` each word has a pair of
frequencies of its own, and :func:`decode_words` turns a recording back into the words it holds:
what was lost, repeated or reordered on the way can be read off.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from parley.audio.frame import FRAME_SAMPLES, SAMPLE_RATE, WordMark
from parley.values import SynthesizedAudio, Voice
from parley.worker.pack import PackFile, PackOption, VoicePack
from parley.worker.words import words

if TYPE_CHECKING:
    from numpy.typing import NDArray

AMPLITUDE = 0.25
"""About -16 LUFS: as loud as the other voices after their loudness has been set."""
GRID = 2_400
"""Word lengths are multiples of 50 ms, a whole number of periods of any multiple of 20 Hz."""
WORD_TONE = 9_600
WORD_GAP = 2_400
"""With ``words``: 200 ms of tone and 50 ms of silence for every word, at speed 1."""
CODES = 1_024
"""Different words that can be told apart."""
_LOW, _LOW_STEP, _HIGH, _HIGH_STEP, _BANK = 400.0, 40.0, 2_000.0, 80.0, 32
_CHUNK = 5 * FRAME_SAMPLES


def word_code(word: str) -> int:
    """The number, below ``CODES``, that a word sounds as: a number's own value, else a checksum."""
    if word.isdecimal():
        return int(word) % CODES
    return zlib.crc32(word.casefold().encode()) % CODES


def word_frequencies(code: int) -> tuple[float, float]:
    """The two frequencies in Hz that a code sounds as."""
    return _LOW + _LOW_STEP * (code // _BANK), _HIGH + _HIGH_STEP * (code % _BANK)


@dataclass(frozen=True, slots=True)
class DecodedWord:
    """One word found in a recording."""

    code: int
    """See :func:`word_code`."""
    text: str
    """The word of the vocabulary with this code; empty when none has it."""
    start_sample: int
    end_sample: int


def decode_words(samples: NDArray[np.int16], vocabulary: Sequence[str] = ()) -> list[DecodedWord]:
    """Find the words in a 48 kHz recording of a tone voice with ``words``, in the order of their sound.

    A word cut off to less than 30 ms is not reported.
    """
    known = {word_code(word): word for word in vocabulary}
    found = []
    for start, end in _loud_stretches(samples):
        code = _code_of(samples[start:end].astype(np.float64))
        found.append(DecodedWord(code, known.get(code, ""), start, end))
    return found


def _loud_stretches(samples: NDArray[np.int16]) -> list[tuple[int, int]]:
    """Spans of sound: blocks of 2.5 ms above -40 dBFS, gaps of less than 10 ms bridged."""
    block = 120
    count = len(samples) // block
    peaks = np.abs(samples[: count * block].astype(np.int32)).reshape(count, block).max(axis=1) > 328
    edges = np.flatnonzero(np.diff(np.concatenate(([0], peaks.view(np.int8), [0]))))
    spans: list[tuple[int, int]] = []
    for start, end in zip(edges[::2] * block, edges[1::2] * block, strict=True):
        if spans and start - spans[-1][1] < 480:
            spans[-1] = (spans[-1][0], int(end))
        else:
            spans.append((int(start), int(end)))
    return [(start, end) for start, end in spans if end - start >= 1_440]


def _code_of(tone: NDArray[np.float64]) -> int:
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(tone.size), 48_000))
    rows = [spectrum[round(_LOW + _LOW_STEP * i)] for i in range(_BANK)]
    columns = [spectrum[round(_HIGH + _HIGH_STEP * i)] for i in range(_BANK)]
    return int(np.argmax(rows)) * _BANK + int(np.argmax(columns))


class ToneAdapter:
    """A voice that hums. Deterministic: the same text gives the same samples."""

    files: ClassVar[Mapping[str, PackFile]] = {}
    options: ClassVar[Mapping[str, PackOption]] = {
        "frequency": PackOption("Pitch in Hz; multiples of 20 sound without a click between pieces.", 440.0, 20, 8_000),
        "words": PackOption("Give every word its own pair of frequencies, so that recordings can be decoded.", False),
        "pace": PackOption("Seconds of audio made per second; 0 makes it as fast as it is asked for.", 0.0, 0, 1_000),
        "delay_ms": PackOption("Wait before the first audio of each text, as a slow engine would.", 0.0, 0, 60_000),
        "load_ms": PackOption("Time that loading takes, as a big model would.", 0.0, 0, 600_000),
    }
    calibrated: ClassVar[bool] = True
    """Its loudness is right as it comes."""
    verbatim: ClassVar[bool] = True
    """A word of the text is a tone, and a number stays one word."""

    def __init__(self, pack: VoicePack) -> None:
        self.info = pack.info
        self._options = pack.filled(self.options)
        self._table: NDArray[np.int16] = np.zeros(0, np.int16)

    def load(self) -> None:
        """Compute one 50 ms period of the tone and a chunk more, so that any chunk is a slice of it."""
        if self._options["load_ms"]:
            threading.Event().wait(self._options["load_ms"] / 1000)
        positions = np.arange(GRID + _CHUNK)
        wave = AMPLITUDE * np.sin(2 * np.pi * self._options["frequency"] * positions / SAMPLE_RATE)
        self._table = np.rint(wave * 32_767).astype(np.int16)

    def unload(self) -> None:
        self._table = np.zeros(0, np.int16)

    def synthesize(self, text: str, *, voice: Voice) -> Generator[SynthesizedAudio, None, None]:
        """Yield 20 ms, then chunks of up to 100 ms. A word's mark comes with the chunk that it begins in."""
        spoken = self._spell(text, voice.speed)
        pace = _Pace(self._options["pace"], self._options["delay_ms"] / 1000)
        position, size = 0, FRAME_SAMPLES
        pending = list(spoken.marks)
        while position < spoken.samples:
            end = min(position + size, spoken.samples)
            pace.wait(end)
            marks = tuple(mark for mark in pending if mark.start_sample < end)
            del pending[: len(marks)]
            yield SynthesizedAudio(spoken.render(position, end), SAMPLE_RATE, marks)
            position, size = end, _CHUNK

    def _spell(self, text: str, speed: float) -> _Spoken:
        if self._options["words"]:
            return _Spoken.of_words(text, speed)
        return _Spoken.of_tone(text, speed, self._table)


@dataclass(slots=True)
class _Spoken:
    """A text as tones: where each word stands, and the samples on demand."""

    marks: list[WordMark]
    samples: int
    table: NDArray[np.int16] | None = None
    codes: tuple[int, ...] = ()
    tone: int = 0
    slot: int = 1

    @classmethod
    def of_tone(cls, text: str, speed: float, table: NDArray[np.int16]) -> _Spoken:
        marks, position = [], 0
        for start, end in words(text):
            length = GRID * max(2, round((end - start + 1) / speed))
            marks.append(WordMark(start, end, position, position + length))
            position += length
        return cls(marks, position, table=table)

    @classmethod
    def of_words(cls, text: str, speed: float) -> _Spoken:
        spans = words(text)
        tone, gap = round(WORD_TONE / speed), round(WORD_GAP / speed)
        slot = tone + gap
        marks = [WordMark(start, end, i * slot, i * slot + slot) for i, (start, end) in enumerate(spans)]
        codes = tuple(word_code(text[start:end]) for start, end in spans)
        return cls(marks, len(spans) * slot, codes=codes, tone=tone, slot=slot)

    def render(self, start: int, end: int) -> NDArray[np.int16]:
        if self.table is not None:
            phase = start % GRID
            return self.table[phase : phase + end - start]
        parts, position = [], start
        while position < end:
            word, offset = divmod(position, self.slot)
            stop = min(end, (word + 1) * self.slot)
            parts.append(_word_tone(self.codes[word], offset, offset + stop - position, self.tone))
            position = stop
        return np.concatenate(parts)


def _word_tone(code: int, start: int, end: int, tone: int) -> NDArray[np.int16]:
    """Samples ``start`` to ``end`` of one word's slot: two sines with 5 ms ramps, then silence."""
    positions = np.arange(start, end)
    low, high = word_frequencies(code)
    angle = 2 * np.pi * positions / SAMPLE_RATE
    ramp = np.clip(np.minimum(positions + 1, tone - positions) / 240, 0, 1)
    wave = AMPLITUDE * 0.7 * ramp * (np.sin(low * angle) + np.sin(high * angle))
    samples: NDArray[np.int16] = np.rint(wave * 32_767).astype(np.int16)
    return samples


class _Pace:
    """Holds the engine's thread until the audio made so far is due."""

    def __init__(self, rate: float, delay: float) -> None:
        self._rate, self._delay = rate, delay
        self._start = time.perf_counter()
        self._never = threading.Event()

    def wait(self, samples: int) -> None:
        due = self._delay + (samples / SAMPLE_RATE / self._rate if self._rate else 0.0)
        left = self._start + due - time.perf_counter()
        if left > 0:
            self._never.wait(left)
