"""What runs in WhisperX's own environment: one model, one turn at a time. Nothing is fetched unless it is allowed."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from parley.asr.decoder import RATE
from parley.asr.incremental import Decoded, IncrementalTurn, Request, Segment
from parley.asr.occasion import PartialBudget
from parley.asr.whisper_languages import whisper_code
from parley.asr.whisper_window import confidence
from parley.errors import ConfigError
from parley.values import Transcript, TranscriptWord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_log = logging.getLogger(__name__)
_BATCH = 8
_SPEECH = 0.5
"""Probability from which the voice detector that the library brings hears speech."""
_GAP_MS = 100
"""Shortest silence between two stretches of it."""
_PAD_MS = 200
"""Kept around it: a first word is timed from the silence that is left before it."""


class WhisperxDecoder:
    """Decodes a turn again as it grows; word times with the final transcript.

    They come from a model that aligns words with sound where there is one for the language on this machine, else
    from whisper's own attention.
    """

    memory = ""
    """Each recording is heard afresh."""

    def __init__(
        self,
        model: str,
        device: str = "auto",
        compute_type: str = "",
        beam_size: int = 1,
        threads: int = 1,
        download: bool = False,
        interval: float = 0.3,
        share: float = 0.3,
        hot_words: Sequence[str] = (),
        language: str = "",
    ) -> None:
        self._name, self._device, self._compute_type = model, device, compute_type
        self._beam, self._threads, self._download = beam_size, threads, download
        self._budget = PartialBudget(interval, share)
        self._cost = 0.0
        self._hot_words, self._language = tuple(hot_words), whisper_code(language)
        self._model: Any = None
        self._aligners = Aligners(download)
        self._turn: IncrementalTurn | None = None
        self._decoded_at, self._settled_at = 0, -1

    def load(self) -> None:
        """Import the library and read the model. ConfigError says what is missing."""
        # Libraries beneath it would report their use to their makers.
        os.environ.update(PYANNOTE_METRICS_ENABLED="false", HF_HUB_DISABLE_TELEMETRY="1")
        if not self._download:
            os.environ["HF_HUB_OFFLINE"] = "1"
        import torch
        import whisperx

        if self._device == "auto":
            self._device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.set_num_threads(self._threads or 4)
        self._library, self._detector = whisperx, _voice_detector()
        self._model = self._read()
        self._warm_up()

    def _warm_up(self) -> None:
        """Decode a second of nothing as if it were speech: the first time takes seconds, and nobody waits for it now.

        What aligns words is loaded, too, unless it would have to be fetched for a language that nobody named.
        """
        language = self._language or "en"
        align = bool(self._language) or not self._download
        if align:
            self._aligners.find(language, self._device)
        self._detector.believes_all = True
        self._decode(Request(np.zeros(RATE, np.float32), language, "", final=align))
        self._detector.believes_all = False

    def start(self, language: str, memory: str, hot_words: Sequence[str] = ()) -> None:
        """Begin a turn; what aligns its language is looked for meanwhile."""
        if language:
            self._aligners.wanted(whisper_code(language), self._device)
        self._turn = IncrementalTurn(self._decode, whisper_code(language), hot_words)
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
            with contextlib.redirect_stdout(io.StringIO()):  # it prints which voice detector it was given
                return self._library.load_model(
                    self._name,
                    self._device,
                    compute_type=self._compute_type or ("float16" if self._device == "cuda" else "int8"),
                    asr_options={"hotwords": " ".join(self._hot_words) or None, "beam_size": self._beam},
                    vad_model=self._detector,
                    threads=self._threads or 4,
                    local_files_only=not self._download,
                )
        except (OSError, RuntimeError, ValueError) as error:
            raise ConfigError(
                f"The whisper model {self._name} cannot be loaded on {self._device} "
                f"({str(error).rstrip('.') or type(error).__name__}); name one that is here: asr.model."
            ) from error

    def _decode(self, request: Request) -> Decoded:
        words = " ".join((*self._hot_words, *request.hot_words))
        # All copies have the one model, and one of them decodes at a time.
        self._model.options = replace(self._model.options, hotwords=words or None)
        result = self._model.transcribe(request.audio, batch_size=_BATCH, language=request.language or None)
        language, segments = str(result.get("language", request.language)), result["segments"]
        believed = min((confidence(float(segment["avg_logprob"]), 0.0) for segment in segments), default=1.0)
        if request.final and segments:
            segments = self._with_words(segments, request, language)
        return Decoded(tuple(_segment(segment) for segment in segments), language, believed)

    def _with_words(self, segments: Any, request: Request, language: str) -> Any:
        """The same segments with the times of their words."""
        aligner = self._aligners.wanted(language, self._device)
        if aligner is not None:
            return self._library.align(segments, *aligner, request.audio, self._device)["segments"]
        return [{**segment, "words": self._own_times(segment, request, language)} for segment in segments]

    def _own_times(self, segment: Any, request: Request, language: str) -> list[dict[str, Any]]:
        """When whisper looked where, for each word of a segment that it wrote."""
        from faster_whisper.audio import pad_or_trim
        from faster_whisper.tokenizer import Tokenizer
        from faster_whisper.transcribe import merge_punctuations

        whisper, options = self._model.model, self._model.options
        start = float(segment["start"])
        features = whisper.feature_extractor(request.audio[int(start * RATE) : int(float(segment["end"]) * RATE)])
        tokenizer = Tokenizer(whisper.hf_tokenizer, whisper.model.is_multilingual, "transcribe", language)
        tokens = tokenizer.encode(str(segment["text"]))
        heard = whisper.encode(pad_or_trim(features))
        (words,) = whisper.find_alignment(tokenizer, [tokens], heard, features.shape[-1]) or ([],)
        merge_punctuations(words, options.prepend_punctuations, options.append_punctuations)
        return [
            {
                "word": word["word"].strip(),
                "start": start + word["start"],
                "end": start + word["end"],
                "score": word["probability"],
            }
            for word in words
            if word["word"].strip()
        ]


class Aligners:
    """The library's own model for each language, which aligns words with sound; those that are here, or may be fetched.

    One is looked for beside the turns: it may take longer than a turn can wait.
    """

    def __init__(self, download: bool) -> None:
        self._download = download
        self._found: dict[str, tuple[Any, Any] | None] = {}
        self._one_at_a_time = threading.Lock()

    def __copy__(self) -> Aligners:
        return self

    def wanted(self, language: str, device: str) -> tuple[Any, Any] | None:
        """What aligns a language; None where nothing does, or as long as it is looked for."""
        if language not in self._found:
            self._found[language] = None
            threading.Thread(target=self.find, args=(language, device), name="aligner", daemon=True).start()
        return self._found[language]

    def find(self, language: str, device: str) -> None:
        """Load it, if there is one; says so where there is none."""
        from whisperx import alignment

        alignment.nltk_load = _unsplit  # its own fetches rules for sentences, and a turn needs none
        self._found.setdefault(language, None)
        try:
            with self._one_at_a_time, contextlib.nullcontext() if self._download else _nothing_fetched():
                self._found[language] = alignment.load_align_model(
                    language, device, model_cache_only=not self._download
                )
        except (OSError, RuntimeError, ValueError) as error:
            _log.warning(
                "no model that aligns words is here for the language %s (%s): word times are whisper's own",
                language, str(error).splitlines()[0] if str(error) else type(error).__name__,
            )  # fmt: skip


class _Unsplit:
    """In place of rules for sentences: a text is one of them."""

    def span_tokenize(self, text: str) -> Iterator[tuple[int, int]]:
        yield 0, len(text)


def _unsplit(path: str) -> _Unsplit:
    return _Unsplit()


@contextlib.contextmanager
def _nothing_fetched() -> Iterator[None]:
    """What is on this machine is found; what would be downloaded is an OSError."""
    import torch.hub as hub

    def refuse(url: str, *_: object, **__: object) -> None:
        raise OSError("asr.download is off")

    fetch, hub.download_url_to_file = hub.download_url_to_file, refuse
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # it announces what it is about to download
            yield
    finally:
        hub.download_url_to_file = fetch


def _voice_detector() -> Any:
    """Silero's, from the package that the library stands on: the one of its own choice would be fetched."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps
    from whisperx.diarize import Segment as Stretch
    from whisperx.vads import Vad

    options = VadOptions(threshold=_SPEECH, min_silence_duration_ms=_GAP_MS, speech_pad_ms=_PAD_MS)

    class Detector(Vad):  # type: ignore[misc]
        believes_all = False

        @staticmethod
        def preprocess_audio(audio: Any) -> Any:
            return audio

        def __call__(self, audio: Any, **_: object) -> list[Any]:
            waveform = audio["waveform"]
            found = get_speech_timestamps(waveform, options)
            if self.believes_all:
                return [Stretch(0.0, len(waveform) / RATE, "")]
            return [Stretch(each["start"] / RATE, each["end"] / RATE, "") for each in found]

        @staticmethod
        def merge_chunks(segments: Any, chunk_size: Any, onset: float = _SPEECH, offset: Any = None) -> Any:
            return Vad.merge_chunks(segments, chunk_size, onset, offset) if segments else []

    return Detector(_SPEECH)


def _segment(segment: Any) -> Segment:
    words = tuple(
        TranscriptWord(word["word"], float(word["start"]), float(word["end"]), float(word.get("score", 1.0)))
        for word in segment.get("words", ())
        if "start" in word and "end" in word
    )
    return Segment(str(segment["text"]).strip(), float(segment["end"]), words)
