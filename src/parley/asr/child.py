"""A decoder in a process of its own: ``python -m parley.asr.child`` with the decoder's spec as JSON.

For engines that hold the interpreter's lock, are not re-entrant, or exit when a file is bad.
Lives until its standard input ends. One thread reads the pipe, so that a turn that nobody wants
any more is left at once, however much of its audio is still waiting.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import deque
from importlib import import_module
from typing import TYPE_CHECKING, BinaryIO, cast

from parley.asr import wire
from parley.asr.decoder import to_json
from parley.children.inside import claim_pipes
from parley.errors import ParleyError

if TYPE_CHECKING:
    from parley.asr.decoder import TurnDecoder
    from parley.values import Transcript


class _Inbox:
    """Messages in the order of their arrival, without the audio of abandoned turns."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._messages: deque[tuple[bytes, bytes]] = deque()
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            header = self._source.read(wire.HEADER.size)
            if len(header) < wire.HEADER.size:
                message = (b"", b"")
            else:
                kind, size = wire.HEADER.unpack(header)
                message = (kind, self._source.read(size))
            with self._changed:
                if message[0] == wire.ABANDON:
                    self._messages.clear()
                self._messages.append(message)
                self._changed.notify()
            if not message[0]:
                return

    def next(self) -> tuple[bytes, bytes]:
        """Wait for the next message; an empty kind at the end. Audio that waits comes in one piece."""
        with self._changed:
            self._changed.wait_for(lambda: self._messages)
            kind, body = self._messages.popleft()
            if kind != wire.AUDIO:
                return kind, body
            pieces = [body]
            while self._messages and self._messages[0][0] == wire.AUDIO and len(pieces) < 10:
                pieces.append(self._messages.popleft()[1])
            return kind, b"".join(pieces)


class _Child:
    def __init__(self, decoder: TurnDecoder, source: BinaryIO, sink: BinaryIO) -> None:
        self._decoder = decoder
        self._inbox = _Inbox(source)
        self._sink = sink
        self._turn = -1

    def run(self) -> None:
        if not self._attempt(self._decoder.load):
            return
        self._send(wire.READY)
        while True:
            kind, body = self._inbox.next()
            if not kind:
                return
            self._attempt(lambda kind=kind, body=body: self._handle(kind, body))

    def _handle(self, kind: bytes, body: bytes) -> None:
        if kind == wire.START:
            request = json.loads(body)
            self._turn = request["turn"]
            self._decoder.start(request["language"], request["hot_words"])
        elif kind == wire.ABANDON:
            self._turn = -1
        elif self._turn < 0:
            return
        elif kind == wire.AUDIO:
            partial = self._decoder.feed(body)
            if partial is not None:
                self._tell(partial)
        elif kind == wire.FINISH:
            self._tell(self._decoder.finish())
            self._turn = -1

    def _attempt(self, work: object) -> bool:
        """Run ``work``; an engine's failure ends its turn, not the process."""
        assert callable(work)
        try:
            work()
        except Exception as error:  # noqa: BLE001 - an engine may raise anything, and the turn has to be told
            code = error.code if isinstance(error, ParleyError) else "engine_failed"
            text = error.message if isinstance(error, ParleyError) else f"{type(error).__name__}: {error}"
            body = {"turn": self._turn, "code": code, "message": text}
            self._send(wire.FAILED, json.dumps(body).encode())
            self._turn = -1
            return False
        return True

    def _tell(self, transcript: Transcript) -> None:
        body = {"turn": self._turn, "transcript": to_json(transcript)}
        self._send(wire.TRANSCRIPT, json.dumps(body).encode())

    def _send(self, kind: bytes, body: bytes = b"") -> None:
        self._sink.write(wire.pack(kind, body))
        self._sink.flush()


def main() -> None:
    spec = json.loads(sys.argv[1])
    module, _, attribute = spec["target"].partition(":")
    source, sink = claim_pipes()
    decoder = cast("TurnDecoder", getattr(import_module(module), attribute)(**spec["arguments"]))
    try:
        _Child(decoder, source, sink).run()
    except (BrokenPipeError, KeyboardInterrupt):
        return


if __name__ == "__main__":
    main()
