"""NeMo's recognisers on onnxruntime (the onnx-asr package): Parakeet, Canary, FastConformer; CPU and GPU.

They know whole recordings only, so a turn is decoded again as it grows, as with Whisper.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parley.asr.decoder import RATE, UNTOLD
from parley.asr.incremental import Decoded, Request, Segment, Unwanted
from parley.asr.pieces import confidence, words_of
from parley.asr.threads import ThreadRecognizer
from parley.errors import ConfigError, EngineError
from parley.hints import install

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley.asr.settings import AsrSettings
    from parley.values import TranscriptWord

_FILES = {
    "nemo-conformer-ctc": ("model",),
    "nemo-conformer-rnnt": ("encoder-model", "decoder_joint-model"),
    "nemo-conformer-tdt": ("encoder-model", "decoder_joint-model"),
    "nemo-conformer-aed": ("encoder-model", "decoder-model"),
}
"""The families that are run here, and their graphs."""
_TOLD_LANGUAGE = "nemo-conformer-aed"
_SENTENCE_END = (".", "?", "!")
_PAUSE, _LONGEST = 0.6, 8.0
"""Seconds without a word, and of words, after which another segment begins: what is certain is not decoded again."""


def create(settings: AsrSettings) -> ThreadRecognizer:
    """The recogniser for these settings; nothing is loaded yet. ConfigError says what is missing."""
    if find_spec("onnx_asr") is None:
        raise ConfigError(
            f"The recogniser onnx-asr needs the package onnx-asr; install it with: {install('onnx-asr')}."
        )
    if not settings.model:
        raise ConfigError(
            "The recogniser onnx-asr needs asr.model: a model of 'parley models list', or the folder of one."
        )
    model_type(settings.model)
    return ThreadRecognizer(NemoEngine(settings), settings)


def model_type(folder: str, *, gpu: bool = False) -> tuple[str, str]:
    """What the model in this folder is, and its number format: "" or "int8". ConfigError says what is missing.

    Where there is a choice, int8 for a CPU, and not for a GPU, which does not reckon so.
    """
    root = Path(folder)
    try:
        kind = str(json.loads((root / "config.json").read_text("utf-8"))["model_type"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(
            f"The folder {folder} has no config.json with a model_type, so it is no model for onnx-asr."
        ) from None
    if kind not in _FILES:
        raise ConfigError(
            f"The model in {folder} is of the type {kind}, which is not run here; these are: {', '.join(_FILES)}."
        )
    missing: list[str] = [] if (root / "vocab.txt").is_file() else ["vocab.txt"]
    formats = [("int8", ".int8.onnx"), ("", ".onnx")]
    for number_format, ending in reversed(formats) if gpu else formats:
        if all((root / f"{name}{ending}").is_file() for name in _FILES[kind]):
            if not missing:
                return kind, number_format
            break
    else:
        missing += [f"{name}.onnx" for name in _FILES[kind] if not (root / f"{name}.onnx").is_file()]
    raise ConfigError(f"The {kind} in {folder} is not complete: {', '.join(missing)} is missing.")


class NemoEngine:
    """One model in memory, shared by every turn."""

    name = "onnx-asr"

    def __init__(self, settings: AsrSettings) -> None:
        self._settings = settings
        self._model: Any = None
        self._languages: frozenset[str] = frozenset()
        """Which it can be told; those of the others it finds out by itself, or knows one."""

    def load(self) -> None:
        """Read the model. ConfigError says why it cannot be."""
        if self._model is not None:
            return
        import onnx_asr
        import onnxruntime

        folder = self._settings.model
        providers = providers_for(self._settings.device, onnxruntime.get_available_providers())
        kind, number_format = model_type(folder, gpu=len(providers) > 1)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._settings.threads
        options.inter_op_num_threads = 1
        try:
            model = onnx_asr.load_model(
                kind, folder, quantization=number_format or None, sess_options=options, providers=providers
            )
        except Exception as error:  # somebody else's code: the runtime's errors have no class of their own
            raise ConfigError(f"The model in {folder} cannot be loaded: {error}.") from error
        if kind == _TOLD_LANGUAGE:
            self._languages = _languages(Path(folder, "vocab.txt"))
        self._model = model.with_timestamps()

    def decode(self, request: Request) -> Decoded:
        """Transcribe one recording."""
        if not request.wanted():
            raise Unwanted
        language = request.language.partition("-")[0].casefold()
        told = {"language": language} if language in self._languages else {}
        try:
            result = self._model.recognize(request.audio, sample_rate=RATE, **told)
        except Exception as error:  # somebody else's code, as above
            raise EngineError(f"onnx-asr failed: {error}") from error
        sure = confidence(result.logprobs) if result.logprobs else UNTOLD if result.text else 1.0
        if result.timestamps is None or result.tokens is None:
            text = result.text.strip()
            whole = (Segment(text, request.audio.size / RATE),) if text else ()
            return Decoded(whole, request.language, sure)
        words = words_of(result.tokens, result.timestamps, result.logprobs or ())
        return Decoded(segments_of(words), request.language, sure)


def providers_for(device: str, available: Sequence[str]) -> list[str]:
    """Where onnxruntime computes. ConfigError when a GPU is insisted upon and there is none."""
    has_gpu = "CUDAExecutionProvider" in available
    if device == "cuda" and not has_gpu:
        raise ConfigError(
            "asr.device is cuda, but this onnxruntime knows no GPU; install onnxruntime-gpu in its place, or set "
            "asr.device to auto or cpu."
        )
    return (
        ["CUDAExecutionProvider", "CPUExecutionProvider"] if has_gpu and device != "cpu" else ["CPUExecutionProvider"]
    )


def segments_of(words: Sequence[TranscriptWord]) -> tuple[Segment, ...]:
    """Words up to the end of a sentence, a pause, or a while; a segment ends just before the next one's first word."""
    runs: list[list[TranscriptWord]] = []
    for word in words:
        last = runs[-1][-1] if runs else None
        if (
            last is None
            or last.text.endswith(_SENTENCE_END)
            or word.start - last.end >= _PAUSE
            or word.end - runs[-1][0].start >= _LONGEST
        ):
            runs.append([])
        runs[-1].append(word)
    return tuple(
        Segment(
            " ".join(word.text for word in run),
            (run[-1].end + runs[number + 1][0].start) / 2 if number + 1 < len(runs) else run[-1].end,
            tuple(run),
        )
        for number, run in enumerate(runs)
    )


def _languages(vocabulary: Path) -> frozenset[str]:
    """Languages that have a token of their own: ``<|de|>``."""
    tokens = (line.split(" ")[0] for line in vocabulary.read_text("utf-8").splitlines())
    return frozenset(token[2:-2] for token in tokens if len(token) == 6 and token[:2] == "<|" and token[-2:] == "|>")
