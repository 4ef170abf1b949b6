"""One connection: messages in, one exchange after the other, messages out."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from parley.api.wyoming import wire
from parley.api.wyoming.asked import format_of, hot_words_of, language_of, text_of, voice_of
from parley.api.wyoming.hearing import Heard, write_down
from parley.api.wyoming.speaking import Spoken, speak
from parley.api.wyoming.wire import Event
from parley.errors import ParleyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parley.api.places import Places
    from parley.api.settings import WyomingSettings
    from parley.interfaces import Recognizer, Synthesizer
    from parley.values import Voice

log = structlog.get_logger(__name__)

_STALL = 30.0
"""Seconds for which a client may not read."""
_LONGEST_PING = 1000
_WAITING = 4
"""Exchanges of a connection that are known at a time; before more of them nothing is read."""


_Work = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Service:
    """What all connections share."""

    settings: WyomingSettings
    voices: Synthesizer
    ears: Recognizer
    places: Places
    info: Callable[[], dict[str, Any]]
    resolve: Callable[[Voice], Voice]
    """The voice that is meant; raises NotFound."""
    forget: Callable[[str], Awaitable[Any]]


@dataclass(eq=False)
class _Exchange:
    """One of a connection's: at work, or waiting for those before it."""

    ending: tuple[Event, ...]
    """What the client reads until, when it fails."""
    last: tuple[Event, ...] = ()
    """What follows what was done."""
    task: asyncio.Task[None] | None = None


