"""The child's side: its orders come in on a pipe that nothing else can write to, and it ends when its parent does."""

from __future__ import annotations

import os
import queue
import threading
from typing import TYPE_CHECKING, BinaryIO

from parley.children import wire

if TYPE_CHECKING:
    from collections.abc import Callable


def claim_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take descriptors 0 and 1 for the wire; the engine gets an empty input, and its prints go to standard error.

    Descriptors, and not ``sys.stdout``: a native library prints to number 1 whatever Python calls it.
    """
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return incoming, outgoing


class Orders:
    """Orders in their order; some are known before they reach the queue's front.

    ``at_once`` is called on the reading thread and says True for what it has dealt with.
    """

    def __init__(self, stream: BinaryIO, at_once: Callable[[bytes, bytes], bool] = lambda *_: False) -> None:
        self._stream, self._at_once = stream, at_once
        self._queue: queue.SimpleQueue[tuple[bytes, bytes]] = queue.SimpleQueue()  # bounded by what the parent asks
        threading.Thread(target=self._read, name="orders", daemon=True).start()

    def next(self) -> tuple[bytes, bytes]:
        """Wait for the next one."""
        return self._queue.get()

    def waiting(self) -> bool:
        """Whether one is there."""
        return not self._queue.empty()

    def _read(self) -> None:
        try:
            while True:
                kind, body = wire.read(self._stream)
                if not self._at_once(kind, body):
                    self._queue.put((kind, body))
        except (EOFError, OSError):
            os._exit(0)  # whatever the engine is at: nobody is there to hear of it
