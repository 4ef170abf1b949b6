"""A Parley server's voices and ears over HTTP and WebSocket, for plugins of other people's frameworks.

What is imported here is needed by no worker: no gRPC, so that a framework may hold its packages back.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from parley.errors import (
    CapacityError,
    ConfigError,
    InvalidRequest,
    NotFound,
    ParleyError,
    TimedOut,
    Unauthorized,
    UnavailableError,
    from_code,
)

DEFAULT_URL = "http://127.0.0.1:8080"
SPEECH_RATE = 24_000
"""Hz of what voices say here."""
_TOGETHER = 32_000
"""Bytes of sound in one message, at most: half of what a server takes."""
_LONGEST_EVENT = 4 * 1024 * 1024
_BETWEEN = 60.0
"""Seconds that a voice may take for its next sound."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where it is, and the key where it wants one. Raises ConfigError for an address that is none."""

    url: str = DEFAULT_URL
    api_key: str = ""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname:
            raise ConfigError(f"{self.url!r} is no address of a Parley server; it looks like {DEFAULT_URL}.")

    def address(self, path: str, scheme: str = "http") -> str:
        """Of a route; ``scheme``: http or ws, which become https and wss where the server's is."""
        parts = urlsplit(self.url)
        secure = "s" if parts.scheme in ("https", "wss") else ""
        return f"{scheme}{secure}://{parts.netloc}{parts.path.rstrip('/')}{path}"

    @property
    def headers(self) -> dict[str, str]:
        """Who asks."""
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}


# --- ears ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """Somebody speaks."""

    utterance: int
    at: float
    """Seconds of the stream."""


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """What was said is complete; its words may still come."""

    utterance: int
    at: float


@dataclass(frozen=True, slots=True)
class Word:
    """One word and when it was said, in seconds of the stream."""

    text: str
    start: float
    end: float
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What was understood of an utterance so far; the last of it is final. Times are seconds of the stream."""

    utterance: int
    text: str
    final: bool
    stable: int
    start: float
    end: float
    language: str
    confidence: float
    words: tuple[Word, ...]


Hearing = SpeechBegan | SpeechEnded | Heard


class Listening:
    """One stream to the ears: ``async with``, send sound, iterate for what is understood.

    Iteration ends when all is said after :meth:`end`. Raises ParleyError: UnavailableError when nobody is there or the
    connection breaks, Unauthorized, CapacityError, InvalidRequest.
    """

    def __init__(
        self,
        server: Server,
        *,
        sample_rate: int,
        language: str = "",
        silence: float = 0.5,
        timeout: float = 10.0,
    ) -> None:
        self._server, self._timeout = server, timeout
        self._start = {"type": "start", "sample_rate": sample_rate, "language": language, "silence": silence}
        self._connection: ClientConnection | None = None

    @property
    def connection(self) -> ClientConnection | None:
        """The WebSocket below, once there is one."""
        return self._connection

    async def __aenter__(self) -> Self:
        self._connection = await _connected(self._server, self._timeout)
        try:
            await self._say(json.dumps(self._start))
            said = await _next(self._connection)
            if said is None or said["type"] != "started":
                raise UnavailableError("The server does not listen; is it a Parley of this version?")
        except ConnectionClosed as error:
            await self.aclose()
            raise _lost(error) from None
        except BaseException:  # our own code, a cancelled caller among it: nothing stays open
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Hang up. Safe to call twice."""
        if self._connection is not None:
            await self._connection.close()

    async def send(self, pcm: bytes) -> None:
        """Sound: mono s16le at the rate of the stream."""
        for begin in range(0, len(pcm), _TOGETHER):
            await self._say(pcm[begin : begin + _TOGETHER])

    async def commit(self) -> None:
        """What was said is complete: its last words are wanted now."""
        await self._say('{"type": "commit"}')

    async def end(self) -> None:
        """No more sound comes."""
        await self._say('{"type": "end"}')

    async def _say(self, message: str | bytes) -> None:
        assert self._connection is not None
        with suppress(ConnectionClosed):  # who reads hears why
            await self._connection.send(message)

    async def __aiter__(self) -> AsyncIterator[Hearing]:
        assert self._connection is not None
        try:
            while (said := await _next(self._connection)) is not None:
                if said["type"] == "done":
                    return
                if (hearing := _hearing(said)) is not None:
                    yield hearing
        except ConnectionClosed as error:
            raise _lost(error) from None


