"""``/mcp`` over HTTP: what is not read at all, and who may wait for news."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from parley.api.mcp.asked import Heard, Listen, Models, Said, Say
from parley.api.mcp.endpoint import McpEndpoint
from parley.api.settings import McpSettings
from parley.values import Role

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from parley.api.mcp.server import Progress

pytestmark = pytest.mark.anyio
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "a test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
CLIENT = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "a test", "version": "1"}}


class Open:
    """A gate for everybody."""

    def check_origin(self, origin: str, host: str) -> None: ...
    def check_key(self, key: str, role: Role = Role.TALK, *, tokens: bool = False) -> None: ...


class Ears:
    """Hears how long a recording is, and speaks nothing."""

    aloud, longest_text, largest_recording = False, 1200, 4_400_000

    async def say(self, asked: Say, progress: Progress) -> Said:
        return Said(len(asked.text), 0.0)

    async def listen(self, asked: Listen, progress: Progress) -> Heard:
        return Heard(f"{len(asked.recording)} bytes", 0.0)

    async def models(self) -> Models:
        return Models((), {})


class Asked:
    """One request to the endpoint: its answer as it comes. It ends when ``left`` is set, or by itself."""

    def __init__(self, endpoint: McpEndpoint, method: str, address: str, body: bytes, **headers: str) -> None:
        told = {"accept": "application/json, text/event-stream", "content-type": "application/json", **headers}
        self.scope = {
            "type": "http", "method": method, "path": "/mcp", "query_string": b"", "client": (address, 1),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in told.items()],
        }  # fmt: skip
        self.status, self.headers, self.body = 0, dict[str, str](), b""
        self.begun, self.left = asyncio.Event(), asyncio.Event()
        parts = [body[begin : begin + 65_536] for begin in range(0, len(body), 65_536)] or [b""]
        self._parts = [
            {"type": "http.request", "body": part, "more_body": number < len(parts)}
            for number, part in enumerate(parts, 1)
        ]
        self.task = asyncio.create_task(endpoint(self.scope, self._receive, self._send))

    async def _receive(self) -> Any:
        if self._parts:
            return self._parts.pop(0)
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
            self.begun.set()
        else:
            self.body += message.get("body", b"")

    async def leave(self) -> None:
        self.left.set()
        await self.task


@contextlib.asynccontextmanager
async def served(**settings: Any) -> AsyncGenerator[McpEndpoint]:
    endpoint = McpEndpoint(Open(), McpSettings(**settings), Ears())
    await endpoint.start()
    try:
        yield endpoint
    finally:
        await endpoint.aclose()


async def answered(endpoint: McpEndpoint, body: bytes, *, address: str = "192.0.2.1", **headers: str) -> Asked:
    asked = Asked(endpoint, "POST", address, body, **headers)
    await asked.task
    return asked


def call(name: str, arguments: str) -> tuple[bytes, dict[str, str]]:
    """A call of a tool, and its headers."""
    meta = json.dumps(MODERN)
    params = f'{{"name": "{name}", "arguments": {arguments}, "_meta": {meta}}}'
    body = f'{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {params}}}'.encode()
    return body, {"mcp_protocol_version": "2026-07-28", "mcp_method": "tools/call", "mcp_name": name}


async def session(endpoint: McpEndpoint, address: str = "192.0.2.1") -> dict[str, str]:
    """The headers of a session of the older revisions."""
    message = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": CLIENT}
    opened = await answered(endpoint, json.dumps(message).encode(), address=address)
    assert opened.status == 200, opened.body
    return {"mcp_session_id": opened.headers["mcp-session-id"], "mcp_protocol_version": "2025-06-18"}


@pytest.mark.parametrize(
    "arguments",
    ['{"a": [' + "[]," * 60_000 + "[]]}", '{"a": "' + "é" * 60_000 + '"}', '{"a": ' + '"x",' * 60_000 + "}"],
    ids=["brackets", "text", "strings"],
)
async def test_a_message_is_small_beside_its_recording_and_is_not_read_where_it_is_not(arguments: str) -> None:
    body, headers = call("models", arguments)
    async with served() as endpoint:
        refused = await answered(endpoint, body, **headers)
    assert refused.status == 400
    assert json.loads(refused.body)["message"] == (
        f"A message has at most 79936 bytes beside its recording; this one has {len(body)}."
    )


@pytest.mark.parametrize("escaped", [False, True], ids=["plain", "with slashes escaped"])
async def test_a_recording_may_be_large(escaped: bool) -> None:
    sound = base64.b64encode(bytes(range(256)) * 16_000).decode()
    body, headers = call("listen", f'{{"audio": "{sound.replace("/", chr(92) + "/") if escaped else sound}"}}')
    async with served() as endpoint:
        heard = await answered(endpoint, body, **headers)
    assert heard.status == 200
    assert b"4096000 bytes" in heard.body


async def test_the_longest_of_texts_may_be_written_in_escapes() -> None:
    body, headers = call("say", '{"text": "' + "\\ud83d\\ude00" * 1200 + '"}')
    async with served() as endpoint:
        said = await answered(endpoint, body, **headers)
    assert b"Said 1200 characters" in said.body


async def test_clients_that_wait_for_news_take_no_places_of_requests_and_one_address_not_all() -> None:
    async with served(requests=2, sessions=4) as endpoint:
        sessions = [await session(endpoint) for _ in range(3)]
        sessions.append(await session(endpoint, "192.0.2.2"))
        waiting = [Asked(endpoint, "GET", "192.0.2.1", b"", **one) for one in sessions[:2]]
        for one in waiting:
            await one.begun.wait()
        third = Asked(endpoint, "GET", "192.0.2.1", b"", **sessions[2])
        other = Asked(endpoint, "GET", "192.0.2.2", b"", **sessions[3])
        await other.begun.wait()
        await third.task
        assert [one.status for one in (*waiting, other, third)] == [200, 200, 200, 429]
        assert json.loads(third.body)["message"].startswith("Your address has taken its half of the 4 places")
        body, headers = call("models", "{}")
        assert (await answered(endpoint, body, **headers)).status == 200
        for one in (*waiting, other):
            await one.leave()
        again = Asked(endpoint, "GET", "192.0.2.1", b"", **sessions[2])
        await again.begun.wait()
        assert again.status == 200
        await again.leave()
