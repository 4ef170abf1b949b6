"""Who answers like a chat endpoint on this machine, and who does not."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from parley import clock
from parley.llm.nearby import NearbyModel, find_nearby, models_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio
LISTED = json.dumps({"object": "list", "data": [{"id": "llama3.2:3b"}, {"id": "qwen3"}]}).encode()


@asynccontextmanager
async def answering(answer: bytes | None, *, stays: bool = False) -> AsyncIterator[int]:
    """Somebody on a port of the loopback; None never answers; ``stays`` keeps the connection open afterwards."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is not None:
            writer.write(answer)
            await writer.drain()
        if answer is None or stays:
            await over.wait()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        over.set()


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def test_a_server_that_lists_models_is_found_with_its_first_model() -> None:
    async with answering(http(LISTED)) as port:
        (found,) = await find_nearby([port])
    assert found == NearbyModel(port, ("llama3.2:3b", "qwen3"))
    assert found.address == f"http://127.0.0.1:{port}/v1#llama3.2:3b"


async def test_one_that_keeps_the_connection_open_is_found_too() -> None:
    async with answering(http(LISTED), stays=True) as port:
        assert len(await find_nearby([port], patience=5)) == 1


async def test_who_never_answers_costs_the_others_nothing() -> None:
    async with answering(None) as mute, answering(http(LISTED)) as port:
        began = clock.now()
        found = await find_nearby([mute, 9, port], patience=0.5)
        took = clock.now() - began
    assert [each.port for each in found] == [port]
    assert took < 5, "the patience bounds it, with room for a busy machine"


@pytest.mark.parametrize(
    "answer",
    [
        http(LISTED, "401 Unauthorized"),
        http(b'{"models": []}'),
        http(b'{"data": []}'),
        http(b'{"data": [{"id": 7}, {"id": ""}, {"id": "a\\nb"}]}'),
        http(b"<html>"),
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"",
    ],
)
def test_whatever_else_answers_is_no_chat_endpoint(answer: bytes) -> None:
    assert models_of(answer) == ()
