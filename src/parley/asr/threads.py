"""A recogniser whose model is shared by all sessions and whose decoding runs on a few threads.

For engines that release the interpreter's lock. Turns take their places at the decoder in the order
of their asking; one that has ended goes before those that only want a partial transcript.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar

from parley.asr.decoder import RATE
from parley.asr.incremental import IncrementalTurn
from parley.errors import CapacityError, EngineError, InvalidRequest, ParleyError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable

    from parley.asr.incremental import Decoded, Request
    from parley.asr.settings import AsrSettings
    from parley.audio.frame import AudioFrame
    from parley.values import Transcript


_T = TypeVar("_T")


class RecordingEngine(Protocol):
    """Decodes whole recordings; may be called from several threads."""

    name: str

    def load(self) -> None:
        """Read the model. ConfigError says what is missing."""

    def decode(self, request: Request) -> Decoded: ...


class _Places:
    """So many at a time; who is urgent goes first, else who came first."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()

    @contextlib.asynccontextmanager
    async def place(self, *, urgent: bool) -> AsyncIterator[None]:
        if self._free:
            self._free -= 1
        else:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            (self._urgent if urgent else self._waiting).append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._leave()
                raise
        try:
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        for line in (self._urgent, self._waiting):
            while line:
                turn = line.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._free += 1


class _Collected:
    """A turn's audio, gathered while the decoder is busy."""

    def __init__(self, audio: AsyncIterable[AudioFrame], limit: int) -> None:
        self._audio, self._limit = audio, limit
        self._pieces: list[bytes] = []
        self._news = asyncio.Event()
        self.waiting = 0
        """Samples that nobody has taken."""
        self.ended = False
        self.error: Exception | None = None

    async def run(self) -> None:
        try:
            async for frame in self._audio:
                if frame.sample_rate != RATE:
                    raise InvalidRequest(f"The recogniser hears audio at {RATE} Hz, not at {frame.sample_rate} Hz.")
                self._limit -= frame.samples
                if self._limit < 0:
                    break
                self._pieces.append(frame.pcm)
                self.waiting += frame.samples
                self._news.set()
        except Exception as error:  # noqa: BLE001 - the source's failure is the turn's
            self.error = error
        self.ended = True
        self._news.set()

    async def grows_by(self, samples: int) -> bool:
        """Wait until so many samples are there; False when there will be no more."""
        while self.waiting < samples and not self.ended:
            self._news.clear()
            await self._news.wait()
        return not self.ended

    def take(self) -> bytes:
        pcm, self._pieces, self.waiting = b"".join(self._pieces), [], 0
        return pcm


class ThreadRecognizer:
    """A Recognizer over a :class:`RecordingEngine`."""

    def __init__(self, engine: RecordingEngine, settings: AsrSettings) -> None:
        self._engine, self._settings = engine, settings
        self._threads = ThreadPoolExecutor(settings.decoders, thread_name_prefix=f"asr-{engine.name}")
        self._places = _Places(settings.decoders)
        self._turns = 0
        self._loading: asyncio.Task[None] | None = None

    async def transcribe(
        self, audio: AsyncIterable[AudioFrame], *, language: str = ""
    ) -> AsyncGenerator[Transcript, None]:
        """Hear one turn. See :class:`parley.interfaces.Recognizer`."""
        self._admit()
        settings = self._settings
        turn = IncrementalTurn(self._engine.decode, language or settings.language)
        collected = _Collected(audio, int(settings.max_turn * RATE))
        collecting = asyncio.create_task(collected.run())
        told = ("", 0)
        try:
            await self._load()
            while await collected.grows_by(int(settings.partial_interval * RATE)):
                async with self._places.place(urgent=False):
                    turn.add(collected.take())
                    partial = await self._run(turn.partial)
                if (partial.text, partial.stable) != told:
                    told = (partial.text, partial.stable)
                    yield partial
            if collected.error:
                raise collected.error
            yield await self._finish(turn, collected)
        finally:
            self._turns -= 1
            collecting.cancel()
            await asyncio.gather(collecting, return_exceptions=True)

    def for_session(self) -> ThreadRecognizer:
        """Its engines hear each recording afresh: there is nothing to learn."""
        return self

    async def aclose(self) -> None:
        """Let the threads end after what they are doing."""
        if self._loading:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _admit(self) -> None:
        limit = self._settings.decoders + self._settings.max_waiting
        if self._turns >= limit:
            raise CapacityError(
                f"The recogniser {self._engine.name} hears {limit} turns already; try again in a moment."
            )
        self._turns += 1

    async def _load(self) -> None:
        """Load once, for all who wait; a load that failed is tried again by the next turn."""
        if self._loading is None or (self._loading.done() and (self._loading.cancelled() or self._loading.exception())):
            self._loading = asyncio.create_task(self._run(self._engine.load))
        await asyncio.shield(self._loading)

    async def _finish(self, turn: IncrementalTurn, collected: _Collected) -> Transcript:
        async with self._places.place(urgent=True):
            turn.add(collected.take())
            return await self._run(turn.final)

    async def _run(self, work: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except (ParleyError, TimeoutError):
            raise
        except RuntimeError as error:
            raise EngineError(f"The recogniser {self._engine.name} failed: {error}") from error
