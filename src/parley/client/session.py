"""One session with a Parley server over a WebSocket: microphone frames out, messages and audio in."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self
from urllib.parse import urlsplit, urlunsplit

import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI

from parley import clock
from parley.client.playout import Playout
from parley.errors import InvalidRequest, ParleyError, TimedOut, Unauthorized, UnavailableError, from_code
from parley.hints import command
from parley.messages import (
    ClearAudio,
    ClientMessage,
    EndSession,
    ErrorMessage,
    PauseAudio,
    PlayoutReport,
    ReplyStarted,
    ResumeAudio,
    ServerMessage,
    SessionStarted,
    StartSession,
)
from parley.transports.binary import MICROPHONE_HEADER, AgentAudio, unpack_agent
from parley.transports.codec import decode_server, encode

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import TracebackType

DEFAULT_URL = "ws://127.0.0.1:8080"
PATH = "/v1/session"
REPORT_INTERVAL = 0.1
"""Seconds between playout reports."""
_MAX_EVENTS = 10_000
_MAX_MESSAGE = 4 * 1024 * 1024


class Listener(Protocol):
    """Where the agent's audio goes: ``Playout`` or a real loudspeaker. Moments are ``clock.now()``."""

    @property
    def paused(self) -> bool: ...

    def push(self, frame: AgentAudio, now: float) -> None: ...

    def pause(self, now: float) -> int: ...

    def resume(self, now: float) -> None: ...

    def clear(self, now: float, number: int = 0) -> int: ...

    def position(self, now: float) -> tuple[int, int]: ...

    def silent(self, now: float) -> bool: ...


@dataclass(frozen=True, slots=True)
class Received:
    """A message of the server and when it came."""

    at: float
    message: ServerMessage


