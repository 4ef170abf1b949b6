"""An adapter whose library lives in another environment, as if it were here: for the adapter contract."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from parley.children.process import ChildProcess
from parley.errors import EngineError
from parley.worker import engine_wire as say
from parley.worker.engine_process import LOAD_LIMIT

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from parley.interfaces import TtsAdapter
    from parley.values import ModelInfo, SynthesizedAudio, Voice


class ApartAdapter:
    """Every call goes to a child in ``python``'s environment, over the wire that a worker's engines speak."""

    def __init__(self, adapter: TtsAdapter, python: str) -> None:
        self.adapter, self.python = adapter, python
        self.info: ModelInfo = adapter.info
        self._child: ChildProcess | None = None
        self._numbers = count()

    def load(self) -> None:
        """Start the child and load there."""
        self.unload()
        self._child = child = ChildProcess("parley.worker.engine_child", python=self.python)
        error, _ = say.unpack_ready(child.ask(say.LOAD, say.pack_adapter(self.adapter), limit=LOAD_LIMIT)[1])
        if error is not None:
            self.unload()
            raise error

    def synthesize(self, text: str, *, voice: Voice) -> Generator[SynthesizedAudio, None, None]:
        """Speak there; closing it cancels, and waits until the child has stopped."""
        child, number = self._child, next(self._numbers)
        if child is None:
            raise EngineError(f"The model {self.info.model_id} is not loaded.")
        child.send(say.SPEAK, say.pack_job(number, text, voice))
        over = False
        try:
            while True:
                kind, payload = child.receive(limit=LOAD_LIMIT)
                if kind == say.END:
                    over, error = True, say.unpack_end(payload)[1]
                    if error is not None:
                        raise error
                    return
                yield say.unpack_audio(payload)[1]
        finally:
            if not over:
                child.send(say.CANCEL, str(number).encode())
                while child.receive(limit=LOAD_LIMIT)[0] != say.END:
                    pass

    def load_lora(self, name: str, folder: Path) -> int:
        """Have it read there."""
        return self._changed(say.TAKE_LORA, say.pack_lora(name, folder))

    def drop_lora(self, name: str) -> None:
        """Have it dropped there."""
        self._changed(say.DROP_LORA, name.encode())

    def take_voice(self, name: str) -> None:
        """Have it heard there."""
        self._changed(say.TAKE_VOICE, name.encode())

    def drop_voice(self, name: str) -> None:
        """Have it forgotten there."""
        self._changed(say.DROP_VOICE, name.encode())

    def _changed(self, kind: bytes, payload: bytes) -> int:
        assert self._child is not None
        size, error = say.unpack_changed(self._child.ask(kind, payload, limit=LOAD_LIMIT)[1])
        if error is not None:
            raise error
        return size

    def unload(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is not None:
            child.close(last_words=say.QUIT)
