"""Moonshine v2 on moonshine-voice: small English models that encode while somebody speaks, made for a CPU.

The library's own voice detector is off: what a turn is, the session decides. It knows no probabilities, and shares
one encoder between all streams of a process, so that who is heard in turns with others is encoded again.
"""

from __future__ import annotations

import json
import os
import time
import weakref
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from parley.asr.agreement import LocalAgreement
from parley.asr.decoder import RATE, UNTOLD, DecoderSpec
from parley.asr.fed_stream import FedStream
from parley.asr.occasion import PartialBudget
from parley.asr.processes import ProcessRecognizer
from parley.audio.levels import samples_of, to_float
from parley.errors import ConfigError, EngineError
from parley.hints import install
from parley.values import Transcript

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from parley.asr.settings import AsrSettings

_FILES = ("adapter.ort", "cross_kv.ort", "decoder_kv.ort", "encoder.ort", "streaming_config.json", "tokenizer.bin")
_FRONTENDS = ({"frontend.ort"}, {"frontend.model.ort", "frontend.weights.ort"})
"""Older models have the first, newer ones the second."""
_FRAME = 0.02
_HOP, _CHUNK = 512, 1_280
"""Samples that the library takes at once, and encodes at once."""
_AFTER = 0.15
_NEW_LINE_AFTER, _LONGEST_LINE = 12.0, 28.0
"""Seconds after which a pause, and after which anything, begins a new line: each transcript decodes all of one."""


def create(settings: AsrSettings) -> ProcessRecognizer:
    """The recogniser for these settings; nothing is loaded yet. ConfigError says what is missing."""
    if find_spec("moonshine_voice") is None:
        raise ConfigError(
            f"The recogniser moonshine needs the package moonshine-voice; install it with: {install('moonshine')}."
        )
    if not settings.model:
        raise ConfigError(
            "The recogniser moonshine needs asr.model: a model of 'parley models list', or a streaming one's folder."
        )
    lookahead(settings.model)
    arguments = {
        "folder": settings.model,
        "threads": settings.threads,
        "hot_words": list(settings.hot_words),
        "interval": settings.partial_interval,
        "share": settings.partials_cpu,
    }
    spec = DecoderSpec("moonshine", "parley.asr.moonshine:MoonshineDecoder", arguments, copies=True, settles=True)
    return ProcessRecognizer(spec, settings)


def lookahead(folder: str) -> float:
    """Seconds that the model in this folder looks ahead. ConfigError when it is no streaming model."""
    root = Path(folder)
    missing = [name for name in _FILES if not (root / name).is_file()]
    if not any(all((root / name).is_file() for name in names) for names in _FRONTENDS):
        missing.append("frontend.model.ort")
    if missing:
        raise ConfigError(f"The folder {folder} is no streaming Moonshine model: {', '.join(missing)} is missing.")
    try:
        return int(json.loads((root / "streaming_config.json").read_text("utf-8"))["total_lookahead"]) * _FRAME
    except (ValueError, KeyError, TypeError):
        raise ConfigError(
            f"{root / 'streaming_config.json'} does not say its total_lookahead; fetch the model again."
        ) from None


