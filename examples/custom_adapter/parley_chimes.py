"""A family of voices from outside: every word is a bell, its pitch is the word's length."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from parley.audio.frame import WordMark
from parley.errors import ConfigError, EngineError, NotFound
from parley.values import ModelInfo, SynthesizedAudio, Voice
from parley.worker.pack import PackFile, PackOption, VoicePack, no_such_speaker
from parley.worker.words import words

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

RATE = 24_000


class ChimesAdapter:
    """Rings. A pack may hold a tuning: a text file with the frequency of the lowest bell."""

    # Read before any engine is started: unknown files and options in metadata.yaml are named with these.
    files: ClassVar[Mapping[str, PackFile]] = {
        "tuning": PackFile("the frequency of the lowest bell in Hz", "tuning.txt", required=False)
    }
    options: ClassVar[Mapping[str, PackOption]] = {
        "ring": PackOption("How long a bell rings, in seconds.", 0.3, ge=0.05, le=2)
    }
    # One loaded model may speak several texts in turns, because all state is in the generator.
    concurrency: ClassVar[int] = 8

    def __init__(self, pack: VoicePack) -> None:
        """Keep the pack; import and open nothing yet."""
        self.info: ModelInfo = pack.info
        self._pack = pack
        self._lowest: float | None = None

    def load(self) -> None:
        """Import the engine (here: none) and read the files. Errors are ConfigErrors that name the file."""
        tuning = self._pack.find("tuning", self.files["tuning"])
        try:
            self._lowest = float(tuning.read_text("utf-8")) if tuning else 440.0
        except ValueError as error:
            raise ConfigError(f"{tuning} must hold a frequency in Hz such as 440, and nothing else.") from error

    def synthesize(self, text: str, *, voice: Voice) -> Generator[SynthesizedAudio, None, None]:
        """Yield audio as it is made; whoever closes the generator cancels between two yields.

        Marks are counted in samples of this engine from the start of this text.
        """
        if self._lowest is None:
            raise EngineError(f"The model {self.info.model_id} is not loaded.")
        if voice.speaker and voice.speaker not in self.info.speakers:
            raise NotFound(no_such_speaker(self.info.model_id, voice.speaker, self.info.speakers))
        position = 0
        for start, end in words(text):
            bell = self._bell(end - start, voice.speed)
            mark = WordMark(start, end, position, position + bell.size)
            position += bell.size
            yield SynthesizedAudio(bell, RATE, (mark,))

    def unload(self) -> None:
        """Give the memory back; may be called twice."""
        self._lowest = None

    def _bell(self, step: int, speed: float) -> np.ndarray:
        time = np.arange(round(self._pack.options.get("ring", 0.3) * RATE / speed)) / RATE
        frequency = (self._lowest or 440.0) * 2 ** (step / 12)
        return (0.3 * np.exp(-6 * time) * np.sin(2 * np.pi * frequency * time)).astype(np.float32)
