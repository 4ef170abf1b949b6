"""Streaming transducers on sherpa-onnx: native streaming, many languages, fast on a CPU.

A bad model makes the library end its process, so it runs in processes of its own.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from parley.asr.decoder import RATE, DecoderSpec
from parley.asr.processes import ProcessRecognizer
from parley.audio.levels import samples_of, to_float
from parley.errors import ConfigError
from parley.hints import install
from parley.values import Transcript, TranscriptWord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from parley.asr.settings import AsrSettings

_PARTS = ("encoder", "decoder", "joiner")
_TAIL = 0.5
"""Seconds of silence after the end: the network needs to see what follows a word."""
_WORD_START = "\u2581"


def create(settings: AsrSettings) -> ProcessRecognizer:
    """The recogniser for these settings; nothing is loaded yet. ConfigError says what is missing."""
    if find_spec("sherpa_onnx") is None:
        raise ConfigError(f"The recogniser sherpa needs the package sherpa-onnx; install it with: {install('sherpa')}.")
    if not settings.model:
        raise ConfigError("The recogniser sherpa needs asr.model: the folder of a streaming transducer.")
    model_files(settings.model)
    arguments = {
        "folder": settings.model,
        "threads": settings.threads or 1,
        "hot_words": list(settings.hot_words),
    }
    return ProcessRecognizer(
        DecoderSpec("sherpa", "parley.asr.sherpa:TransducerDecoder", arguments, copies=True, settles=True), settings
    )


def model_files(folder: str) -> dict[str, str]:
    """The four files of a streaming transducer as sherpa-onnx publishes them; int8 where there is a choice."""
    root = Path(folder)
    found = {"tokens": root / "tokens.txt"}
    for part in _PARTS:
        candidates = sorted(root.glob(f"{part}*.onnx"), key=lambda path: ("int8" not in path.name, path.name))
        found[part] = candidates[0] if candidates else root / f"{part}.onnx"
    missing = [path.name for path in found.values() if not path.is_file()]
    if missing:
        raise ConfigError(f"The folder {folder} is no streaming transducer: {', '.join(missing)} is missing.")
    return {part: str(path) for part, path in found.items()}


class TransducerDecoder:
    """One model; a stream of its own for each turn."""

    memory = ""
    """Nothing of one turn is left for the next."""

    def __init__(self, folder: str, threads: int = 1, hot_words: Sequence[str] = ()) -> None:
        self._folder, self._threads, self._hot_words = folder, threads, tuple(hot_words)
        self._language = ""
        self._recognizer: Any = None
        self._stream: Any = None
        self._told = ""
        self._tails: list[float] = []
        """Where in the stream silence was put in, in seconds: ``_TAIL`` each."""
        self._fed = 0
        """Samples in the stream."""
        self._settled = False
        self._spells_hot_words = self._capitals = False

    def load(self) -> None:
        """Read the networks. The library exits the process when they are bad."""
        import sherpa_onnx

        files = model_files(self._folder)
        pieces = Path(self._folder, "bpe.vocab")
        self._spells_hot_words = pieces.is_file()
        self._capitals = any(letter.isupper() for letter in Path(files["tokens"]).read_text().split("<unk>")[-1])
        spelling = {"modeling_unit": "bpe", "bpe_vocab": str(pieces)} if self._spells_hot_words else {}
        self._recognizer = sherpa_onnx.OnlineRecognizer.from_transducer(
            **files,
            num_threads=self._threads,
            sample_rate=RATE,
            decoding_method="modified_beam_search",
            enable_endpoint_detection=False,
            **spelling,
        )

    def start(self, language: str, memory: str) -> None:
        """Begin a turn; hot words raise the score of their pieces, where the model's folder has its bpe.vocab."""
        self._language = language
        spelled = [word.upper() if self._capitals else word for word in self._hot_words if word]
        if spelled and self._spells_hot_words:
            self._stream = self._recognizer.create_stream(hotwords="/".join(spelled))
        else:
            self._stream = self._recognizer.create_stream()
        self._told = ""
        self._tails, self._fed, self._settled = [], 0, False

    def feed(self, pcm: bytes) -> Transcript | None:
        """Hear more; tell the words when they have changed."""
        self._accept(to_float(samples_of(pcm)))
        self._settled = False
        text = self._decode()
        if not text or text == self._told:
            return None
        self._told = text
        return Transcript(text, language=self._language)

    def pause(self) -> Transcript:
        """Put some silence in, which brings out the last words, and tell them all."""
        if not self._settled:
            self._settled = True
            self._tails.append(self._fed / RATE)
            self._accept(np.zeros(int(_TAIL * RATE), np.float32))
        self._told = self._decode()
        return Transcript(self._told, language=self._language)

    def finish(self) -> Transcript:
        """End the turn."""
        self.pause()
        self._stream.input_finished()
        text = self._decode()
        times = [self._heard_at(time) for time in self._recognizer.timestamps(self._stream)]
        words = _words(self._recognizer.tokens(self._stream), times)
        return Transcript(text, final=True, stable=len(text), words=words, language=self._language)

    def _accept(self, samples: NDArray[np.float32]) -> None:
        self._stream.accept_waveform(RATE, samples)
        self._fed += samples.size

    def _heard_at(self, time: float) -> float:
        """A time in the stream as one in the turn: what was put in before it does not count."""
        put_in = sum(min(_TAIL, max(0.0, time - at)) for at in self._tails)
        return time - put_in

    def _decode(self) -> str:
        while self._recognizer.is_ready(self._stream):
            self._recognizer.decode_stream(self._stream)
        return str(self._recognizer.get_result(self._stream)).strip()


def _words(tokens: Sequence[str], times: Sequence[float]) -> tuple[TranscriptWord, ...]:
    """Words from pieces: a piece that begins with a space or "▁" begins a word; a word ends where the next begins."""
    begun: list[tuple[str, float]] = []
    for token, time in zip(tokens, times, strict=False):
        if not begun or token.startswith((_WORD_START, " ")):
            begun.append((token.strip(_WORD_START + " "), time))
        else:
            begun[-1] = (begun[-1][0] + token, begun[-1][1])
    ends = [start for _, start in begun[1:]] + [times[-1] + 0.04 if len(times) else 0.0]
    return tuple(TranscriptWord(text, start, end) for (text, start), end in zip(begun, ends, strict=True) if text)
