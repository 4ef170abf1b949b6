"""The child process of one voice: ``python -m parley.worker.engine_child``.

Reads orders from standard input, writes audio to standard output. Ends when its parent does.
"""

from __future__ import annotations

import pickle
import sys
import time
from collections.abc import Callable
from functools import partial
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
    later: list[tuple[bytes, bytes]] = []
    while True:
        kind, payload = later.pop(0) if later else orders.next()
        if kind == say.LOAD:
            adapter = pickle.loads(payload)  # noqa: S301 - written by our own parent
            error = wire.attempt(adapter.load, f"The model {adapter.info.model_id} can not be loaded")
            wire.write(outgoing, say.READY, say.pack_ready(error, adapter.info.word_marks))
        elif kind == say.SPEAK:
            between = partial(_between, adapter, orders, later, outgoing)
            _speak(adapter, cancelled, outgoing, payload, between)
        elif kind in say.CHANGES:
            _change(adapter, kind, payload, outgoing)
        else:
            adapter.unload()
            return


def _between(adapter: Any, orders: Orders, later: list[tuple[bytes, bytes]], outgoing: BinaryIO) -> None:
    """LoRAs and voices come and go between two chunks of a text; other orders have time."""
    while orders.waiting():
        kind, payload = orders.next()
        if kind in say.CHANGES:
            _change(adapter, kind, payload, outgoing)
        else:
            later.append((kind, payload))


def _change(adapter: Any, kind: bytes, payload: bytes, outgoing: BinaryIO) -> None:
    sizes = [0]

    def work() -> None:
        if kind == say.TAKE_LORA:
            sizes.append(adapter.load_lora(*say.unpack_lora(payload)))
        elif kind == say.DROP_LORA:
            adapter.drop_lora(payload.decode())
        elif kind == say.TAKE_VOICE:
            adapter.take_voice(payload.decode())
        else:
            adapter.drop_voice(payload.decode())

    what = "A LoRA" if kind in (say.TAKE_LORA, say.DROP_LORA) else "A voice"
    error = wire.attempt(work, f"{what} of the model {adapter.info.model_id} can not be changed")
    _send(outgoing, say.CHANGED, say.pack_changed(sizes[-1], error))


def _speak(
    adapter: Any, cancelled: _Cancelled, outgoing: BinaryIO, payload: bytes, between: Callable[[], None]
) -> None:  # fmt: skip
    number, text, voice = say.unpack_job(payload)
    audio = adapter.synthesize(text, voice=voice)

    def work() -> None:
        while number > cancelled.up_to:
            between()
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
