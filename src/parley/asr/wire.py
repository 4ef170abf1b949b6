"""The few messages between a recogniser and its decoder processes, over pipes.

Each is one byte that says what it is, four bytes of length, and the body: JSON, or PCM.
"""

from __future__ import annotations

import struct

HEADER = struct.Struct("<cI")

START = b"S"
"""A turn begins: {"turn", "language", "hot_words"}."""
AUDIO = b"A"
"""More of it: s16le, 16 kHz."""
FINISH = b"F"
"""The turn is over; answer with its final transcript."""
ABANDON = b"X"
"""Nobody wants the turn any more."""

READY = b"R"
"""The child has loaded its engine."""
TRANSCRIPT = b"T"
"""A partial or final transcript: {"turn", "transcript"}."""
FAILED = b"E"
"""The engine cannot go on: {"turn", "code", "message"}; turn -1 while loading."""


def pack(kind: bytes, body: bytes = b"") -> bytes:
    """One message."""
    return HEADER.pack(kind, len(body)) + body