class MoonshineDecoder:
    """One model; a line of its own for each turn, and a new one in a long turn's pauses."""

    memory = ""
    """Nothing of one turn is left for the next."""

    def __init__(
        self, folder: str, threads: int = 1, hot_words: Sequence[str] = (), interval: float = 0.3, share: float = 0.3
    ) -> None:
        self._folder, self._threads = folder, threads
        self._hot_words = self._expected = _terms(hot_words)
        self._budget = PartialBudget(interval, share)
        self._lookahead = 0.0
        self._library: Any = None
        self._bias = _Bias()
        self._language = ""
        self._line: _Line | None = None
        self._done: list[str] = []
        """Words of earlier lines."""
        self._start = 0
        """Samples of the turn before this line."""
        self._agreement = LocalAgreement()
        self._asked_at, self._cost = 0, 0.0
        self._told = ("", 0)

    def load(self) -> None:
        """Read the model. ConfigError says what is wrong with it."""
        self._lookahead = lookahead(self._folder)
        if self._threads == 1:
            os.environ["MOONSHINE_ORT_SINGLE_THREAD"] = "1"
        from moonshine_voice import MoonshineError, Transcriber
        from moonshine_voice.moonshine_api import ModelArch

        options = {"vad_threshold": "0", "vad_max_segment_duration": "0", "return_audio_data": "false"}
        try:
            # All streaming sizes load alike: what they are stands in their configuration.
            self._library = Transcriber(self._folder, ModelArch.SMALL_STREAMING, options=options)
        except MoonshineError as error:
            raise ConfigError(f"The Moonshine model in {self._folder} cannot be loaded: {error}.") from error
        self._bias.tell(self._library, self._hot_words)

    def start(self, language: str, memory: str, hot_words: Sequence[str] = ()) -> None:
        """Begin a turn."""
        self._expected = (*self._hot_words, *_terms(hot_words))
        self._language = language
        self._done, self._start, self._agreement = [], 0, LocalAgreement()
        self._asked_at, self._cost, self._told = 0, 0.0, ("", 0)
        self._line = _Line(self._library, self._lookahead)

    def feed(self, pcm: bytes) -> Transcript | None:
        """Hear more; tell the words as often as the budget allows."""
        samples = to_float(samples_of(pcm))
        line = self._open_line()
        line.hear(samples)
        heard = self._start + line.heard
        if heard - self._asked_at < self._budget.gap(self._cost, 1):
            return None
        self._asked_at, began = heard, time.process_time()
        self._agreement.update(self._words(line))
        self._cost = time.process_time() - began
        said = self._transcript()
        known, self._told = self._told, (said.text, said.stable)
        return said if self._told != known else None

    def pause(self) -> Transcript:
        """Go past the last word, and tell all of them."""
        line = self._current()
        if line.settle():
            self._agreement.update(self._words(line))
            self._asked_at = self._start + line.heard
        return self._transcript()

    def finish(self) -> Transcript:
        """End the turn."""
        self.pause()
        self._agreement.finish()
        said = self._transcript(final=True)
        self._current().close()
        return said

    def _words(self, line: _Line) -> list[str]:
        self._bias.tell(self._library, self._expected)
        return line.words()

    def _current(self) -> _Line:
        assert self._line is not None
        return self._line

    def _open_line(self) -> _Line:
        """The line that what comes now belongs to."""
        line = self._current()
        if line.heard < (_NEW_LINE_AFTER if line.settled else _LONGEST_LINE) * RATE:
            return line
        if line.settle():
            self._agreement.update(self._words(line))
        self._done += self._agreement.finish()
        self._agreement = LocalAgreement()
        self._start += line.heard
        line.close()
        self._line = _Line(self._library, self._lookahead)
        return self._line

    def _transcript(self, *, final: bool = False) -> Transcript:
        stable = " ".join((*self._done, *self._agreement.stable))
        text = " ".join((*self._done, *self._agreement.stable, *self._agreement.tail))
        return Transcript(
            text,
            final=final,
            stable=len(stable),
            language=self._language,
            confidence=UNTOLD if text else 1.0,
            covered=self._start / RATE + self._current().covered,
        )


class _Bias:
    """The terms that the library is told of: one list for all its streams, so each turn's own before each decoding."""

    def __init__(self) -> None:
        self._told: tuple[str, ...] = ()

    def tell(self, library: Any, terms: tuple[str, ...]) -> None:
        if terms != self._told:
            library.set_keyterms(terms)
            self._told = terms


def _terms(words: Sequence[str]) -> tuple[str, ...]:
    """As the library takes them: it separates them by commas."""
    return tuple(written for word in words if (written := word.replace(",", " ").strip()))


class _Line:
    """One of the library's streams, which holds one line."""

    def __init__(self, library: Any, lookahead: float) -> None:
        self._lookahead = lookahead
        self._fed = FedStream(lookahead + (_HOP + _CHUNK) / RATE + _AFTER)
        self._stream = library.create_stream(update_interval=_NEVER)
        self.close = weakref.finalize(self, self._stream.close)
        """Frees what the library holds of it; that of a turn that was left, when it is forgotten."""
        self.close.atexit = False
        self._stream.start()
        self._update = library.MOONSHINE_FLAG_FORCE_UPDATE
        self.heard = 0
        """Samples of the turn."""
        self.settled = False
        self.covered = 0.0
        """Seconds of the line that the newest words are of."""

    def hear(self, samples: NDArray[np.float32]) -> None:
        self.heard += samples.size
        self.settled = False
        self._fed.hear(samples.size)
        self._add(samples)

    def settle(self) -> bool:
        """Put silence in, so that all that was said is understood; False where it is already."""
        put_in = self._fed.settle()
        self.settled = True
        if put_in:
            self._add(np.zeros(put_in, np.float32))
        return bool(put_in)

    def words(self) -> list[str]:
        """What is understood by now."""
        from moonshine_voice import MoonshineError

        try:
            lines = self._stream.update_transcription(self._update).lines
        except MoonshineError as error:
            raise EngineError(f"moonshine-voice failed: {error}.") from error
        encoded = self._fed.samples // _HOP * _HOP // _CHUNK * _CHUNK / RATE
        self.covered = self._fed.turn_time(max(0.0, encoded - self._lookahead))
        return [word for line in lines for word in line.text.split()]

    def _add(self, samples: NDArray[np.float32]) -> None:
        self._stream.add_audio(samples.tolist(), RATE)


_NEVER = 86_400.0
"""Seconds between two updates that the library makes unasked."""
