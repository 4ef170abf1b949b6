"""What clients are told of an MCP server's tools is what is offered, however and whenever the server tells them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Any

import anyio
import pytest
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from parley.api.realtime.mcp_servers import Server, read_server, servers
from parley.api.realtime.mcp_tools import McpTools
from parley.api.realtime.server_events import ServerEvents
from parley.orders import CallNoted, ReplyBegun
from parley.tools import Tool, Toolbox
from parley.tools.mcp import server as connection
from parley.tools.mcp import told
from parley.values import ToolInfo

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20)]
SETTINGS = {"output_modalities": ["text"], "max_output_tokens": "inf", "audio": {"output": {}}}
BEGIN = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {"listChanged": True}}}
BEGIN |= {"serverInfo": {"name": "house", "version": "1"}}


class House:
    """An MCP server in memory; ``tools`` are the names that it tells."""

    def __init__(self) -> None:
        self.tools = ["lamps"]
        self.schema: dict[str, Any] = {"type": "object"}
        self.down = self.silent = False
        self.asked = asyncio.Event()
        self.may_close = asyncio.Event()
        self.may_close.set()
        self.open = self.most = 0
        self._say: Callable[[dict[str, Any]], Any] = lambda _: None

    @contextlib.asynccontextmanager
    async def address(self, url: str, headers: Any) -> AsyncGenerator[Any]:
        if self.down:
            raise OSError
        answers_in, answers = anyio.create_memory_object_stream[SessionMessage | Exception](16)
        asked_in, asked = anyio.create_memory_object_stream[SessionMessage](16)
        self.open += 1
        self.most = max(self.most, self.open)

        async def say(message: dict[str, Any]) -> None:
            line = json.dumps({"jsonrpc": "2.0", **message})
            await answers_in.send(SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False)))

        async def serve() -> None:
            async for sent in asked:
                request = sent.message.model_dump(by_alias=True, exclude_unset=True)
                if "id" in request and not (self.silent and request["method"] == "tools/list"):
                    await say({"id": request["id"], **self._answer(request)})
                if request.get("method") == "tools/list":
                    self.asked.set()

        self._say = say
        serving = asyncio.create_task(serve())
        try:
            yield answers, asked_in
        finally:
            try:
                await self.may_close.wait()
            finally:
                self.open -= 1
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)
                for stream in (answers_in, answers, asked_in, asked):
                    stream.close()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["method"]:
            case "initialize":
                return {"result": BEGIN}
            case "tools/list":
                return {"result": {"tools": [{"name": name, "inputSchema": self.schema} for name in self.tools]}}
            case "tools/call":
                return {"result": {"content": [{"type": "text", "text": f"{request['params']['name']} done"}]}}
        return {"error": {"code": -32601, "message": "no"}}

    async def change(self, *tools: str) -> None:
        """It has these now, and says so."""
        self.tools = list(tools)
        await self._say({"method": "notifications/tools/list_changed"})


class Client:
    """What a client is told."""

    def __init__(self, ours: Toolbox | None = None) -> None:
        numbers = itertools.count(1)
        self.events = ServerEvents(lambda prefix: f"{prefix}_{next(numbers)}", lambda: SETTINGS, lambda: False)
        self.tools = McpTools(ours, self.events.mcp)
        self.told: list[dict[str, Any]] = []
        self._news = asyncio.Event()

    def begin(self, *wanted: Server) -> None:
        self.tools.begin(self._hear, wanted)

    def _hear(self, events: list[dict[str, Any]]) -> None:
        self.told += events
        self._news.set()

    async def until(self, kind: str, number: int = 1) -> dict[str, Any]:
        """The so-manieth event of this kind."""
        while len(found := [event for event in self.told if event["type"] == kind]) < number:
            self._news.clear()
            await self._news.wait()
        return found[number - 1]

    def lists(self) -> list[list[str]]:
        """The names in each list of tools that it was told."""
        items = [event["item"] for event in self.told if event["type"] == "conversation.item.done"]
        return [[tool["name"] for tool in item["tools"]] for item in items if item["type"] == "mcp_list_tools"]

    @property
    def offered(self) -> list[str]:
        return [info.name for info in self.tools.offered()]


@pytest.fixture
async def house(monkeypatch: pytest.MonkeyPatch) -> House:
    it = House()
    monkeypatch.setattr(connection, "address", it.address)
    return it


@contextlib.asynccontextmanager
async def client(ours: Toolbox | None = None) -> AsyncGenerator[Client]:
    it = Client(ours)
    try:
        yield it
    finally:
        await it.tools.aclose()


def named(label: str = "house", **more: Any) -> Server:
    data = {"type": "mcp", "server_label": label, "server_url": "http://127.0.0.1:9/mcp", **more}
    return servers([read_server(data, "tools[0]")])[0]


async def test_schemas_are_checked_beside_the_loop_and_each_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    threads, fits = [], told._fits

    def noting(schema: Any) -> bool:
        threads.append(threading.get_ident())
        return fits(schema)

    monkeypatch.setattr(told, "_fits", noting)
    house.tools, house.schema = ["lamps", "doors"], {"type": "object", "title": "Only of this test."}
    for _ in range(2):
        async with client() as known:
            known.begin(named())
            await known.until("mcp_list_tools.completed")
            assert known.lists() == [["lamps", "doors"]]
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


async def test_a_server_that_lists_late_is_told_and_its_calls_ask(house: House) -> None:
    house.down = True
    async with client() as known:
        known.begin(named())
        await known.until("mcp_list_tools.failed")
        assert known.offered == []
        house.down = False
        await known.until("mcp_list_tools.completed")
        assert (known.lists(), known.offered) == ([["lamps"]], ["house_lamps"])
        known.events.notice(ReplyBegun("u1", "", text_only=True, beside=False))
        call = asyncio.create_task(known.tools.call("house_lamps", {}, key="s:1"))
        noted = CallNoted("u1", "s:1", "item_1", "", "house_lamps", "{}", "running", "", "")
        known._hear(known.events.notice(noted))
        request = (await known.until("conversation.item.done", 2))["item"]
        assert request["type"] == "mcp_approval_request"
        assert known.tools.answer(request["id"], True, "")
        assert await call == "lamps done"


async def test_a_list_that_changes_is_told_again_and_only_then(house: House) -> None:
    async with client() as known:
        known.begin(named(require_approval="never"))
        await known.until("mcp_list_tools.completed")
        (first,) = {event["item_id"] for event in known.told if event["type"] == "mcp_list_tools.completed"}
        house.asked.clear()
        await house.change("lamps")
        await house.asked.wait()
        await house.change("lamps", "doors")
        second = (await known.until("mcp_list_tools.completed", 2))["item_id"]
        assert known.lists() == [["lamps"], ["lamps", "doors"]]
        assert known.offered == list(known.events.mcp.tools) == ["house_lamps", "house_doors"]
        assert known.events.mcp.retrieve(first) is None
        assert known.events.mcp.retrieve(second) is not None


async def test_a_name_of_ours_is_no_tool_of_the_client_s(house: House) -> None:
    async def ours(arguments: Any, key: str) -> str:
        return "Ours."

    house.tools = ["lamps", "doors"]
    async with client(Toolbox([Tool(ToolInfo("house_lamps", "Ours."), ours)])) as known:
        known.begin(named(require_approval="never"))
        await known.until("mcp_list_tools.completed")
        assert known.lists() == [["doors"]]
        assert (known.offered, list(known.events.mcp.tools)) == (["house_lamps", "house_doors"], ["house_doors"])
        assert await known.tools.call("house_lamps", {}, key="1") == "Ours."
        assert await known.tools.call("house_doors", {}, key="2") == "doors done"


async def test_of_two_servers_tools_of_one_name_one_is_offered(house: House) -> None:
    house.tools = ["b_c", "c"]
    async with client() as known:
        known.begin(named("a", allowed_tools=["b_c"]), named("a_b", allowed_tools=["c"]))
        await known.until("mcp_list_tools.completed", 2)
        assert known.offered == list(known.events.mcp.tools) == ["a_b_c"]


async def test_a_session_that_changes_its_servers_again_and_again_has_few_connections(house: House) -> None:
    async with client() as known:
        house.may_close.clear()
        known.begin()
        for number in range(20):
            house.asked.clear()
            known.tools.use([named(f"s{number}"), named(f"t{number}")])
            if number < 4:
                await house.asked.wait()
                await known.until("mcp_list_tools.completed", 2 * number + 2)
        await known.until("mcp_list_tools.in_progress", 10)
        assert house.open == house.most == 8
        house.may_close.set()
        await known.until("mcp_list_tools.completed", 10)
        assert known.offered == ["s19_lamps", "t19_lamps"]
        begun = [event["item_id"] for event in known.told if event["type"] == "mcp_list_tools.in_progress"]
        assert len([item_id for item_id in begun if known.events.mcp.retrieve(item_id)]) == 2
        assert house.most == 8
    assert house.open == 0


async def test_a_server_that_is_being_asked_keeps_no_session_from_its_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_CLOSING", 3600.0)
    house.silent = True
    known = Client()
    known.begin(named())
    await house.asked.wait()
    async with asyncio.timeout(5):
        await known.tools.aclose()
    assert house.open == 0


async def test_a_server_that_goes_while_it_is_asked_has_failed(house: House) -> None:
    house.silent = True
    async with client() as known:
        known.begin(named())
        begun = await known.until("mcp_list_tools.in_progress")
        await house.asked.wait()
        known.tools.use([])
        assert (await known.until("mcp_list_tools.failed"))["item_id"] == begun["item_id"]
