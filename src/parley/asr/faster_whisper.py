"""Whisper models on CTranslate2 (the faster-whisper package): many languages, CPU and GPU."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parley.asr.decoder import RATE
from parley.asr.incremental import Decoded, Request, Segment
from parley.asr.threads import ThreadRecognizer
from parley.asr.whisper_languages import whisper_code
from parley.asr.whisper_window import LONGEST, confidence, decode
from parley.errors import ConfigError
from parley.hints import install
from parley.values import TranscriptWord

if TYPE_CHECKING:
    from parley.asr.settings import AsrSettings

DEFAULT_MODEL = "base"
_LIBRARY_TOKENS = 250
"""Of half a minute: nobody says more, and a loop must end."""
_FILES = ("config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*")


def create(settings: AsrSettings) -> ThreadRecognizer:
    """The recogniser for these settings; nothing is loaded yet.

    ConfigError when the package is missing, or its model where nothing may be fetched.
    """
    try:
        import faster_whisper  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"The recogniser faster-whisper needs the package {error.name}; install it with: {install('whisper')}."
        ) from error
    if not settings.download:
        model_folder(settings.model or DEFAULT_MODEL, download=False)
    return ThreadRecognizer(WhisperEngine(settings), settings)


class WhisperEngine:
    """One model in memory, shared by every turn."""

    name = "faster-whisper"

    def __init__(self, settings: AsrSettings) -> None:
        self._settings = settings
        self._model: Any = None

    def load(self) -> None:
        """Find or fetch the model and read it."""
        if self._model is not None:
            return
        from faster_whisper import WhisperModel

        logging.getLogger("faster_whisper").setLevel(logging.WARNING)  # it writes a line for each decode
        settings = self._settings
        device = device_for(settings.device)
        folder = model_folder(settings.model or DEFAULT_MODEL, download=settings.download)
        try:
            self._model = WhisperModel(
                str(folder),
                device=device,
                compute_type=settings.compute_type or ("float16" if device == "cuda" else "int8"),
                cpu_threads=settings.threads,
                num_workers=settings.decoders,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise ConfigError(f"The whisper model in {folder} cannot be loaded on {device}: {error}.") from error

    def decode(self, request: Request) -> Decoded:
        """Transcribe one recording; the last time with word times, where they are asked for and can be found."""
        seconds = request.audio.size / RATE
        if seconds > LONGEST or (request.final and self._settings.word_times):
            return self._by_library(request)
        window = decode(
            self._model,
            request.audio,
            language=whisper_code(request.language) or None,
            prompt=request.prompt,
            hot_words=self._hot_words(request),
            beam=self._settings.beam_size,
            wanted=request.wanted,
        )
        segments = tuple(Segment(stretch.text, stretch.end) for stretch in window.stretches)
        return Decoded(segments, window.language, window.confidence, window.language_probability)

    def _hot_words(self, request: Request) -> tuple[str, ...]:
        """Those of the settings, then the turn's: of more than its prompt holds the model is told the first."""
        return (*self._settings.hot_words, *request.hot_words)

    def _by_library(self, request: Request) -> Decoded:
        decoded = self._transcribe(request, word_times=request.final and self._settings.word_times)
        if request.final and not decoded.segments:
            # The library drops a segment whose words it cannot place.
            return self._transcribe(request, word_times=False)
        return decoded

    def _transcribe(self, request: Request, *, word_times: bool) -> Decoded:
        found, info = self._model.transcribe(
            request.audio,
            language=whisper_code(request.language) or None,
            beam_size=self._settings.beam_size,
            temperature=0.0,
            condition_on_previous_text=False,
            initial_prompt=request.prompt or None,
            hotwords=" ".join(self._hot_words(request)) or None,
            word_timestamps=word_times,
            max_new_tokens=_LIBRARY_TOKENS,
        )
        segments = list(found)
        least = min((confidence(part.avg_logprob, part.no_speech_prob) for part in segments), default=1.0)
        return Decoded(
            tuple(_segment(segment) for segment in segments), info.language, least, info.language_probability
        )


def device_for(wanted: str) -> str:
    """ "cpu" or "cuda"; ConfigError when a GPU is insisted upon and there is none."""
    import ctranslate2

    count = ctranslate2.get_cuda_device_count()
    if wanted == "cuda" and not count:
        raise ConfigError("asr.device is cuda, but there is no GPU that can be used; set it to auto or cpu.")
    return "cpu" if wanted == "cpu" or not count else "cuda"


def model_folder(model: str, *, download: bool) -> Path:
    """Where a model lies: a folder as given, or a model of the hub by name, fetched with a progress bar if need be.

    ConfigError says in one sentence what is missing where it is neither here nor to be had.
    """
    if Path(model).is_dir():
        if not Path(model, "model.bin").is_file():
            raise ConfigError(f"The folder {model} holds no CTranslate2 whisper model: model.bin is missing.")
        return Path(model)
    if model.startswith((".", "/", "~")):
        raise ConfigError(f"There is no folder {model} for asr.model.")
    from faster_whisper.utils import _MODELS
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    repository = model if "/" in model else _MODELS.get(model)
    if repository is None:
        raise ConfigError(
            f'There is no whisper model "{model}"; choose one of {", ".join(sorted(_MODELS))}, or a folder.'
        )
    try:
        return Path(snapshot_download(repository, allow_patterns=list(_FILES), local_files_only=True))
    except LocalEntryNotFoundError:
        if not download:
            raise ConfigError(
                f"The whisper model {model} is not on this machine and asr.download is off; fetch one with "
                "'parley pull whisper-tiny.en' or 'parley pull whisper-base' and leave asr.engine at auto, or set "
                "asr.model to a folder that holds one."
            ) from None
    try:
        return Path(snapshot_download(repository, allow_patterns=list(_FILES)))
    except RepositoryNotFoundError:
        raise ConfigError(f"The model hub has no {repository}; check asr.model.") from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise ConfigError(
            f"The whisper model {model} is not on this machine and cannot be fetched ({type(error).__name__}); "
            "connect once, or set asr.model to a folder that holds one."
        ) from error


def _segment(segment: Any) -> Segment:
    words = tuple(
        TranscriptWord(word.word.strip(), float(word.start), float(word.end), float(word.probability))
        for word in segment.words or ()
    )
    return Segment(segment.text.strip(), float(segment.end), words)
