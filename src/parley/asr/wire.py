"""What a recogniser asks a decoder's process, in the messages of ``children.wire``: one answer for each question."""

import json
import struct
from collections.abc import Iterable, Sequence

LOAD = b"L"
"""Read the model: {"copies"}; DONE."""
START = b"S"
"""A turn, or a stretch of one, begins: {"turn", "language", "memory", "hot_words", "open": wanted turns}; DONE."""
FEED = b"F"
"""More of it (its number, then s16le at 16 kHz): SAID {"transcript": null where there is no news}."""
PAUSE = b"P"
"""Its speaker is silent: {"turn"}; SAID {"transcript"}."""
FINISH = b"E"
"""It is over: {"turn"}; SAID {"transcript", "memory"}."""
CUT = b"C"
"""Another turn's go: {"turn"}; SAID {"transcript", "samples", "memory"}."""

DONE = b"D"
SAID = b"T"
"""The answer, with the seconds that it took as "seconds"."""
FAILED = b"X"
"""The engine raised: an error of ``children.wire``; the turn is over."""

_TURN = struct.Struct("<I")


def pack_start(
    turn: int, language: str, memory: str, still_open: Iterable[int], hot_words: Sequence[str] = ()
) -> bytes:
    """The body of START."""
    asked = {"turn": turn, "language": language, "memory": memory, "open": list(still_open)}
    return json.dumps({**asked, "hot_words": list(hot_words)}).encode()


def pack_audio(turn: int, pcm: bytes) -> bytes:
    """The body of FEED."""
    return _TURN.pack(turn) + pcm


def unpack_audio(body: bytes) -> tuple[int, bytes]:
    """The turn's number, and its audio."""
    return _TURN.unpack_from(body)[0], body[_TURN.size :]
