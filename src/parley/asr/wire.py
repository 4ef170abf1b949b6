"""The few messages between a recogniser and its decoder processes: JSON, or PCM, in those of ``children.wire``."""

from parley.children.wire import HEADER, pack

__all__ = ["ABANDON", "AUDIO", "FAILED", "FINISH", "HEADER", "READY", "START", "TRANSCRIPT", "pack"]

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
