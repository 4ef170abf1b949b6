"""The OpenAI bridge against a real HTTP server that streams, hangs, fails and talks rubbish."""

from __future__ import annotations

import asyncio
import contextlib
import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from parley.errors import (
    CapacityError,
    InvalidRequest,
    NotFound,
    ParleyError,
    TimedOut,
    Unauthorized,
    UnavailableError,
)
from parley.llm import LlmSettings, OpenAiSettings, create_language_model
from parley.values import ChatMessage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_tasks_left")]

HELLO = (ChatMessage("user", "Hello"),)


class Endpoint:
    """A chat endpoint on loopback that behaves as a test tells it to."""

    def __init__(self, behave: Callable[[Endpoint, asyncio.StreamWriter], Awaitable[None]]) -> None:
        self.behave = behave
        self.bodies: list[Any] = []
        self.headers: list[str] = []
        self.gone = asyncio.Event()
        self.base_url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.headers.append(head)
            length = next(int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-l"))
            self.bodies.append(json.loads(await reader.readexactly(length)))
            work = asyncio.create_task(self.behave(self, writer))
            await reader.read()
            self.gone.set()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def endpoint(behave: Callable[[Endpoint, asyncio.StreamWriter], Awaitable[None]]) -> AsyncGenerator[Endpoint]:
    it = Endpoint(behave)
    server = await asyncio.start_server(it.serve, "127.0.0.1", 0)
    it.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield it
    finally:
        server.close()
        await asyncio.wait_for(server.wait_closed(), 5)


async def send_head(writer: asyncio.StreamWriter, status: str = "200 OK", kind: str = "text/event-stream") -> None:
    writer.write(f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n".encode())
    await writer.drain()


async def send_delta(writer: asyncio.StreamWriter, text: str | None) -> None:
    event = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    writer.write(f"data: {json.dumps({**event, 'choices': [{'index': 0, 'delta': {'content': text}}]})}\n\n".encode())
    await writer.drain()


def failing(status: str, message: str) -> Callable[[Endpoint, asyncio.StreamWriter], Awaitable[None]]:
    async def fail(_: Endpoint, writer: asyncio.StreamWriter) -> None:
        await send_head(writer, status, "application/json")
        writer.write(json.dumps({"error": {"message": message, "type": "x", "code": None}}).encode())
        await writer.drain()
        writer.close()

    return fail


async def reply(base_url: str, history: tuple[ChatMessage, ...] = HELLO, **settings: Any) -> list[str]:
    options = OpenAiSettings(base_url=base_url, **{"first_timeout": 5.0, "delta_timeout": 5.0, **settings})
    model = create_language_model(LlmSettings(engine="openai", openai=options))
    try:
        async with aclosing(model.reply(history)) as deltas:
            return [str(delta) async for delta in deltas]
    finally:
        await model.aclose()


async def test_deltas_arrive_as_they_are_sent() -> None:
    first_read = asyncio.Event()

    async def behave(_: Endpoint, writer: asyncio.StreamWriter) -> None:
        await send_head(writer)
        await send_delta(writer, None)
        await send_delta(writer, "Good ")
        await first_read.wait()
        await send_delta(writer, "morning.")
        writer.write(b"data: [DONE]\n\n")
        writer.close()

    async with endpoint(behave) as it:
        model = create_language_model(LlmSettings(engine="openai", openai=OpenAiSettings(base_url=it.base_url)))
        async with aclosing(model.reply(HELLO)) as deltas:
            assert await anext(deltas) == "Good "
            first_read.set()
            assert [delta async for delta in deltas] == ["morning."]
        await model.aclose()


async def test_the_endpoint_is_sent_prompt_history_key_and_bounds() -> None:
    async def behave(_: Endpoint, writer: asyncio.StreamWriter) -> None:
        await send_head(writer)
        writer.write(b"data: [DONE]\n\n")
        writer.close()

    history = tuple(ChatMessage("user", str(number)) for number in range(5))
    async with endpoint(behave) as it:
        await reply(
            it.base_url, history, system_prompt="Be kind.", history_messages=2, api_key="k1", max_tokens=9, model="tiny"
        )
        body = it.bodies[0]
    assert [message["content"] for message in body["messages"]] == ["Be kind.", "3", "4"]
    assert (body["model"], body["max_tokens"], body["stream"], "temperature" in body) == ("tiny", 9, True, False)
    assert "Bearer k1" in it.headers[0]


async def test_a_prompt_of_the_session_replaces_ours() -> None:
    async def behave(_: Endpoint, writer: asyncio.StreamWriter) -> None:
        await send_head(writer)
        writer.write(b"data: [DONE]\n\n")
        writer.close()

    async with endpoint(behave) as it:
        await reply(it.base_url, (ChatMessage("system", "Be brief."), *HELLO), history_messages=1)
        assert [message["content"] for message in it.bodies[0]["messages"]] == ["Be brief.", "Hello"]


async def test_closing_the_reply_hangs_up_on_the_endpoint() -> None:
    async def behave(_: Endpoint, writer: asyncio.StreamWriter) -> None:
        await send_head(writer)
        await send_delta(writer, "One")
        await asyncio.Event().wait()

    async with endpoint(behave) as it:
        model = create_language_model(LlmSettings(engine="openai", openai=OpenAiSettings(base_url=it.base_url)))
        async with aclosing(model.reply(HELLO)) as deltas:
            await anext(deltas)
        async with asyncio.timeout(5):
            await it.gone.wait()
        await model.aclose()


async def test_a_hanging_endpoint_is_given_up() -> None:
    async def behave(_: Endpoint, __: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with endpoint(behave) as it:
        with pytest.raises(TimedOut, match="sent nothing for"):
            await reply(it.base_url, first_timeout=0.1)


async def test_an_endpoint_that_falls_silent_in_mid_reply_is_given_up() -> None:
    async def behave(_: Endpoint, writer: asyncio.StreamWriter) -> None:
        await send_head(writer)
        await send_delta(writer, "One")
        await asyncio.Event().wait()

    async with endpoint(behave) as it:
        with pytest.raises(TimedOut, match=r"0\.1 seconds"):
            await reply(it.base_url, delta_timeout=0.1)


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        ("401 Unauthorized", Unauthorized, r"llm\.openai\.api_key"),
        ("404 Not Found", NotFound, "has no model"),
        ("429 Too Many Requests", CapacityError, "too many requests"),
        ("400 Bad Request", InvalidRequest, "it says why"),
        ("500 Internal Server Error", UnavailableError, "status 500: it says why"),
    ],
)
async def test_a_refusal_is_told_in_a_sentence(status: str, kind: type[ParleyError], words: str) -> None:
    async with endpoint(failing(status, "it says why.")) as it:
        with pytest.raises(kind, match=words):
            await reply(it.base_url)


async def test_nobody_there_is_told_at_once() -> None:
    with pytest.raises(UnavailableError, match="cannot be reached"):
        await reply("http://127.0.0.1:9/v1")


async def test_a_connection_that_breaks_in_mid_reply_is_unavailable() -> None:
    async def behave(_: Endpoint, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n")
        await writer.drain()
        writer.close()

    async with endpoint(behave) as it:
        with pytest.raises(UnavailableError, match="broke off"):
            await reply(it.base_url)


@pytest.mark.parametrize("garbage", [b"data: {]\n\n", b"data: 5\n\n", b'data: {"choices": 7}\n\n', b"\xff\xfe\n\n"])
async def test_garbage_is_an_error_or_nothing_but_never_a_crash(garbage: bytes) -> None:
    async def behave(_: Endpoint, writer: asyncio.StreamWriter) -> None:
        await send_head(writer)
        writer.write(garbage)
        await writer.drain()
        writer.close()

    async with endpoint(behave) as it:
        with contextlib.suppress(ParleyError):
            assert await reply(it.base_url) == []
