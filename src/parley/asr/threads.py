"""A recogniser whose model is shared by all sessions and whose decoding runs on a few threads.

For engines that release the interpreter's lock. ``occasion`` says when a turn is decoded. Those whose speaker has
fallen silent go before those that only want a partial transcript; and who falls silent does not wait for the partial
transcript of what they said before, which is broken off.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from parley import clock
from parley.asr.decoder import RATE
from parley.asr.incremental import IncrementalTurn, Unwanted
from parley.asr.occasion import Hearing, Occasion, PartialBudget, occasion
from parley.asr.spoken_language import SpokenLanguage
from parley.errors import CapacityError, EngineError, InvalidRequest, ParleyError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Sequence

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

    def decode(self, request: Request) -> Decoded:
        """May raise Unwanted where ``request.wanted()`` has become False."""


class _Places:
    """So many at a time; who is urgent goes first, else who came first."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, ticket: asyncio.Future[None], *, urgent: bool) -> None:
        """Have a place; ``leave`` gives it back. ``ticket`` is a new future that only this one waits for."""
        if self._free:
            self._free -= 1
            return
        (self._urgent if urgent else self._waiting).append(ticket)
        try:
            await ticket
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled():
                self.leave()
            raise

    def hurry(self, ticket: asyncio.Future[None]) -> None:
        """It has become urgent while it waited."""
        if ticket in self._waiting:
            self._waiting.remove(ticket)
            self._urgent.append(ticket)

    def leave(self) -> None:
        """Somebody else's turn."""
        for line in (self._urgent, self._waiting):
            while line:
                ticket = line.popleft()
                if not ticket.done():
                    ticket.set_result(None)
                    return
        self._free += 1


class _OpenTurn:
    """A turn's audio, gathered while the decoder is busy, and what is being done about it."""

    def __init__(self, audio: AsyncIterable[AudioFrame], limit: int, places: _Places, turn: IncrementalTurn) -> None:
        self.heard = Hearing()
        self.error: Exception | None = None
        self._audio, self._limit, self._places, self._turn = audio, limit, places, turn
        self._pieces: list[bytes] = []
        self._news = asyncio.Event()
        self._told = ("", 0)
        self._ticket: asyncio.Future[None] | None = None
        self._partial = False
        """What waits or runs is only a partial transcript."""

    async def gather(self) -> None:
        """Take the audio as it comes."""
        try:
            async for frame in self._audio:
                if frame.sample_rate != RATE:
                    raise InvalidRequest(f"The recogniser hears audio at {RATE} Hz, not at {frame.sample_rate} Hz.")
                self._limit -= frame.samples
                if self._limit < 0:
                    break
                self._pieces.append(frame.pcm)
                self.heard.take(frame.samples, speaking=frame.speaking)
                if self.heard.silent_from == self.heard.heard:
                    self._hurry()
                self._news.set()
        except Exception as error:  # noqa: BLE001  (somebody else's code, the sound's source: it is the turn's)
            self.error = error
        self.heard.end()
        self._hurry()
        self._news.set()

    async def news(self) -> None:
        """Wait until more was heard."""
        self._news.clear()
        await self._news.wait()

    async def take_place(self, now: Occasion) -> None:
        """Wait for a decoder."""
        self._partial = now is Occasion.PARTIAL
        self._ticket = asyncio.get_running_loop().create_future()
        await self._places.take(self._ticket, urgent=not self._partial)

    def take(self) -> int:
        """Give the decoder what came; returns how much it has now."""
        self._turn.add(b"".join(self._pieces))
        self._pieces = []
        return self.heard.heard

    def is_news(self, said: Transcript) -> bool:
        """It has other words than the one before, or is the one that is owed to who fell silent."""
        known, self._told = self._told, (said.text, said.stable)
        return self._told != known or self.heard.known

    def _hurry(self) -> None:
        """What counts is to be decoded: a partial transcript must not stand in its way."""
        if self._partial and self._ticket is not None:
            self._partial = False
            self._places.hurry(self._ticket)
            self._turn.drop()