async def _connected(server: Server, timeout: float) -> ClientConnection:
    address = server.address("/v1/audio/listen", "ws")
    try:
        return await connect(
            address,
            additional_headers=server.headers,
            open_timeout=timeout,
            compression=None,
            max_size=_LONGEST_EVENT,
            user_agent_header="parley",
        )
    except TimeoutError:
        raise TimedOut(f"{address} did not answer within {timeout:g} seconds.") from None
    except InvalidStatus as error:
        status = error.response.status_code
        raise refused(status, f"{address} answers with status {status}.") from None
    except (OSError, InvalidHandshake) as error:
        raise UnavailableError(f"{address} cannot be reached: {error or type(error).__name__}.") from None


async def _next(connection: ClientConnection) -> dict[str, Any] | None:
    """The next message; None for one that is not understood. Raises what an error message says."""
    said = json.loads(await connection.recv())
    if said["type"] == "error":
        raise from_code(said["code"], said["message"])
    return dict(said)


def _lost(error: ConnectionClosed) -> ParleyError:
    return UnavailableError(f"The connection to the ears broke: {error}.")


def _hearing(said: dict[str, Any]) -> Hearing | None:
    """None for what a later server may say."""
    if said["type"] == "speech_started":
        return SpeechBegan(said["utterance"], said["at"])
    if said["type"] == "speech_stopped":
        return SpeechEnded(said["utterance"], said["at"])
    if said["type"] != "transcript":
        return None
    words = tuple(Word(word["word"], word["start"], word["end"], word["confidence"]) for word in said["words"])
    return Heard(
        said["utterance"],
        said["text"],
        said["final"],
        said["stable"],
        said["start"],
        said["end"],
        said["language"],
        said["confidence"],
        words,
    )


# --- voices ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a voice says next."""

    pcm: bytes = b""
    """Mono s16le at 24 kHz."""
    words: tuple[Word, ...] = ()
    """Those that are known with it, in seconds of the text's sound."""


async def speak(
    client: httpx2.AsyncClient,
    server: Server,
    text: str,
    *,
    model: str = "",
    voice: str = "",
    language: str = "",
    speed: float = 1.0,
) -> AsyncGenerator[Spoken, None]:
    """Say a text; closing the generator ends the work behind it. Raises ParleyError, as :class:`Listening` does."""
    asked = {
        "input": text,
        "model": model,
        "voice": voice,
        "language": language,
        "speed": speed,
        "response_format": "pcm",
        "stream_format": "sse",
        "timestamp_granularities": ["word"],
    }
    address = server.address("/v1/audio/speech")
    try:
        async with client.stream("POST", address, json=asked, headers=server.headers, timeout=_BETWEEN) as answer:
            if answer.status_code != httpx2.codes.OK:
                await answer.aread()
                raise _refusal(answer)
            async for line in answer.aiter_lines():
                if line.startswith("data: ") and (spoken := _spoken(json.loads(line[6:]))) is not None:
                    yield spoken
    except httpx2.TimeoutException:
        raise TimedOut(f"{address} did not answer within {_BETWEEN:g} seconds.") from None
    except httpx2.HTTPError as error:
        raise UnavailableError(f"{address} cannot be reached: {error or type(error).__name__}.") from None


def _spoken(event: dict[str, Any]) -> Spoken | None:
    if event["type"] == "speech.audio.delta":
        return Spoken(base64.b64decode(event["audio"]))
    if event["type"] == "speech.audio.words":
        return Spoken(words=tuple(Word(word["word"], word["start"], word["end"]) for word in event["words"]))
    if event["type"] == "error":
        raise from_code(event["error"]["code"], event["error"]["message"])
    return None


def _refusal(answer: httpx2.Response) -> ParleyError:
    """What the server says of it."""
    try:
        told = answer.json()["error"]
        return from_code(str(told["code"]), str(told["message"]))
    except (ValueError, KeyError, TypeError):
        return refused(answer.status_code, f"{answer.url} answers with status {answer.status_code}.")


def refused(status: int, message: str) -> ParleyError:
    """The error that a status of HTTP stands for."""
    if status in (401, 403):
        return Unauthorized(message)
    if status == 404:
        return NotFound(message)
    if status == 429:
        return CapacityError(message, retry_after=1.0)
    return InvalidRequest(message) if status < 500 else UnavailableError(message)
