"""The child process of one voice: ``python -m parley.worker.engine_child``.

Reads orders from standard input, writes audio to standard output. Ends when its parent does.
"""

from __future__ import annotations

import pickle
import sys
import time
from typing import Any, BinaryIO

from parley.children import wire
from parley.children.inside import Orders, claim_pipes
from parley.errors import ParleyError
from parley.worker import engine_wire as say
from parley.worker.memory import settle_allocator


class _Cancelled:
    """Jobs up to a number are not wanted any more; known while the engine works."""

    def __init__(self) -> None:
        self.up_to = -1

    def note(self, kind: bytes, payload: bytes) -> bool:
        if kind == say.CANCEL:
            self.up_to = max(self.up_to, int(payload))
        return kind == say.CANCEL


def main() -> None:
    """Serve one engine until told to quit."""
    settle_allocator()
    incoming, outgoing = claim_pipes()
    cancelled = _Cancelled()
    orders = Orders(incoming, cancelled.note)
    adapter: Any = None
    while True:
        kind, payload = orders.next()
        if kind == say.LOAD:
            adapter = pickle.loads(payload)  # noqa: S301 - written by our own parent
            error = wire.attempt(adapter.load, f"The model {adapter.info.model_id} can not be loaded")
            wire.write(outgoing, say.READY, say.pack_ready(error, adapter.info.word_marks))
        elif kind == say.SPEAK:
            _speak(adapter, cancelled, outgoing, payload)
        else:
            adapter.unload()
            return


def _speak(adapter: Any, cancelled: _Cancelled, outgoing: BinaryIO, payload: bytes) -> None:
    number, text, voice = say.unpack_job(payload)
    audio = adapter.synthesize(text, voice=voice)

    def work() -> None:
        while number > cancelled.up_to:
            began = time.perf_counter()
            chunk = next(audio, None)
            if chunk is None:
                return
            _send(outgoing, say.AUDIO, say.pack_audio(number, chunk, time.perf_counter() - began))

    failure: ParleyError | None
    try:
        failure = wire.attempt(work, f"The model {adapter.info.model_id} failed while speaking")
    finally:
        audio.close()
    _send(outgoing, say.END, say.pack_end(number, failure))


def _send(outgoing: BinaryIO, kind: bytes, payload: bytes) -> None:
    try:
        wire.write(outgoing, kind, payload)
    except BrokenPipeError:
        sys.exit(0)


if __name__ == "__main__":
    main()
