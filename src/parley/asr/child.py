"""A decoder in a process of its own: ``python -m parley.asr.child`` with the decoder's spec as JSON.

For engines that hold the interpreter's lock, are not re-entrant, or exit when a file is bad.
Answers one question after the other, each of them short, and ends when its parent does.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING, cast

from parley.asr import wire as ask
from parley.asr.decoder import to_json
from parley.children import wire
from parley.children.inside import Orders, claim_pipes

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley.asr.decoder import SingleDecoder, TurnDecoder


class _Answers:
    """One decoder, question by question."""

    def __init__(self, decoder: TurnDecoder) -> None:
        self._decoder = decoder
        self._copies = False
        self._turns: dict[int, TurnDecoder] = {}
        self._table: dict[bytes, Callable[[bytes], dict[str, object] | None]] = {
            ask.LOAD: self._load,
            ask.START: self._start,
            ask.FEED: self._feed,
            ask.PAUSE: self._pause,
            ask.FINISH: self._finish,
            ask.CUT: self._cut,
        }

    def to(self, kind: bytes, body: bytes) -> tuple[bytes, bytes]:
        """The answer to one question."""
        said: list[dict[str, object] | None] = []
        began = time.perf_counter()
        error = wire.attempt(lambda: said.append(self._table[kind](body)), "It raised")
        if error is not None:
            return ask.FAILED, wire.pack_error(error)
        if said[0] is not None:
            said[0]["seconds"] = round(time.perf_counter() - began, 6)
        return (ask.SAID, json.dumps(said[0]).encode()) if said[0] is not None else (ask.DONE, b"")

    def _load(self, body: bytes) -> None:
        self._copies = json.loads(body)["copies"]
        self._decoder.load()

    def _start(self, body: bytes) -> None:
        asked = json.loads(body)
        self._turns = {turn: decoder for turn, decoder in self._turns.items() if turn in asked["open"]}
        decoder = copy.copy(self._decoder) if self._copies else self._decoder
        decoder.start(asked["language"], asked["memory"], tuple(asked["hot_words"]))
        self._turns[asked["turn"]] = decoder

    def _feed(self, body: bytes) -> dict[str, object]:
        turn, pcm = ask.unpack_audio(body)
        partial = self._turns[turn].feed(pcm)
        return {"transcript": to_json(partial) if partial is not None else None}

    def _pause(self, body: bytes) -> dict[str, object]:
        return {"transcript": to_json(self._turns[json.loads(body)["turn"]].pause())}

    def _finish(self, body: bytes) -> dict[str, object]:
        decoder = self._turns.pop(json.loads(body)["turn"])
        return {"transcript": to_json(decoder.finish()), "memory": decoder.memory}

    def _cut(self, body: bytes) -> dict[str, object]:
        decoder = cast("SingleDecoder", self._turns.pop(json.loads(body)["turn"]))
        cut = decoder.cut()
        return {"transcript": to_json(cut.transcript), "samples": cut.samples, "memory": decoder.memory}


def main() -> None:
    spec = json.loads(sys.argv[1])
    source, sink = claim_pipes()
    orders = Orders(source)
    module, _, attribute = spec["target"].partition(":")
    answers = _Answers(cast("TurnDecoder", getattr(import_module(module), attribute)(**spec["arguments"])))
    while True:
        try:
            wire.write(sink, *answers.to(*orders.next()))
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main()
