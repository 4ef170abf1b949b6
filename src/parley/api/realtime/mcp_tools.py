"""The tools of one session: the server's own, and those of the MCP servers that its client names."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from parley.api.realtime.mcp_events import McpTool
from parley.errors import InvalidRequest
from parley.tools import McpContract, McpServer, Toolbox
from parley.tools.function import Tool

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from parley.api.realtime.mcp_events import McpEvents
    from parley.api.realtime.mcp_servers import Server
    from parley.interfaces import Tools
    from parley.tools.mcp.server import McpConnection
    from parley.values import ToolInfo

    Tell = Callable[[list[dict[str, Any]]], None]

APPROVAL = 120.0
"""Seconds that a client has to approve a call."""
CONNECT = 10.0
"""Seconds that a server may take to tell its tools."""
TIMEOUT = 30.0
"""Seconds that a call may take."""
_CONTRACT = McpContract(timeout=TIMEOUT, confirm=False)
_DENIED = "Not done: the call was not approved."
_NOT_ANSWERED = "Not done: nobody approved the call in time."


class McpTools:
    """``interfaces.Tools`` of a session. ``ours``: the server's; of two of one name, ours count.

    Use :meth:`begin` once the client can be told; close it when the session is over.
    """

    def __init__(self, ours: Tools | None, events: McpEvents) -> None:
        self._ours = ours
        self._events = events
        self._sources: list[_Source] = []
        self._own = Toolbox([], self._sources)
        self._approvals: dict[str, asyncio.Future[tuple[bool, str]]] = {}
        self._tell: Tell = lambda _: None
        self._tasks: set[asyncio.Task[None]] = set()
        self._listing: set[asyncio.Task[None]] = set()
        """Those of them that nobody waits for at the end."""
        self._closed = False

    # --- as Tools --------------------------------------------------------------------------

    def offered(self) -> Sequence[ToolInfo]:
        ours = self._ours.offered() if self._ours is not None else ()
        if not self._sources:
            return ours
        names = {info.name for info in ours}
        return (*ours, *(info for info in self._own.offered() if info.name not in names))

    async def call(self, name: str, arguments: Mapping[str, Any], *, key: str) -> str:
        if self._ours is not None and any(info.name == name for info in self._ours.offered()):
            return await self._ours.call(name, arguments, key=key)
        return await self._own.call(name, arguments, key=key)

    async def aclose(self) -> None:
        """Nothing of the client's servers is left; the server's own tools go on."""
        self._closed = True
        for waiting in self._approvals.values():
            waiting.cancel()
        for listing in self._listing:
            listing.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._own.aclose()

    # --- servers ---------------------------------------------------------------------------

    def begin(self, tell: Tell, servers: Sequence[Server]) -> None:
        """The client can be told, and has these servers."""
        self._tell = tell
        self.use(servers)

    def use(self, servers: Sequence[Server]) -> None:
        """From now on it has these: new ones are asked for their tools, those that are gone are closed."""
        if self._closed:
            return
        for source in [source for source in self._sources if source.server not in servers]:
            self._sources.remove(source)
            self._spawn(source.aclose())
        known = [source.server for source in self._sources]
        for server in servers:
            if server not in known:
                self._sources.append(source := _Source(server, self._approved))
                task = self._spawn(self._list(source))
                self._listing.add(task)
                task.add_done_callback(self._listing.discard)
        self._note()

    async def _list(self, source: _Source) -> None:
        item_id, events = self._events.listing(source.server.label)
        self._tell(events)
        await source.start()
        if source not in self._sources:
            return
        self._note()
        told = self._events.listed(item_id, source.known) if source.listed else self._events.not_listed(item_id)
        self._tell(told)

    def _note(self) -> None:
        """What clients call the tools that there are."""
        self._events.tools = {name: tool for source in self._sources for name, tool in source.by_name().items()}

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name="an MCP server of a session")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- approval --------------------------------------------------------------------------

    async def _approved(self, key: str, tool: McpTool, arguments: Mapping[str, Any]) -> None:
        """Wait until the client approves. Raises InvalidRequest where it does not."""
        request_id, events = self._events.ask(key, tool, arguments)
        waiting = self._approvals[request_id] = asyncio.get_running_loop().create_future()
        self._tell(events)
        try:
            async with asyncio.timeout(APPROVAL):
                approved, reason = await waiting
        except TimeoutError:
            raise InvalidRequest(_NOT_ANSWERED) from None
        finally:
            del self._approvals[request_id]
        if not approved:
            raise InvalidRequest(f"{_DENIED} The reason: {reason}" if reason else _DENIED)
        self._tell(self._events.at_work(key))

    def answer(self, request_id: str, approve: bool, reason: str) -> bool:
        """The client says whether a call is to be made; False where none waits for that."""
        waiting = self._approvals.get(request_id)
        if waiting is None or waiting.done():
            return False
        waiting.set_result((approve, reason))
        return True


class _Source:
    """One server's tools: a ``tools.toolbox.ToolSource``."""

    def __init__(self, server: Server, approved: Callable[[str, McpTool, Mapping[str, Any]], Any]) -> None:
        from parley.tools.mcp.server import McpConnection

        self.server = server
        self._approved = approved
        settings = McpServer(
            server.label, url=server.url, headers=dict(server.headers), contract=_CONTRACT, connect_timeout=CONNECT
        )
        self._connection: McpConnection = McpConnection(settings, literally=True)

    @property
    def listed(self) -> bool:
        """It has told its tools."""
        return self._connection.listed

    @property
    def known(self) -> list[McpTool]:
        """As the client is told of them."""
        return list(self.by_name().values())

    def by_name(self) -> dict[str, McpTool]:
        """By the name that the model knows."""
        found = {}
        for tool in self._connection.tools():
            own, reads = self._connection.own_name(tool.info.name), tool.info.effect == "read"
            if self.server.offered.fits(own, reads):
                asks = self.server.asks(own, reads)
                info = tool.info
                found[info.name] = McpTool(self.server.label, own, info.description, info.parameters, asks)
        return found

    def tools(self) -> Sequence[Tool]:
        """Those that are offered. A call that needs approval counts as one that writes: it never begins on a guess."""
        known = self.by_name()
        return [
            self._asking(tool, known[tool.info.name]) if known[tool.info.name].asks else tool
            for tool in self._connection.tools()
            if tool.info.name in known
        ]

    def _asking(self, tool: Tool, known: McpTool) -> Tool:
        async def run(arguments: Mapping[str, Any], key: str) -> str:
            await self._approved(key, known, arguments)
            return await tool.run(arguments, key)

        longest = APPROVAL + tool.info.timeout + 1
        info = replace(tool.info, effect="write", timeout=longest, filler_after=0, approval=True)
        return Tool(info, run)

    async def start(self) -> None:
        await self._connection.start()

    async def aclose(self) -> None:
        await self._connection.aclose()
