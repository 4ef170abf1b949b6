"""The WebSocket ``/v1/audio/listen`` (docs/reference/listening.md)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog
from starlette.responses import JSONResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from parley import clock
from parley.allowance import Allowance
from parley.api.listening import asked, told
from parley.api.listening.recognition import Recognition, Utterance
from parley.api.listening.utterances import Began, Sound, Utterances
from parley.api.places import Places
from parley.audio.resample import ASR_RATE
from parley.errors import InvalidRequest, ParleyError, TimedOut
from parley.transports.bounds import CROWDED
from parley.transports.intake import Intake, weight
from parley.transports.websocket import close, close_code

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from numpy.typing import NDArray
    from starlette.websockets import WebSocket

    from parley.api.settings import ApiSettings
    from parley.interfaces import Recognizer, VoiceActivityDetector
    from parley.server.at_work import AtWork
    from parley.transports.bounds import Excess
    from parley.transports.host import WebSocketHost
    from parley.values import Transcript

log = structlog.get_logger(__name__)

_BLOCK = ASR_RATE // 50
_BLOCKS_TOGETHER = 5
"""Blocks of 20 ms after which everybody else's work comes first."""
_INTERNAL = 1011


class Listening:
    """The route over the ears that conversations use; ``make_vad`` makes a detector for one stream.

    ``at_work``: knows who listens, and whether anybody may begin.
    """

    def __init__(
        self,
        host: WebSocketHost,
        settings: ApiSettings,
        recognizer: Recognizer,
        make_vad: Callable[[], VoiceActivityDetector],
        at_work: AtWork,
    ) -> None:
        self._host, self._settings = host, settings
        self._recognizer, self._make_vad = recognizer, make_vad
        self._places = Places(settings.listening_at_once, "streams", "api.listening_at_once", at_work)
        self.routes = [WebSocketRoute("/v1/audio/listen", self._listen)]

    async def _listen(self, websocket: WebSocket) -> None:
        host = self._host
        try:
            host.check_origin(websocket.headers.get("origin", ""), websocket.headers.get("host", ""))
        except ParleyError as error:
            await websocket.send_denial_response(JSONResponse({"code": error.code, "message": error.message}, 403))
            return
        await websocket.accept()
        connection = _Connection(websocket, host)
        try:
            scheme, _, key = websocket.headers.get("authorization", "").partition(" ")
            host.check_key(key.strip() if scheme.lower() == "bearer" else "")
            async with self._places.one():
                await self._serve(connection)
        except ParleyError as error:
            await connection.fail(error, close_code(error))
        except (WebSocketDisconnect, _LeftError):
            return
        except Exception:  # our own code: the client is told before the server's log is
            await connection.fail(ParleyError("Listening failed; the server's log says why."), _INTERNAL)
            raise
        else:
            await close(websocket, 1000, "")

    async def _serve(self, connection: _Connection) -> None:
        start = await connection.start()
        await connection.send(told.STARTED)
        stream = _Stream(connection, start, self._settings, self._recognizer, self._make_vad())
        reading = asyncio.create_task(stream.read())
        writing = asyncio.create_task(stream.recognition.run())
        try:
            await asyncio.wait((reading, writing), return_when=asyncio.FIRST_COMPLETED)
            for task in (writing, reading):
                if task.done():
                    task.result()
            await writing
        finally:
            for task in (reading, writing):
                task.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)
        await connection.send(told.done(stream.utterances.seconds))


class _LeftError(Exception):
    """The client is gone."""


