"""Streaming transducers on sherpa-onnx: zipformers, and NeMo's cache-aware ones, Nemotron-streaming among them.

Native streaming, many languages, fast on a CPU. A bad model makes the library end its process, so it runs in
processes of its own. When a turn is over is the session's to decide: the library's own end points stay off.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from parley.asr.decoder import RATE, DecoderSpec
from parley.asr.fed_stream import FedStream
from parley.asr.pieces import confidence, words_of
from parley.asr.processes import ProcessRecognizer
from parley.asr.transducer_model import TransducerModel, read_model
from parley.audio.levels import samples_of, to_float
from parley.errors import ConfigError
from parley.hints import install
from parley.values import Transcript

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from parley.asr.settings import AsrSettings

_AFTER = 0.3
"""Seconds by which a transducer may say a word late: what came last it has heard, and not yet understood."""
_A_LITTLE = 0.001
"""Seconds; to have covered none would mean not to say how much."""
_FILTER = 0.05
"""Seconds that the library's filter bank holds back."""


def create(settings: AsrSettings) -> ProcessRecognizer:
    """The recogniser for these settings; nothing is loaded yet. ConfigError says what is missing."""
    if find_spec("sherpa_onnx") is None:
        raise ConfigError(f"The recogniser sherpa needs the package sherpa-onnx; install it with: {install('sherpa')}.")
    if not settings.model:
        raise ConfigError("The recogniser sherpa needs asr.model: the folder of a streaming transducer.")
    provider = provider_for(settings.device, version("sherpa-onnx"))
    read_model(settings.model)
    arguments = {
        "folder": settings.model,
        "provider": provider,
        "threads": settings.threads or 1,
        "hot_words": list(settings.hot_words),
    }
    return ProcessRecognizer(
        DecoderSpec("sherpa", "parley.asr.sherpa:TransducerDecoder", arguments, copies=True, settles=True), settings
    )


def provider_for(device: str, installed: str) -> str:
    """Where the library computes. ConfigError when a GPU is insisted upon and the installed version knows none."""
    has_gpu = "cuda" in installed
    if device == "cuda" and not has_gpu:
        raise ConfigError(
            f"asr.device is cuda, but sherpa-onnx {installed} knows no GPU; install the CUDA build that its project "
            "publishes in its place, or set asr.device to auto or cpu."
        )
    return "cuda" if has_gpu and device != "cpu" else "cpu"


class TransducerDecoder:
    """One model; a stream of its own for each turn."""

    memory = ""
    """Nothing of one turn is left for the next."""

    def __init__(self, folder: str, threads: int = 1, hot_words: Sequence[str] = (), provider: str = "cpu") -> None:
        self._folder, self._threads, self._provider = folder, threads, provider
        self._hot_words = tuple(word for word in hot_words if word)
        self._language = ""
        self._model = TransducerModel({}, 0.0, 0.0)
        self._recognizer: Any = None
        self._stream: Any = None
        self._told = ""
        self._fed = FedStream(0.0)
        self._steps = 0
        """Of the network's, so far."""
        self._searches = False
        self._upper = False
        """It writes in capital letters alone."""

    def load(self) -> None:
        """Read the networks. The library exits the process when they are bad."""
        import sherpa_onnx

        self._model = model = read_model(self._folder, gpu=self._provider == "cuda")
        self._searches = bool(self._hot_words) and model.spells and model.searches
        if self._searches:
            pieces = Path(model.files["tokens"]).read_text("utf-8").split("<unk>")[-1]
            self._upper = any(map(str.isupper, pieces)) and not any(map(str.islower, pieces))
        spelling = {"modeling_unit": "bpe", "bpe_vocab": str(Path(self._folder, "bpe.vocab"))}
        self._recognizer = sherpa_onnx.OnlineRecognizer.from_transducer(
            **model.files,
            num_threads=self._threads,
            sample_rate=RATE,
            provider=self._provider,
            # One hypothesis costs a fourth, and what it has said it never takes back.
            decoding_method="modified_beam_search" if self._searches else "greedy_search",
            enable_endpoint_detection=False,
            **(spelling if self._searches else {}),
        )

    def start(self, language: str, memory: str, hot_words: Sequence[str] = ()) -> None:
        """Begin a turn; hot words raise the score of their pieces, where the model's folder has its bpe.vocab.

        Those of one turn alone only where the settings have some, too: else no other hypotheses are followed.
        """
        self._language = language
        if self._searches:
            words = self._spelt((*self._hot_words, *hot_words))
            self._stream = self._recognizer.create_stream(hotwords="/".join(words))
        else:
            self._stream = self._recognizer.create_stream()
        if self._model.languages:
            known = self._model.language(language)
            self._stream.set_option("language", known)  # without one the model finds out by itself
            self._language = language if known else ""
        self._told = ""
        self._fed, self._steps = FedStream(self._model.window + _AFTER + _FILTER), 0

    def feed(self, pcm: bytes) -> Transcript | None:
        """Hear more; tell the words when they have changed."""
        samples = to_float(samples_of(pcm))
        self._fed.hear(samples.size)
        self._hear(samples)
        said = self._transcript(final=False)
        if not said.text or said.text == self._told:
            return None
        self._told = said.text
        return said

    def pause(self) -> Transcript:
        """Put so much silence in that the network goes past the last word, and tell all of them."""
        self._settle()
        said = self._transcript(final=False)
        self._told = said.text
        return said

    def finish(self) -> Transcript:
        """End the turn."""
        self._settle()
        self._stream.input_finished()
        self._decode()
        return self._transcript(final=True)

    def _spelt(self, words: Sequence[str]) -> list[str]:
        """As the model would write them, without what the library reads as orders: "/" parts two, ":2" is a score."""
        written = (" ".join(re.sub(r"[/:#@]", " ", word).split()) for word in words)
        return [word.upper() if self._upper else word for word in written if word]

    def _settle(self) -> None:
        if put_in := self._fed.settle():
            self._hear(np.zeros(put_in, np.float32))

    def _hear(self, samples: NDArray[np.float32]) -> None:
        self._stream.accept_waveform(RATE, samples)
        self._decode()

    def _decode(self) -> None:
        while self._recognizer.is_ready(self._stream):
            self._recognizer.decode_stream(self._stream)
            self._steps += 1

    def _transcript(self, *, final: bool) -> Transcript:
        result = self._recognizer.get_result_all(self._stream)
        text = str(result.text).strip()
        times = [self._fed.turn_time(time) for time in result.timestamps]
        words = words_of(result.tokens, times, result.ys_probs)
        spelled = " ".join(word.text for word in words) == text  # not where pieces are single bytes of a letter
        return Transcript(
            text,
            final=final,
            stable=len(text) if final else self._kept(text),
            words=words if spelled else (),
            language=self._language,
            confidence=confidence(result.ys_probs) if text else 1.0,
            covered=max(_A_LITTLE, self._fed.turn_time(self._steps * self._model.step - _AFTER)),
        )

    def _kept(self, text: str) -> int:
        """Letters that stay: a single hypothesis may only add to its last word."""
        return 0 if self._searches else max(0, text.rfind(" "))
