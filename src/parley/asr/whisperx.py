"""WhisperX: whisper with batched inference and word times from forced alignment.

Its dependencies exclude those of other engines, so it lives in an environment of its own:
``asr.python`` names that environment's interpreter, and the decoder processes run there.
"""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parley.asr.decoder import DecoderSpec
from parley.asr.incremental import Decoded, IncrementalTurn, Request, Segment
from parley.asr.occasion import PartialBudget
from parley.asr.processes import ProcessRecognizer
from parley.asr.whisper_languages import whisper_code
from parley.errors import ConfigError
from parley.values import Transcript, TranscriptWord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley.asr.settings import AsrSettings

DEFAULT_MODEL = "base"
_BATCH = 8


def create(settings: AsrSettings) -> ProcessRecognizer:
    """The recogniser for these settings; nothing is loaded yet. ConfigError when no environment has whisperx."""
    if settings.python and not Path(settings.python).is_file():
        raise ConfigError(f"There is no interpreter {settings.python} for asr.python.")
    if not settings.python and find_spec("whisperx") is None:
        raise ConfigError(
            "The recogniser whisperx needs an environment of its own: make one with `uv venv` and "
            "`uv pip install whisperx`, and set asr.python to its interpreter."
        )
    arguments = {
        "model": settings.model or DEFAULT_MODEL,
        "device": settings.device,
        "compute_type": settings.compute_type,
        "threads": settings.threads,
        "download": settings.download,
        "hot_words": list(settings.hot_words),
        "interval": settings.partial_interval,
        "share": settings.partials_cpu,
    }
    spec = DecoderSpec(
        "whisperx",
        "parley.asr.whisperx:WhisperxDecoder",
        arguments,
        python=settings.python,
        copies=True,
        settles=True,
    )
    return ProcessRecognizer(spec, settings)


class WhisperxDecoder:
    """One model, one turn at a time, decoded again as it grows; word times with the final transcript."""

    memory = ""
    """Each recording is heard afresh."""

    def __init__(
        self,
        model: str,
        device: str = "auto",
        compute_type: str = "",
        threads: int = 1,
        download: bool = True,
        interval: float = 0.3,
        share: float = 0.3,
        hot_words: Sequence[str] = (),
    ) -> None:
        self._name, self._device, self._compute_type = model, device, compute_type
        self._threads, self._download = threads, download
        self._budget = PartialBudget(interval, share)
        self._cost = 0.0
        self._hot_words = " ".join(hot_words)
        self._model: Any = None
        self._aligners: dict[str, tuple[Any, Any] | None] = {}
        self._turn: IncrementalTurn | None = None
        self._decoded_at, self._settled_at = 0, -1

    def load(self) -> None:
        """Import the library and read the model. ConfigError says what is missing."""
        try:
            import torch
            import whisperx
        except ImportError as error:
            raise ConfigError(
                f"whisperx cannot be imported ({error}); asr.python must name its environment."
            ) from error
        if self._device == "auto":
            self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._library = whisperx
        self._model = self._read()

    def start(self, language: str, memory: str) -> None:
        """Begin a turn."""
        self._turn = IncrementalTurn(self._decode, whisper_code(language))
        self._decoded_at, self._settled_at = 0, -1

    def feed(self, pcm: bytes) -> Transcript | None:
        """Hear more; decode as often as the budget allows."""
        assert self._turn is not None
        self._turn.add(pcm)
        if self._turn.samples - self._decoded_at < self._budget.gap(self._cost, 1):
            return None
        self._decoded_at, began = self._turn.samples, time.process_time()
        partial = self._turn.partial()
        self._cost = time.process_time() - began
        return partial if partial.text else None

    def pause(self) -> Transcript:
        """Decode all that was said, with care."""
        assert self._turn is not None
        self._decoded_at = self._settled_at = self._turn.samples
        return self._turn.pause()

    def finish(self) -> Transcript:
        """End the turn."""
        assert self._turn is not None
        if self._settled_at == self._turn.samples:
            return self._turn.conclude()
        return self._turn.final()

    def _read(self) -> Any:
        try:
            return self._library.load_model(
                self._name,
                self._device,
                compute_type=self._compute_type or ("float16" if self._device == "cuda" else "int8"),
                asr_options={"hotwords": self._hot_words or None},
                vad_method="silero",
                threads=self._threads or 4,
                local_files_only=not self._download,
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise ConfigError(f"The whisperx model {self._name} cannot be loaded: {error}.") from error

    def _decode(self, request: Request) -> Decoded:
        result = self._model.transcribe(request.audio, batch_size=_BATCH, language=request.language or None)
        language = str(result.get("language", request.language))
        segments = result["segments"]
        if request.final and segments:
            segments = self._aligned(segments, request, language)
        return Decoded(tuple(_segment(segment) for segment in segments), language)

    def _aligned(self, segments: Any, request: Request, language: str) -> Any:
        """The same segments with word times; as they are where there is no aligner for the language."""
        if language not in self._aligners:
            try:
                self._aligners[language] = self._library.load_align_model(language, self._device)
            except (OSError, RuntimeError, ValueError):
                self._aligners[language] = None
        aligner = self._aligners[language]
        if aligner is None:
            return segments
        return self._library.align(segments, *aligner, request.audio, self._device)["segments"]


def _segment(segment: Any) -> Segment:
    words = tuple(
        TranscriptWord(word["word"], float(word["start"]), float(word["end"]), float(word.get("score", 1.0)))
        for word in segment.get("words", ())
        if "start" in word and "end" in word
    )
    return Segment(str(segment["text"]).strip(), float(segment["end"]), words)