class ThreadRecognizer:
    """A Recognizer over a :class:`RecordingEngine`."""

    def __init__(self, engine: RecordingEngine, settings: AsrSettings) -> None:
        self._engine, self._settings = engine, settings
        self._threads = ThreadPoolExecutor(settings.decoders, thread_name_prefix=f"asr-{engine.name}")
        self._places = _Places(settings.decoders)
        self._budget = PartialBudget(settings.partial_interval, settings.partials_cpu, settings.decoders)
        self._turns = 0
        self._loading: asyncio.Task[None] | None = None

    def transcribe(self, audio: AsyncIterable[AudioFrame], *, language: str = "") -> AsyncGenerator[Transcript, None]:
        """Hear one turn of somebody unknown. See :class:`parley.interfaces.Recognizer`."""
        return self.for_session().transcribe(audio, language=language)

    def for_session(self, hot_words: Sequence[str] = ()) -> _SessionEars:
        """One that remembers which language was spoken."""
        return _SessionEars(self, hot_words)

    async def hear(
        self, audio: AsyncIterable[AudioFrame], language: str, spoken: SpokenLanguage, hot_words: Sequence[str] = ()
    ) -> AsyncGenerator[Transcript, None]:
        """Transcripts of one turn; where no language is given, ``spoken`` helps and learns."""
        self._admit()
        settings = self._settings
        given = language or settings.language
        turn = IncrementalTurn(self._engine.decode, given or spoken.language, hot_words)
        heard = _OpenTurn(audio, int(settings.max_turn * RATE), self._places, turn)
        gathering = asyncio.create_task(heard.gather())
        try:
            await self._load()
            while (now := self._occasion(heard)) is not Occasion.KNOWN:
                if now is Occasion.WAIT:
                    await heard.news()
                    continue
                said = await self._decode(turn, heard, now)
                if said is not None and not heard.heard.ended and heard.is_news(said):
                    yield said
            final = turn.conclude()
            if not given:
                spoken.heard(turn.known_language, final.confidence if final.text else None)
            yield final
        finally:
            self._turns -= 1
            turn.drop()
            gathering.cancel()
            await asyncio.gather(gathering, return_exceptions=True)

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

    def _occasion(self, heard: _OpenTurn) -> Occasion:
        if heard.error is not None:
            raise heard.error
        return occasion(heard.heard, self._budget, self._turns)

    async def _decode(self, turn: IncrementalTurn, heard: _OpenTurn, now: Occasion) -> Transcript | None:
        """What was understood; None where it was dropped, or there is nothing to do any more once a decoder is free."""
        await heard.take_place(now)
        try:
            now = self._occasion(heard)
            if now in (Occasion.WAIT, Occasion.KNOWN):
                self._places.leave()
                return None
            samples, began = heard.take(), clock.now()
            running = self._start(turn.partial if now is Occasion.PARTIAL else turn.pause)
        except BaseException:  # our own code: the decoder's place is given back
            self._places.leave()
            raise
        running.add_done_callback(self._decoded)
        try:
            said = await self._outcome(running)
        except Unwanted:
            return None
        heard.heard.decoded, heard.heard.cost = samples, clock.now() - began
        return said

    def _decoded(self, running: asyncio.Future[Any]) -> None:
        """A decoder is busy until its thread is done, also when nobody waits for it any more."""
        if not running.cancelled():
            running.exception()
        self._places.leave()

    def _start(self, work: Callable[[], _T]) -> asyncio.Future[_T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _run(self, work: Callable[[], _T]) -> _T:
        return await self._outcome(self._start(work))

    async def _outcome(self, running: asyncio.Future[_T]) -> _T:
        try:
            return await asyncio.shield(running)
        except (ParleyError, TimeoutError, Unwanted):
            raise
        except RuntimeError as error:
            raise EngineError(f"The recogniser {self._engine.name} failed: {error}") from error


class _SessionEars:
    """The recogniser as one session has it: which language is spoken here stays here."""

    def __init__(
        self, shared: ThreadRecognizer, hot_words: Sequence[str] = (), spoken: SpokenLanguage | None = None
    ) -> None:
        self._shared, self._hot_words = shared, tuple(hot_words)
        self._spoken = spoken or SpokenLanguage()

    def transcribe(self, audio: AsyncIterable[AudioFrame], *, language: str = "") -> AsyncGenerator[Transcript, None]:
        return self._shared.hear(audio, language, self._spoken, self._hot_words)

    def for_session(self, hot_words: Sequence[str] = ()) -> _SessionEars:
        return _SessionEars(self._shared, hot_words, self._spoken)

    async def aclose(self) -> None:
        """Left to whoever made the recogniser."""
