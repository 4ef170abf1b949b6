"""One MCP server: connected to, listed, called, and connected to again when it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from typing import TYPE_CHECKING, Any

import httpx2
import structlog
from mcp import Client, MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    REQUEST_TIMEOUT,
    Implementation,
    ToolListChangedNotification,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from parley import __version__, clock
from parley.children.backoff import Backoff
from parley.errors import ConfigError, InvalidRequest, ParleyError, TimedOut, UnavailableError, Unreached
from parley.tools.function import Tool
from parley.tools.mcp import told
from parley.tools.mcp.addresses import is_address
from parley.tools.mcp.process import Program
from parley.tools.mcp.web import address
from parley.tools.secrets import from_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from parley.tools.settings import McpServer
    from parley.values import ToolInfo

log = structlog.get_logger(__name__)

_PAGES = 20
"""Of a list of tools that are read."""
_SOONEST = 1.0
"""Seconds between two lists."""
_LONGEST_WAIT = 30.0
_CLOSING = 8.0
"""Seconds that closing may take: a program has two to end by itself, and is ended within two more."""
_NOT_BEGUN = (METHOD_NOT_FOUND, INVALID_PARAMS)
"""Codes of a server that has done nothing. With all others, the library's own among them, it may have been done."""
_FAILED = 2_000
"""Characters of a tool's own words about its failure."""


