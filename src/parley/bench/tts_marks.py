"""How far a voice's word marks are from where its words sound, by a recogniser's account of its audio.

Each text is spoken through a worker, as an orchestrator has it; the recogniser is given the audio. Two judges:

- the embedded one is told the words and lays them over the sound, in steps of 10 ms (``ears=align``, the default);
- a Whisper model of the store (``ears=whisper-tiny.en``) says by itself which words it heard and when. Words that it
  heard otherwise, or gave no time, are left out; how far such a model is from the sound itself, it does not say.

``word marks after the sound`` asks nobody: the start of a word behind a silence, against the first sound there.
"""

from __future__ import annotations

import asyncio
import difflib
import re
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soxr

from parley.audio.frame import SAMPLE_RATE
from parley.bench.report import BenchOptions, Goal, Param, Row, row
from parley.bench.tts_processes import worker
from parley.errors import ConfigError
from parley.hints import command, install
from parley.store import StoreSettings, open_store, read_catalog
from parley.values import Voice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from numpy.typing import NDArray

    from parley.audio.frame import WordMark
    from parley.rpc.client import GrpcSynthesizer

ALIGN = "align"
TEXTS = (
    "The train leaves at half past nine, and the platform is on the other side of the hall.",
    "She sells sea shells by the sea shore.",
    "Good morning. Your order has left our house and will arrive on Friday before noon.",
    "Who lived in the old house at the end of the road before the river rose?",
    "Take a big black bag, and put all of the books into it.",
    "What was the dragon that guarded the mountain?",
    "Wonderful! I am so glad that you liked it.",
    "No, absolutely not. Never do that again!",
    "The quick brown fox jumps over the lazy dog.",
    "I would have to look at the map to be sure, but it is not far from here.",
    "When you are ready, turn left at the second corner and walk to the bridge.",
    "People have told this story for hundreds of years, and nobody knows how it began.",
)
_EARS_RATE = 16_000
_BLOCK = SAMPLE_RATE // 200
_AUDIBLE_DB = -32.0
_REST = 0.1
"""Seconds of silence in front of a sound that begins."""
_NEAR = 0.25
"""Seconds within which a mark may be meant by such a beginning."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One text, its sound at 48 kHz and the marks that came with it."""

    text: str
    pcm: NDArray[np.int16]
    marks: Sequence[WordMark]

    def words(self) -> list[str]:
        """The marked words as a recogniser writes them."""
        return [plain(self.text[mark.text_start : mark.text_end]) for mark in self.marks]

    def for_ears(self) -> NDArray[np.float32]:
        """The sound at a recogniser's rate."""
        return np.asarray(soxr.resample(self.pcm.astype(np.float32) / 32_768, SAMPLE_RATE, _EARS_RATE), np.float32)


Heard = tuple[str, float, float]
"""A word and the seconds from which to which it was heard."""


def plain(word: str) -> str:
    """Letters alone, small."""
    return re.sub(r"[^a-z0-9']", "", word.lower().replace("’", "'"))


def run(options: BenchOptions, folder: Path, models: Sequence[str]) -> list[Row]:
    """Rows for each of ``models`` of the packs in ``folder``."""
    ears = options.text("ears", ALIGN)
    judge = _Aligner() if ears == ALIGN else _Whisper(ears, options.text("store"))
    rows: list[Row] = []
    for model in models:
        spoken = asyncio.run(_speak(folder, model))
        apart = [pair for text in spoken for pair in differences(text, judge(text))]
        params: dict[str, Param] = {"model": model, "ears": ears, "words": len(apart)}
        goal = Goal(p95=120.0) if ears == ALIGN else None
        onsets = [late for text in spoken for late in after_the_sound(text)]
        rows += [
            row("word marks, starts apart", "ms", [abs(start) for start, _ in apart], params=params, goal=goal),
            row("word marks, ends apart", "ms", [abs(end) for _, end in apart], params=params),
            row("word marks, starts after the recogniser's", "ms", [start for start, _ in apart], params=params),
            row("word marks after the sound", "ms", onsets, params={"model": model}),
        ]
    return rows