class Connection:
    """A client that stays as long as it likes, and says one thing after the other."""

    def __init__(self, service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._service, self._reader, self._writer = service, reader, writer
        self._spoken: Spoken | None = None
        """The text of which more is to come."""
        self._heard: Heard | None = None
        """The recording of which more is to come."""
        self._streaming = False
        """From synthesize-start to synthesize-stop."""
        self._language = ""
        self._hot_words: tuple[str, ...] = ()
        """Of the recording that comes next, as its language."""
        self._refused = False
        """Something of it was."""
        self._exchanges: deque[_Exchange] = deque()
        """In order; all but the first wait."""

    async def run(self) -> None:
        """Until the client leaves, says what is no message, or nothing for too long."""
        try:
            await self._read()
            if self._incomplete:  # nobody is there who could end it
                await self._abandon(self._exchanges[-1])
            if self._at_work:
                # Nobody says anything more: what was said completely is still answered, as far as somebody reads.
                await self._done(0)
        except (ConnectionError, TimeoutError):
            return
        finally:
            await self._abandon(*self._exchanges)
            self._close()

    async def _read(self) -> None:
        try:
            while (event := await self._next()) is not None:
                await self._handle(event)
        except ParleyError as error:
            await self._tell(error)

    async def _next(self) -> Event | None:
        """The next message. Raises TimeoutError when it is the client's turn and nothing comes."""
        reading = asyncio.ensure_future(wire.read(self._reader))
        try:
            while not reading.done():
                done, _ = await asyncio.wait((reading,), timeout=self._service.settings.idle)
                if not done and not self._at_work:
                    raise TimeoutError
            return reading.result()
        finally:
            reading.cancel()

    @property
    def _at_work(self) -> bool:
        """True while the client waits for us."""
        complete = list(self._exchanges)[: -1 if self._incomplete else None]
        return any(one.task is not None and not one.task.done() for one in complete)

    @property
    def _incomplete(self) -> bool:
        """True while the client has more to say of the last exchange."""
        return bool(self._exchanges) and (self._spoken is not None or self._heard is not None)

    async def _handle(self, event: Event) -> None:
        handler = _HANDLERS.get(event.kind)
        if handler is None:
            return  # other programs' events are passed over
        try:
            await handler(self, event.data, event.payload)
        except ParleyError as error:
            if event.kind in _ASIDE or not self._incomplete:
                await self._tell(error)
            else:
                await self._refuse(self._exchanges[-1], error)

    # --- what clients say ----------------------------------------------------------------

    async def _describe(self, _: Mapping[str, Any], __: bytes) -> None:
        await self._send(Event("info", self._service.info()))

    async def _ping(self, data: Mapping[str, Any], _: bytes) -> None:
        await self._send(Event("pong", {"text": text_of(data)[:_LONGEST_PING]} if "text" in data else {}))

    async def _synthesize(self, data: Mapping[str, Any], _: bytes) -> None:
        if self._streaming:
            return  # the whole text once more, for servers that know no pieces
        await self._speak(data, (Event("audio-stop"),))
        if self._spoken is not None:
            self._spoken.add(text_of(data))
            self._spoken.end()
            self._spoken = None

    async def _synthesize_start(self, data: Mapping[str, Any], _: bytes) -> None:
        self._streaming = True
        stopped = Event("synthesize-stopped")
        await self._speak(data, (Event("audio-stop"), stopped), stopped)

    async def _synthesize_chunk(self, data: Mapping[str, Any], _: bytes) -> None:
        if self._streaming and self._spoken is not None:
            self._spoken.add(text_of(data))

    async def _synthesize_stop(self, _: Mapping[str, Any], __: bytes) -> None:
        self._streaming = False
        if self._spoken is not None:
            self._spoken.end()
            self._spoken = None

    async def _transcribe(self, data: Mapping[str, Any], _: bytes) -> None:
        self._language, self._hot_words = language_of(data), hot_words_of(data)

    async def _audio_start(self, data: Mapping[str, Any], _: bytes) -> None:
        await self._make_room()
        self._streaming = False
        exchange = _Exchange((Event("transcript", {"text": ""}), Event("transcript-stop")))
        self._heard = heard = Heard(self._service.settings.longest_audio)
        language, hot_words = self._language, self._hot_words
        self._language, self._hot_words = "", ()
        ears = self._service.ears.for_session(hot_words)
        self._begin(exchange, heard.begun, lambda: write_down(ears, language, heard, self._send))
        format_of(data)

    async def _audio_chunk(self, data: Mapping[str, Any], payload: bytes) -> None:
        if self._heard is not None:
            await self._while_it_lasts(self._heard.add(payload, format_of(data)))

    async def _audio_stop(self, _: Mapping[str, Any], __: bytes) -> None:
        if self._heard is not None:
            self._heard.end()
            self._heard = None

    # --- one exchange after the other ----------------------------------------------------

    async def _speak(self, data: Mapping[str, Any], ending: tuple[Event, ...], *last: Event) -> None:
        await self._make_room()
        service, exchange = self._service, _Exchange(ending, last)
        self._spoken = spoken = Spoken("", service.settings.longest_text)

        async def say() -> None:
            await speak(service.voices, service.resolve(voice), spoken, self._send, service.forget)

        self._begin(exchange, spoken.begun, say)
        voice = voice_of(data)
        spoken.language(voice.language)

    async def _refuse(self, exchange: _Exchange, error: ParleyError) -> None:
        """What the client says of it is wrong: it ends, in its turn, with that."""

        async def refuse() -> None:
            raise error

        await self._abandon(exchange)
        begun = asyncio.Event()
        begun.set()
        self._begin(_Exchange(exchange.ending), begun, refuse)

    def _begin(self, exchange: _Exchange, begun: asyncio.Event, work: _Work) -> None:
        before = self._exchanges[-1].task if self._exchanges else None
        self._exchanges.append(exchange)
        exchange.task = asyncio.create_task(self._carried_out(exchange, before, begun, work), name="wyoming exchange")

    async def _carried_out(
        self,
        exchange: _Exchange,
        before: asyncio.Task[None] | None,
        begun: asyncio.Event,
        work: _Work,
    ) -> None:
        """``begun``: there is something to do; who has announced it and sent nothing takes no place."""
        try:
            if before is not None:
                await asyncio.wait((before,))
            await begun.wait()
            async with self._service.places.one():
                await work()
            for event in exchange.last:
                await self._send(event)
            exchange.ending = ()
        except ParleyError as error:
            if self._exchanges and self._exchanges[-1] is exchange:
                self._spoken = self._heard = None
            await self._fail(exchange, error)

    async def _fail(self, exchange: _Exchange, error: ParleyError) -> None:
        """Say why, and what the client reads until."""
        ending, exchange.ending = exchange.ending, ()
        await self._tell(error)
        for event in ending:
            await self._send(event)

    async def _while_it_lasts(self, waiting: Coroutine[Any, Any, None]) -> None:
        """Wait for room in an exchange that may end, and then never has any."""
        task = asyncio.ensure_future(waiting)
        exchange = self._exchanges[-1].task
        assert exchange is not None
        await asyncio.wait((task, exchange), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
            return
        self._heard = None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _make_room(self) -> None:
        """Before the next exchange: one that is not complete was left by its client, and few may wait."""
        if self._incomplete:
            await self._abandon(self._exchanges[-1])
        await self._done(_WAITING)

    async def _done(self, left: int) -> None:
        """Wait until so many are left at most. Raises what ended one of them, where that is the connection's end."""
        while self._exchanges:
            task = self._exchanges[0].task
            assert task is not None
            if not task.done() and len(self._exchanges) <= left:
                return
            await asyncio.wait((task,))
            self._exchanges.popleft()
            task.result()

    async def _abandon(self, *exchanges: _Exchange) -> None:
        self._spoken = self._heard = None
        tasks = [one.task for one in exchanges if one.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._exchanges = deque(one for one in self._exchanges if one not in exchanges)

    # --- out -----------------------------------------------------------------------------

    async def _send(self, event: Event) -> None:
        if self._writer.is_closing():  # uvloop's transport would raise RuntimeError
            raise ConnectionResetError("The client has gone.")
        self._writer.write(wire.packed(event))
        try:
            async with asyncio.timeout(_STALL):
                await self._writer.drain()
        except TimeoutError:
            self._writer.transport.abort()
            raise

    def _close(self) -> None:
        """Once what is written was read, or at last."""
        transport = self._writer.transport
        transport.close()
        if transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(_STALL, transport.abort)

    async def _tell(self, error: ParleyError) -> None:
        if not self._refused:  # one line for each would let anybody fill a disk
            log.info("a wyoming client was refused", code=error.code)
        self._refused = True
        with contextlib.suppress(ConnectionError, TimeoutError):
            await self._send(Event("error", {"text": error.message, "code": error.code}))


Handler = Callable[[Connection, "Mapping[str, Any]", bytes], Awaitable[None]]
_HANDLERS: dict[str, Handler] = {
    "describe": Connection._describe,
    "ping": Connection._ping,
    "synthesize": Connection._synthesize,
    "synthesize-start": Connection._synthesize_start,
    "synthesize-chunk": Connection._synthesize_chunk,
    "synthesize-stop": Connection._synthesize_stop,
    "transcribe": Connection._transcribe,
    "audio-start": Connection._audio_start,
    "audio-chunk": Connection._audio_chunk,
    "audio-stop": Connection._audio_stop,
}
"""Message -> what is done; everything else is passed over."""
_ASIDE = ("describe", "ping")
"""What is no exchange, and disturbs none."""