class McpConnection:
    """A server's tools over one connection. Raises ConfigError for settings that cannot be one.

    A task of its own holds the connection. While it is lost, the tools stay offered, and a call of one is told that
    its server is not there. ``modes``: how it is spoken to, and how when that has not led anywhere. ``literally``: its
    headers are somebody else's words, in which nothing stands for a variable of ours. ``news`` is called whenever it
    has told its tools.
    """

    def __init__(
        self,
        settings: McpServer,
        *,
        modes: tuple[str, str] = ("auto", "legacy"),
        literally: bool = False,
        news: Callable[[], None] = lambda: None,
    ) -> None:
        _check(settings)
        self.name = settings.name
        self._settings = settings
        self._env = _secrets(settings.name, settings.env)
        self._headers = dict(settings.headers) if literally else _secrets(settings.name, settings.headers)
        self._tools: Sequence[Tool] = ()
        self._own_names: Mapping[str, str] = {}
        self._news = news
        self._client: Client | None = None
        self._tried = asyncio.Event()
        self._closing = asyncio.Event()
        self._stale = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._program: Program | None = None
        self._modes = modes
        self._listed = False
        """It has told its tools since it was connected to last."""

    def tools(self) -> Sequence[Tool]:
        """Those that it had when it was last asked."""
        return self._tools

    @property
    def listed(self) -> bool:
        """It is there, and has told its tools."""
        return self._client is not None

    def own_name(self, name: str) -> str:
        """What the server itself calls a tool of this name."""
        return self._own_names[name]

    async def start(self) -> None:
        """Connect; returns when it has told its tools, or has failed once, or takes too long. It is tried on and on."""
        if self._closing.is_set():
            return
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"MCP server {self.name}")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.connect_timeout):
                await self._tried.wait()
        if not self._tried.is_set():
            log.warning("a tool server has not answered yet; its tools are offered when it does", server=self.name)

    async def aclose(self) -> None:
        """End it; nothing of it is left. One that has not told its tools yet is not waited for."""
        self._closing.set()
        self._stale.set()
        if self._task is None:
            return
        if not self._listed:
            self._task.cancel()
        _, late = await asyncio.wait({self._task}, timeout=_CLOSING)
        for task in late:
            task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    # --- calls -----------------------------------------------------------------------------

    async def _call(self, name: str, timeout: float, arguments: Mapping[str, Any]) -> str:
        client = self._client
        if client is None:
            raise Unreached(f"The tool server {self.name} is not there just now; it is being tried again.")
        try:
            result = await client.call_tool(name, dict(arguments), read_timeout_seconds=timeout)
        except MCPError as error:
            raise self._failure(name, error) from None
        except Exception as error:  # noqa: BLE001  (somebody else's code, and somebody else's answers)
            self._stale.set()
            log.warning("a tool server's answer was not understood", server=self.name, error=type(error).__name__)
            raise UnavailableError(f"The tool server {self.name} gave an answer that is none.") from None
        said = told.text_of(result)
        if result.is_error:
            raise InvalidRequest(f"The tool failed: {said[:_FAILED] or 'it does not say why.'}")
        return said

    def _failure(self, name: str, error: MCPError) -> ParleyError:
        if error.code == REQUEST_TIMEOUT:
            return TimedOut(f"The tool {name} was not done in time.")
        self._stale.set()  # asked for its tools again, a server that is lost is noticed
        if error.code in _NOT_BEGUN:
            return InvalidRequest(f"The tool server {self.name} refused: {error.message[:_FAILED]}")
        if error.code == CONNECTION_CLOSED:
            return UnavailableError(f"The tool server {self.name} gave no whole answer.")
        return UnavailableError(f"The tool server {self.name} failed: {error.message[:_FAILED]}")

    # --- its life --------------------------------------------------------------------------

    async def _run(self) -> None:
        backoff, said = Backoff(longest=_LONGEST_WAIT), ""
        while not self._closing.is_set():
            began = clock.now()
            reason = await self._live(lost=bool(said))
            self._client = None
            self._tried.set()
            if self._closing.is_set():
                return
            wait = backoff.after(clock.now() - began)
            if reason != said or self._listed:  # once, and not at every try
                log.warning("a tool server is lost, trying again", server=self.name, reason=reason, seconds=wait)
            said, self._listed = reason, False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._closing.wait()

    async def _live(self, *, lost: bool) -> str:
        """Connect and stay so while it lasts; returns what ended it, for a sentence's end. ``lost``: it was there."""
        try:
            async with Client(
                self._opened(),
                mode=self._modes[0],
                read_timeout_seconds=self._settings.connect_timeout,
                message_handler=self._hear,
                client_info=Implementation(name="parley", version=__version__),
                cache=None,
            ) as client:
                await self._list(client)
                self._listed, self._client = True, client
                self._tried.set()
                self._news()
                if lost:
                    log.info("a tool server is there again", server=self.name)
                await self._keep(client)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  (somebody else's code; it is told, and tried again)
            if not self._listed:
                self._modes = (self._modes[1], self._modes[0])  # old servers may fall over the first question
            return self._why(error)
        return "it is being closed"

    def _opened(self) -> AbstractAsyncContextManager[Any]:
        if self._settings.url:
            return address(self._settings.url, self._headers)
        self._program = Program(self._settings.command, self._env, self._settings.folder, ended=self._stale.set)
        return self._program.streams()

    async def _keep(self, client: Client) -> None:
        """List again whenever it says, or it seems, that something has changed. Raises when it is gone."""
        watching = asyncio.create_task(self._watch(client), name=f"changes of MCP server {self.name}")
        try:
            while True:
                await self._stale.wait()
                if self._closing.is_set():
                    return
                self._stale.clear()
                await self._list(client)
                self._news()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_SOONEST):
                        await self._closing.wait()
        finally:
            self._client = None
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self, client: Client) -> None:
        """Where the server has to be asked for news: ask, as long as it lasts."""
        can = client.server_capabilities.tools
        if client.protocol_version not in MODERN_PROTOCOL_VERSIONS or can is None or not can.list_changed:
            return
        while not self._closing.is_set():
            with contextlib.suppress(Exception):  # somebody else's code: whether the server is there is asked below
                async with client.listen(tools_list_changed=True) as changes:
                    async for _ in changes:
                        self._stale.set()
            self._stale.set()
            await asyncio.sleep(_SOONEST)

    async def _hear(self, message: Any) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._stale.set()
        elif isinstance(message, Exception):
            log.warning("a tool server says what is no message", server=self.name)

    async def _list(self, client: Client) -> None:
        found: list[Any] = []
        cursor: str | None = None
        for _ in range(_PAGES):
            page = await client.list_tools(cursor=cursor)
            found += page.tools
            cursor = page.next_cursor
            if cursor is None or len(found) > told.MOST_TOOLS:
                break
        names = [one.name for one in found]
        if missing := told.unlike(names, [*self._settings.only, *self._settings.tools]):
            log.warning("a tool server has no such tool", server=self.name, tools=missing[:8])
        wanted = [one for one in found if not self._settings.only or one.name in self._settings.only]
        if len(wanted) > told.MOST_TOOLS:
            log.warning(
                "a tool server has too many tools; the first are offered", server=self.name, most=told.MOST_TOOLS
            )
        tools: dict[str, Tool] = {}
        own_names: dict[str, str] = {}
        for one in wanted[: told.MOST_TOOLS]:
            try:
                info = await asyncio.to_thread(told.info_of, one, self._settings)
                if info.name in tools:
                    raise ValueError("there is one of that name already")
            except ValueError as error:
                log.warning("a tool is left out", server=self.name, tool=one.name[:64], reason=str(error))
                continue
            tools[info.name], own_names[info.name] = self._tool(one, info), one.name
        self._tools, self._own_names = list(tools.values()), own_names

    def _tool(self, one: Any, info: ToolInfo) -> Tool:
        async def run(arguments: Mapping[str, Any], key: str) -> str:
            return await self._call(one.name, info.timeout, arguments)

        return Tool(info, run)

    def _why(self, error: BaseException) -> str:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if self._program is not None and not self._listed and self._program.last_words:
            return f"it ended with: {self._program.last_words[:200]}"  # nobody has said anything to it yet
        if isinstance(error, MCPError) and error.code == CONNECTION_CLOSED:
            return "it ended" if self._program else "it closed the connection"
        if isinstance(error, MCPError):
            return "it did not answer in time" if error.code == REQUEST_TIMEOUT else f"it refused ({error.code})"
        if isinstance(error, httpx2.TransportError):
            there = isinstance(error, httpx2.ReadError | httpx2.RemoteProtocolError)
            return "the connection broke" if there else "it can not be reached"
        return type(error).__name__


def _check(settings: McpServer) -> None:
    def wrong(what: str) -> ConfigError:
        return ConfigError(f"tools.mcp: the server {settings.name[:64]} {what}.")

    if not settings.name or len(settings.name) > 32 or told.name_of("", settings.name) != f"_{settings.name}":
        raise wrong("cannot be called so: letters, digits, _ and -, at most 32")
    if bool(settings.command) == bool(settings.url):
        raise wrong("needs either a command or a url")
    if settings.url:
        if not is_address(settings.url):
            raise wrong(f'has the url "{settings.url[:200]}", which is no http address')
    elif shutil.which(settings.command[0], path=settings.env.get("PATH")) is None:
        raise wrong(f'has the command "{settings.command[0]}", which is not found: install it, or write its full path')
    if not 0 < settings.connect_timeout <= 300:
        raise wrong("has a connect_timeout outside 0 to 300 s")
    told.check_contracts(settings)


def _secrets(name: str, values: Mapping[str, str]) -> dict[str, str]:
    return {key: from_environment(f"tools.mcp: the server {name}", value) for key, value in values.items()}
