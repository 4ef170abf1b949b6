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
    from collections.abc import Callable, Collection, Mapping, Sequence

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
_ROOM = 8
"""Connections to servers that a session may have, those that are being closed among them; more wait."""
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
        self._room = asyncio.Semaphore(_ROOM)
        self._closed = False

    # --- as Tools --------------------------------------------------------------------------

    def offered(self) -> Sequence[ToolInfo]:
        ours = self._ours.offered() if self._ours is not None else ()
        if not self._sources:
            return ours
        names = {info.name for info in ours}
        if not names.isdisjoint(self._events.tools):  # ours come and go as well
            self._note(names)
        return (*ours, *self._own.offered())

    async def call(self, name: str, arguments: Mapping[str, Any], *, key: str) -> str:
        if self._ours is not None and any(info.name == name for info in self._ours.offered()):
            return await self._ours.call(name, arguments, key=key)
        return await self._own.call(name, arguments, key=key)

    async def aclose(self) -> None:
        """Nothing of the client's servers is left; the server's own tools go on."""
        self._closed = True
        self._tell = lambda _: None
        for waiting in self._approvals.values():
            waiting.cancel()
        for source in self._sources:
            if not source.listed:
                source.drop()
        await self._own.aclose()
        for source in self._sources:
            source.drop()
        await asyncio.gather(*self._tasks, return_exceptions=True)

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
            source.drop()
        known = [source.server for source in self._sources]
        for server in servers:
            if server not in known:
                self._sources.append(source := _Source(server, self._approved, self._news))
                source.life = asyncio.get_running_loop().create_task(
                    self._have(source), name="an MCP server of a session"
                )
                self._tasks.add(source.life)
                source.life.add_done_callback(self._tasks.discard)
        self._note(self._our_names())

    async def _have(self, source: _Source) -> None:
        """Ask it for its tools as soon as there is room, and keep it until it is dropped."""
        self._begin_list(source)
        try:
            async with self._room:
                try:
                    await source.start()
                    if source.asked:  # it has not told them
                        self._end_list(source, self._events.not_listed(source.item_id))
                    await asyncio.get_running_loop().create_future()
                finally:
                    await source.aclose()
        finally:
            if source.asked:
                self._end_list(source, self._events.not_listed(source.item_id))
            self._events.forget(source.item_id)

    def _news(self) -> None:
        """A server has told its tools, for the first time or again: so are they who know other ones."""
        if self._closed:
            return
        self._note(self._our_names())
        for source in self._sources:
            if source.listed and (source.asked or source.known != source.told):
                if not source.asked:
                    self._begin_list(source)
                source.told = source.known
                self._end_list(source, self._events.listed(source.item_id, list(source.known.values())))

    def _begin_list(self, source: _Source) -> None:
        self._events.forget(source.item_id)
        source.item_id, events = self._events.listing(source.server.label)
        source.asked = True
        self._tell(events)

    def _end_list(self, source: _Source, events: list[dict[str, Any]]) -> None:
        source.asked = False
        if not self._closed:
            self._tell(events)

    def _our_names(self) -> set[str]:
        return {info.name for info in self._ours.offered()} if self._ours is not None else set()

    def _note(self, taken: set[str]) -> None:
        """What is offered, and what clients call it: the tools that there are, of names that are not ``taken``."""
        tools: dict[str, McpTool] = {}
        for source in self._sources:
            source.note(taken | tools.keys())
            tools |= source.known
        self._events.tools = tools

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

    def __init__(
        self, server: Server, approved: Callable[[str, McpTool, Mapping[str, Any]], Any], news: Callable[[], None]
    ) -> None:
        from parley.tools.mcp.server import McpConnection

        self.server = server
        self.life: asyncio.Task[None] | None = None
        """Has it, and ends when it is closed."""
        self.item_id = ""
        """Of the list that the client was told of last."""
        self.asked = False
        """The client was told that it is asked for its tools, and not yet what came of that."""
        self.known: Mapping[str, McpTool] = {}
        """What is offered of it, by the name that the model knows."""
        self.told: Mapping[str, McpTool] | None = None
        """Of that, what the client was told of."""
        self._tools: Sequence[Tool] = ()
        self._dropped = False
        self._approved = approved
        settings = McpServer(
            server.label, url=server.url, headers=dict(server.headers), contract=_CONTRACT, connect_timeout=CONNECT
        )
        self._connection: McpConnection = McpConnection(settings, literally=True, news=news)

    @property
    def listed(self) -> bool:
        """It has told its tools."""
        return self._connection.listed

    def note(self, taken: Collection[str]) -> None:
        """From now on what it has told is offered, but for names that are ``taken``.

        A call that needs approval counts as one that writes: it never begins on a guess.
        """
        known: dict[str, McpTool] = {}
        tools = []
        for tool in self._connection.tools():
            info = tool.info
            own, reads = self._connection.own_name(info.name), info.effect == "read"
            if info.name in taken or not self.server.offered.fits(own, reads):
                continue
            asks = self.server.asks(own, reads)
            known[info.name] = one = McpTool(self.server.label, own, info.description, info.parameters, asks)
            tools.append(self._asking(tool, one) if asks else tool)
        self.known, self._tools = known, tools

    def tools(self) -> Sequence[Tool]:
        """Those that are offered."""
        return self._tools

    def _asking(self, tool: Tool, known: McpTool) -> Tool:
        async def run(arguments: Mapping[str, Any], key: str) -> str:
            await self._approved(key, known, arguments)
            return await tool.run(arguments, key)

        longest = APPROVAL + tool.info.timeout + 1
        info = replace(tool.info, effect="write", timeout=longest, filler_after=0, approval=True)
        return Tool(info, run)

    async def start(self) -> None:
        await self._connection.start()

    def drop(self) -> None:
        """Nobody wants it any more."""
        if self.life is not None and not self._dropped:
            self._dropped = True  # once: it is being closed then
            self.life.cancel()

    async def aclose(self) -> None:
        await self._connection.aclose()