async def _speak(folder: Path, model: str) -> list[Spoken]:
    async with worker(folder, model) as (_, synthesizer):
        return [await _spoken(synthesizer, model, number, text) for number, text in enumerate(TEXTS)]


async def _spoken(synthesizer: GrpcSynthesizer, model: str, number: int, text: str) -> Spoken:
    async def pieces() -> AsyncIterator[str]:
        yield text

    synthesis = synthesizer.synthesize(
        pieces(), voice=Voice(model=model), session_id="marks", utterance_id=f"u{number}"
    )
    async with aclosing(synthesis):
        frames = [frame async for frame in synthesis]
    pcm = np.frombuffer(b"".join(frame.pcm for frame in frames), "<i2")
    return Spoken(text, pcm, [mark for frame in frames for mark in frame.marks])


def differences(spoken: Spoken, heard: Sequence[Heard]) -> list[tuple[float, float]]:
    """Milliseconds by which starts and ends of marks come after those that were heard, for the words heard alike."""
    matcher = difflib.SequenceMatcher(None, spoken.words(), [word for word, _, _ in heard], autojunk=False)
    out: list[tuple[float, float]] = []
    for block in matcher.get_matching_blocks():
        for index in range(block.size):
            mark, (_, start, end) = spoken.marks[block.a + index], heard[block.b + index]
            if end > start:
                first, last = mark.start_sample / SAMPLE_RATE, mark.end_sample / SAMPLE_RATE
                out.append((1000 * (first - start), 1000 * (last - end)))
    return out


def after_the_sound(spoken: Spoken) -> list[float]:
    """Milliseconds by which marks come after the sounds that begin behind a silence."""
    blocks = spoken.pcm[: len(spoken.pcm) // _BLOCK * _BLOCK].reshape(-1, _BLOCK).astype(np.float64)
    level = np.sqrt(np.mean(blocks**2, axis=1))
    voiced = np.flatnonzero(level > level.max() * 10 ** (_AUDIBLE_DB / 20))
    gaps = np.diff(voiced, prepend=-SAMPLE_RATE) - 1
    begins = voiced[gaps * _BLOCK >= _REST * SAMPLE_RATE] * _BLOCK / SAMPLE_RATE
    out: list[float] = []
    for begin in begins:
        late = min((mark.start_sample / SAMPLE_RATE - begin for mark in spoken.marks), key=abs, default=_NEAR)
        if abs(late) < _NEAR:
            out.append(1000 * float(late))
    return out


class _Aligner:
    """The embedded recogniser, which is told the words."""

    def __init__(self) -> None:
        from pocketsphinx import Config, Decoder

        self._decoder = Decoder(Config(lm=None, loglevel="FATAL"))

    def __call__(self, spoken: Spoken) -> list[Heard]:
        decoder, words = self._decoder, " ".join(spoken.words())
        try:
            decoder.set_align_text(words)
        except RuntimeError as error:
            raise ConfigError(f"The embedded recogniser does not know all of the words of {words!r}.") from error
        decoder.start_utt()
        decoder.process_raw(np.rint(spoken.for_ears() * 32_767).astype("<i2").tobytes(), full_utt=True)
        decoder.end_utt()
        return [
            (part.word.partition("(")[0], part.start_frame / 100, (part.end_frame + 1) / 100)
            for part in decoder.seg()
            if not part.word.startswith(("<", "["))
        ]


class _Whisper:
    """A Whisper model of the store."""

    def __init__(self, model: str, store: str) -> None:
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise ConfigError(f"faster-whisper is missing; install it with: {install('whisper')}.") from error
        entry, shelf = read_catalog().find(model), open_store(StoreSettings(folder=store))
        if not shelf.has(entry):
            raise ConfigError(f"The model {model} is not here; fetch it with `{command(f'pull {model}')}`.")
        self._model = WhisperModel(str(shelf.path(entry)), device="cpu", compute_type="int8", cpu_threads=1)

    def __call__(self, spoken: Spoken) -> list[Heard]:
        segments, _ = self._model.transcribe(spoken.for_ears(), language="en", word_timestamps=True)
        return [(plain(word.word), word.start, word.end) for part in segments for word in part.words or ()]