class SessionClient:
    """Use as ``async with SessionClient(url, StartSession()) as client``, then iterate for messages.

    Audio goes to ``listener``, which also obeys pause, resume and clear before their messages are
    handed out; playout reports are sent for it. Iteration ends when the server hangs up.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        start: StartSession | None = None,
        *,
        api_key: str = "",
        listener: Listener | None = None,
        open_timeout: float = 10.0,
    ) -> None:
        self.url = session_url(url)
        self.listener: Listener = listener or Playout()
        self.numbers: dict[str, int] = {}
        """Utterance id -> number in binary frames."""
        self.started = SessionStarted("")
        self._ids: dict[int, str] = {}
        self._start = dataclasses.replace(start or StartSession(), playout_reports=True)
        self._api_key = api_key
        self._open_timeout = open_timeout
        self._events: asyncio.Queue[Received | None] = asyncio.Queue(_MAX_EVENTS)
        self._tasks: list[asyncio.Task[None]] = []
        self._connection: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        self._connection = await self._open()
        try:
            with contextlib.suppress(UnavailableError):  # the reason for hanging up is waiting to be read
                await self.send(self._start)
            async with asyncio.timeout(self._open_timeout):
                await self._wait_until_started()
        except TimeoutError:
            await self._connection.close()
            raise TimedOut(f"{self.url} took the connection but did not start a session.") from None
        except BaseException:  # our own code, a cancelled caller among it: nothing stays open
            await self._connection.close()
            raise
        self._tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._report())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._connection is not None
        with contextlib.suppress(ParleyError):
            await self.send(EndSession())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._connection.close()

    async def send(self, message: ClientMessage) -> None:
        """Send a message; UnavailableError when the server has gone."""
        await self._send(encode(message))

    async def send_microphone(self, pcm: bytes) -> None:
        """Send 10 to 60 ms of s16 mono audio at the rate given in the start message."""
        await self._send(MICROPHONE_HEADER + pcm)

    def __aiter__(self) -> AsyncGenerator[Received, None]:
        return self._iterate()

    async def _iterate(self) -> AsyncGenerator[Received, None]:
        while (event := await self._events.get()) is not None:
            yield event

    async def _open(self) -> ClientConnection:
        headers = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
        try:
            return await connect(
                self.url,
                additional_headers=headers,
                compression=None,  # audio hardly shrinks, and deflate costs several times the rest
                max_size=_MAX_MESSAGE,
                open_timeout=self._open_timeout,
                close_timeout=1,
                proxy=None,
            )
        except InvalidURI as error:
            raise InvalidRequest(f"{self.url} is not a WebSocket address; write ws://host:port.") from error
        except InvalidStatus as error:
            raise _refused(self.url, error) from error
        except TimeoutError as error:
            raise TimedOut(f"{self.url} did not answer within {self._open_timeout:g} seconds.") from error
        except (OSError, InvalidHandshake) as error:
            raise UnavailableError(
                f"There is no Parley at {self.url}; start one with `{command('up')}`, or name another with --url."
            ) from error

    async def _send(self, data: bytes | str) -> None:
        assert self._connection is not None
        try:
            await self._connection.send(data)
        except websockets.ConnectionClosed as error:
            raise UnavailableError("The server has closed the session.") from error

    async def _wait_until_started(self) -> None:
        assert self._connection is not None
        try:
            async for data in self._connection:
                if isinstance(data, bytes):
                    continue
                message = decode_server(data)
                if isinstance(message, ErrorMessage) and message.fatal:
                    raise error_of(message)
                self._events.put_nowait(Received(clock.now(), message))
                if isinstance(message, SessionStarted):
                    self.started = message
                    return
        except websockets.ConnectionClosed:
            pass
        raise UnavailableError(f"{self.url} closed the connection before the session had begun.")

    async def _receive(self) -> None:
        assert self._connection is not None
        try:
            async for data in self._connection:
                now = clock.now()
                if isinstance(data, bytes):
                    self.listener.push(unpack_agent(data), now)
                else:
                    await self._obey(decode_server(data), now)
        except websockets.ConnectionClosed:
            pass
        finally:
            with contextlib.suppress(asyncio.QueueFull):
                self._events.put_nowait(None)

    async def _obey(self, message: ServerMessage, now: float) -> None:
        """Do what the message asks of the loudspeaker, then hand it out."""
        match message:
            case PauseAudio():
                await self._report_stop(message.utterance_id, self.listener.pause(now), now)
            case ResumeAudio():
                self.listener.resume(now)
            case ClearAudio():
                sample = self.listener.clear(now, self.numbers.get(message.utterance_id, 0))
                await self._report_stop(message.utterance_id, sample, now)
            case ReplyStarted():
                self.numbers[message.utterance_id] = message.number
                self._ids[message.number] = message.utterance_id
        await self._events.put(Received(now, message))

    async def _report_stop(self, utterance_id: str, sample: int, now: float) -> None:
        await self.send(PlayoutReport(utterance_id, self._reached(utterance_id, sample, now), stopped=True))

    def _reached(self, utterance_id: str, sample: int, now: float) -> int:
        """What was heard of this utterance: nothing yet, while an older one is the last that played."""
        number, _ = self.listener.position(now)
        return sample if self._ids.get(number) == utterance_id else 0

    async def _report(self) -> None:
        """Tell what is being heard, while something is."""
        last = (0, 0)
        with contextlib.suppress(UnavailableError):
            while True:
                await asyncio.sleep(REPORT_INTERVAL)
                position = self.listener.position(clock.now())
                utterance_id = self._ids.get(position[0])
                if position != last and utterance_id is not None:
                    last = position
                    await self.send(PlayoutReport(utterance_id, position[1]))


def session_url(url: str) -> str:
    """Complete what a person types: ``host:port``, ``http://host:port``, ``ws://host:port/v1/session``."""
    if "://" not in url:
        url = f"ws://{url}"
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in ("ws", "wss") or not parts.netloc:
        raise InvalidRequest(f"{url} is not a WebSocket address; write ws://host:port.")
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") or PATH, parts.query, ""))


def error_of(message: ErrorMessage) -> ParleyError:
    """The exception that an error message stands for."""
    return from_code(message.code, message.message)


def _refused(url: str, error: InvalidStatus) -> ParleyError:
    status = error.response.status_code
    if status in (401, 403):
        return Unauthorized(f"{url} refuses this client (HTTP {status}): the origin or the key is not allowed.")
    if status == 503:
        return UnavailableError(f"{url} is not ready yet (HTTP 503); try again in a moment.")
    return UnavailableError(f"{url} is no Parley session endpoint (HTTP {status}).")
