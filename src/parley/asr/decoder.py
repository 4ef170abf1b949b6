"""What an engine has to do to become a recogniser: hear one turn at a time, synchronously."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from parley.values import Transcript, TranscriptWord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RATE = 16_000
"""Hz of all audio that a decoder hears."""
UNTOLD = 0.75
"""Confidence of an engine that does not tell its own: believed, but not where a reply would be lost on it."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What is certain of a turn that is left before its end."""

    transcript: Transcript
    """Its words up to ``samples``; word times count from where the decoder began."""
    samples: int
    """What it has heard for good; whatever came after is to be heard again, by whoever goes on with the turn."""


class TurnDecoder(Protocol):
    """One engine that hears one turn at a time. Called from one thread, or alone in a process."""

    memory: str
    """What it has learnt of this turn's microphone, for the same session's next turn and nobody else's."""

    def load(self) -> None:
        """Read the model. Raises ConfigError with what is missing."""

    def start(self, language: str, memory: str, hot_words: Sequence[str] = ()) -> None:
        """A new turn, or its next stretch, begins as if no other had been heard; one that was not finished is left.

        ``memory`` is what was learnt of this microphone before; empty for a stranger's. ``hot_words`` are likely to
        be said in this turn, beside those that the decoder was made with.
        """

    def feed(self, pcm: bytes) -> Transcript | None:
        """Hear more s16le at 16 kHz; return a partial transcript when there is news."""

    def pause(self) -> Transcript:
        """Its speaker is silent, perhaps for good: return all that was understood, whether it is news or not."""

    def finish(self) -> Transcript:
        """The turn is over: return its final transcript."""


class SingleDecoder(TurnDecoder, Protocol):
    """One that keeps a turn in the engine itself, so that another can only be heard when this one is left."""

    def cut(self) -> Cut:
        """Leave the turn: return what is certain, up to the end of a word."""


@dataclass(frozen=True, slots=True)
class DecoderSpec:
    """How a child process makes its decoder: "module:Class" and what to call it with, as JSON values."""

    name: str
    target: str
    arguments: Mapping[str, object]
    python: str = ""
    """Interpreter of another environment; empty for this one."""
    copies: bool = False
    """Copies of a loaded decoder share its model and hear a turn each; else it is a :class:`SingleDecoder`."""
    settles: bool = False
    """After ``pause`` it knows all that was said: silence is kept from it unless somebody speaks again."""


def to_json(transcript: Transcript) -> dict[str, object]:
    """For the way between processes."""
    return {
        "text": transcript.text,
        "final": transcript.final,
        "stable": transcript.stable,
        "language": transcript.language,
        "confidence": transcript.confidence,
        "covered": transcript.covered,
        "words": [[word.text, word.start, word.end, word.probability] for word in transcript.words],
    }


def from_json(data: Mapping[str, object]) -> Transcript:
    """The inverse of :func:`to_json`."""
    words = data["words"]
    assert isinstance(words, list)
    return Transcript(
        text=str(data["text"]),
        final=bool(data["final"]),
        stable=int(str(data["stable"])),
        words=tuple(TranscriptWord(*word) for word in words),
        language=str(data["language"]),
        confidence=float(str(data["confidence"])),
        covered=float(str(data["covered"])),
    )
