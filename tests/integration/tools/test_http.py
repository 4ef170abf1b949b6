"""HTTP tools against a real server: what is sent, what is told, and what goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from parley.errors import ConfigError, InvalidRequest, TimedOut, UnavailableError, Unreached
from parley.tools import HttpTool, Toolbox, ToolSettings, create_tools

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_tasks_left")]

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}


class Server:
    """Answers each request with ``status`` and ``body``, after ``delay`` seconds."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.status, self.body, self.delay = "200 OK", b"Sunny.", 0.0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.requests.append((lines[0], headers, body))
            if self.delay:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(), self.delay)  # who asked may hang up
            writer.write(f"HTTP/1.1 {self.status}\r\nConnection: close\r\n\r\n".encode() + self.body)
            await writer.drain()
        writer.close()


@pytest.fixture
async def server() -> AsyncGenerator[Server]:
    it = Server()
    listening = await asyncio.start_server(it.serve, "127.0.0.1", 0)
    it.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield it
    listening.close()


@contextlib.asynccontextmanager
async def weather(url: str, **more: Any) -> AsyncGenerator[Toolbox]:
    box = create_tools(ToolSettings(http=(HttpTool("weather", "", url, parameters=PARAMETERS, **more),)), script=False)
    assert box is not None
    try:
        yield box
    finally:
        await box.aclose()


async def test_arguments_go_as_json_with_the_key_of_the_call(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEATHER_KEY", "Bearer secret")
    headers = {"Authorization": "$WEATHER_KEY"}
    async with weather(f"{server.url}/weather", headers=headers) as box:
        assert await box.call("weather", {"city": "Rome", "days": 2}, key="s:1:c1") == "Sunny."
    ((line, sent, body),) = server.requests
    assert line == "POST /weather HTTP/1.1"
    assert (sent["idempotency-key"], sent["authorization"]) == ("s:1:c1", "Bearer secret")
    assert json.loads(body) == {"city": "Rome", "days": 2}


async def test_arguments_stand_in_the_address_where_it_names_them_and_behind_it_with_get(server: Server) -> None:
    async with weather(f"{server.url}/cities/{{city}}/weather", method="GET") as box:
        await box.call("weather", {"city": "../a b", "days": 2}, key="k")
    assert server.requests[0][0] == "GET /cities/..%2Fa%20b/weather?days=2 HTTP/1.1"


@pytest.mark.parametrize(
    ("status", "error"), [("422 Unprocessable", InvalidRequest), ("500 Broken", UnavailableError),
                          ("302 Found", UnavailableError)]
)  # fmt: skip
async def test_a_refusal_is_told_with_what_the_endpoint_says(
    server: Server, status: str, error: type[Exception]
) -> None:
    server.status, server.body = status, b'{"detail": "no such city"}'
    async with weather(server.url) as box:
        with pytest.raises(error, match=f"status {status[:3]}: .*no such city"):
            await box.call("weather", {"city": "Rome"}, key="k")


async def test_an_answer_without_end_is_read_up_to_a_bound(server: Server) -> None:
    server.body = b"x" * 3_000_000
    async with weather(server.url) as box:
        answer = await box.call("weather", {"city": "Rome"}, key="k")
    assert len(answer) < 150_000
    assert answer.endswith("(the rest was not read)")


async def test_an_endpoint_that_hangs_or_is_not_there_is_said(server: Server) -> None:
    server.delay = 30.0
    async with weather(server.url, timeout=0.2) as box:
        with pytest.raises(TimedOut, match=r"weather took longer than 0\.2 seconds"):
            await box.call("weather", {"city": "Rome"}, key="k")
    async with weather("http://127.0.0.1:1/") as box:
        with pytest.raises(Unreached, match="cannot be reached"):
            await box.call("weather", {"city": "Rome"}, key="k")


async def test_an_endpoint_that_hangs_up_may_have_done_it(server: Server) -> None:
    server.status = "\r\n"
    async with weather(server.url) as box:
        with pytest.raises(UnavailableError, match="gave no whole answer") as told:
            await box.call("weather", {"city": "Rome"}, key="k")
    assert server.requests
    assert not isinstance(told.value, Unreached)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"url": "ftp://example.org"}, "no http address"),
        ({"url": "http://example.org/{town}"}, "has no parameter town|names town"),
        ({"name": "the weather"}, "cannot be called"),
        ({"headers": {"Authorization": "$NOT_THERE_AT_ALL"}}, "NOT_THERE_AT_ALL, which is not set"),
    ],
)
async def test_what_cannot_be_a_tool_is_said_at_the_start(change: dict[str, Any], told: str) -> None:
    one = replace(HttpTool("weather", "", "http://example.org"), **change)
    with pytest.raises(ConfigError, match=told):
        create_tools(ToolSettings(http=(one,)), script=False)
