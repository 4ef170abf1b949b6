"""The child process of one engine: ``python -m parley.worker.engine_child``.

Reads orders from standard input, writes audio to standard output (kept to itself: whatever the
engine's library prints goes to standard error). Ends when its parent does.
"""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
import time
from typing import Any, BinaryIO

from parley.errors import EngineError, ParleyError
from parley.worker import engine_wire as wire
from parley.worker.memory import settle_allocator


class _Orders:
    """Orders as they come in; cancelled jobs are known before they reach the queue's front."""

    def __init__(self, stream: BinaryIO) -> None:
        self.queue: queue.SimpleQueue[tuple[bytes, bytes]] = queue.SimpleQueue()
        self.cancelled = -1
        """Jobs up to this number are not wanted any more."""
        self._stream = stream

    def read(self) -> None:
        """Run on a thread of its own until the parent is gone."""
        try:
            while True:
                kind, payload = wire.read(self._stream)
                if kind == wire.CANCEL:
                    self.cancelled = max(self.cancelled, int(payload))
                else:
                    self.queue.put((kind, payload))
        except (EOFError, OSError):
            os._exit(0)


def main() -> None:
    """Serve one engine until told to quit."""
    settle_allocator()
    incoming, outgoing = _claim_pipes()
    orders = _Orders(incoming)
    threading.Thread(target=orders.read, name="orders", daemon=True).start()
    adapter: Any = None
    while True:
        kind, payload = orders.queue.get()
        if kind == wire.LOAD:
            adapter = pickle.loads(payload)  # noqa: S301 - written by our own parent
            wire.write(outgoing, wire.READY, wire.pack_end(0, _load(adapter)))
        elif kind == wire.SPEAK:
            _speak(adapter, orders, outgoing, payload)
        else:
            adapter.unload()
            return


def _claim_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take standard input and output for the wire; the engine gets none and standard error."""
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return incoming, outgoing


def _load(adapter: Any) -> ParleyError | None:
    try:
        adapter.load()
    except ParleyError as error:
        return error
    except Exception as error:  # noqa: BLE001 - reported to the parent, which refuses the load
        return EngineError(f"The model {adapter.info.model_id} can not be loaded: {error!r}.")
    return None


def _speak(adapter: Any, orders: _Orders, outgoing: BinaryIO, payload: bytes) -> None:
    number, text, voice = wire.unpack_job(payload)
    failure: ParleyError | None = None
    audio = adapter.synthesize(text, voice=voice)
    try:
        while number > orders.cancelled:
            began = time.perf_counter()
            chunk = next(audio, None)
            if chunk is None:
                break
            wire.write(outgoing, wire.AUDIO, wire.pack_audio(number, chunk, time.perf_counter() - began))
    except ParleyError as error:
        failure = error
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 - an engine may raise anything; only its own job may suffer
        failure = EngineError(f"The model {adapter.info.model_id} failed while speaking: {error!r}.")
    finally:
        audio.close()
    wire.write(outgoing, wire.END, wire.pack_end(number, failure))


if __name__ == "__main__":
    main()