class _Connection:
    """An accepted WebSocket, with its bounds."""

    def __init__(self, websocket: WebSocket, host: WebSocketHost) -> None:
        self._websocket, self._bounds, self._settings = websocket, host.bounds, host.websocket
        self._intake = Intake(host.bounds.settings)
        self._heard_from = 0.0

    async def start(self) -> asked.Start:
        """The first message. Raises TimedOut, InvalidRequest."""
        text = await self._next(self._settings.start_timeout, "No start message came")
        start = asked.message(text) if isinstance(text, str) else None
        if not isinstance(start, asked.Start):
            raise InvalidRequest('The first message must be a text message of type "start".')
        return start

    async def messages(self) -> AsyncIterator[asked.Commit | asked.End | bytes]:
        """What comes, until nothing comes for too long. Raises TimedOut, InvalidRequest, TooManyRequests."""
        while True:
            data = await self._next(self._settings.idle_timeout, "Nothing was heard from the client")
            if isinstance(data, bytes):
                yield data
                continue
            await self.wait("message", self._intake.message_wait(clock.now(), weight(data)))
            message = asked.message(data)
            if isinstance(message, asked.Start):
                raise InvalidRequest("The stream has already started; open a new connection for another one.")
            yield message

    async def send(self, text: str) -> None:
        """Say something; a client that does not read is given up."""
        try:
            async with asyncio.timeout(self._settings.stall_timeout):
                await self._websocket.send_text(text)
        except TimeoutError:
            raise TimedOut(f"The client took no data for {self._settings.stall_timeout:g} seconds.") from None
        except RuntimeError:  # what Starlette says of a connection that is closed
            raise _LeftError from None

    async def fail(self, error: ParleyError, code: int) -> None:
        """Say why, and hang up."""
        log.info("listening ended early", code=error.code, reason=error.message)
        with suppress(ParleyError, _LeftError, WebSocketDisconnect):
            await self.send(told.failure(error))
        await close(self._websocket, code, error.code)

    async def wait(self, kind: Excess, seconds: float) -> None:
        """Read nothing for so long, so that who sends too much waits."""
        if seconds:
            self._bounds.tally.excess(kind, "waited")
            await asyncio.sleep(seconds)
            self._heard_from = clock.now()

    async def give_way(self) -> None:
        """Others first."""
        await self._bounds.crowd.pass_through()

    async def _next(self, patience: float, otherwise: str) -> str | bytes:
        try:
            async with asyncio.timeout(patience):
                event = await self._websocket.receive()
        except TimeoutError:
            raise TimedOut(f"{otherwise} for {patience:g} seconds.") from None
        if event["type"] != "websocket.receive":
            raise _LeftError
        now = clock.now()
        if now - self._heard_from < CROWDED:
            await self.give_way()
        self._heard_from = now
        data: str | bytes | None = event.get("bytes")
        if data is None:
            data = str(event["text"])
        if len(data) > self._bounds.settings.max_message_bytes:
            raise InvalidRequest(
                f"A message may have at most {self._bounds.settings.max_message_bytes} bytes; this one has {len(data)}."
            )
        return data


class _Stream:
    """One client's sound on its way to its words."""

    def __init__(
        self,
        connection: _Connection,
        start: asked.Start,
        settings: ApiSettings,
        recognizer: Recognizer,
        vad: VoiceActivityDetector,
    ) -> None:
        self.utterances = Utterances(start.silence, settings.longest_utterance, start.detection)
        self.recognition = Recognition(recognizer, start.language, self._understood)
        self._connection, self._vad = connection, vad
        self._pace = Allowance(burst=settings.listening_burst, per_second=settings.listening_rate)
        self._bytes_per_second = 2 * start.sample_rate
        self._resampler = _resampler(start.sample_rate)
        self._number = 0
        self._open: Utterance | None = None

    async def read(self) -> None:
        """Take what comes until the client says that it was all."""
        async for message in self._connection.messages():
            if isinstance(message, bytes):
                seconds = len(message) / self._bytes_per_second
                await self._connection.wait("audio", self._pace.owe(clock.now(), seconds))
                await self._hear(self._samples(message))
                continue
            if isinstance(message, asked.End):
                await self._hear(self._samples(None))
            await self._follow(self.utterances.commit())
            if isinstance(message, asked.End):
                break
        self.recognition.end()

    def _samples(self, pcm: bytes | None) -> NDArray[np.int16]:
        """At 16 kHz; None for what the resampler holds back."""
        samples = np.frombuffer((pcm or b"")[: len(pcm or b"") // 2 * 2], "<i2")
        if self._resampler is None:
            return samples
        resampled: NDArray[np.int16] = self._resampler.resample_chunk(samples, last=pcm is None)
        return resampled

    async def _hear(self, samples: NDArray[np.int16]) -> None:
        for number, begin in enumerate(range(0, samples.size, _BLOCK), 1):
            block = samples[begin : begin + _BLOCK]
            await self._follow(self.utterances.take(block, self._vad.score(block)))
            if number % _BLOCKS_TOGETHER == 0:
                await self._connection.give_way()

    async def _follow(self, events: list[Any]) -> None:
        for event in events:
            if isinstance(event, Began):
                self._number += 1
                self._open = Utterance(self._number, event.at)
                self.recognition.follow(self._open)
                await self._connection.send(told.speech("speech_started", self._number, event.at))
                continue
            assert self._open is not None
            if isinstance(event, Sound):
                self._open.add(event)
                await self.recognition.room()
            else:
                self._open.complete(event.at)
                await self._connection.send(told.speech("speech_stopped", self._number, event.at))

    async def _understood(self, utterance: Utterance, said: Transcript) -> None:
        end = utterance.end or self.utterances.seconds
        await self._connection.send(told.transcript(utterance.number, utterance.begin, end, said))


def _resampler(rate: int) -> Any:
    from soxr import ResampleStream

    return None if rate == ASR_RATE else ResampleStream(rate, ASR_RATE, 1, dtype="int16")
