"""All tools of a server: found by name, run each in a task of its own, never twice under one key."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from parley.errors import ConfigError, NotFound, TimedOut

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parley.tools.function import Tool
    from parley.values import ToolInfo

_REMEMBERED = 128
"""Calls whose answers are kept, so that the same one is not made twice."""
_LONGEST = 262_144
"""Characters of an answer that are kept; a session tells its model of far fewer."""
_CLOSING = 5.0
"""Seconds that calls which write have to end when the server stops."""


class ToolSource(Protocol):
    """Tools that come and go while the server runs."""

    def tools(self) -> Sequence[Tool]:
        """Those that there are now."""

    async def start(self) -> None:
        """Wait, within bounds, until they are known."""

    async def aclose(self) -> None: ...


class Toolbox:
    """The ``Tools`` of a server. Raises ConfigError for two tools of one name.

    A call belongs to the toolbox, not to the session: when whoever waits for it is cancelled, one that reads is
    cancelled with it, and one that writes goes on until its timeout. A tool that does not let itself be cancelled keeps
    nobody waiting.
    """

    def __init__(self, tools: Sequence[Tool], sources: Sequence[ToolSource] = ()) -> None:
        self._sources = sources
        self._tools = {tool.info.name: tool for tool in tools}
        if len(self._tools) != len(tools):
            names = [tool.info.name for tool in tools]
            twice = next(name for name in names if names.count(name) > 1)
            raise ConfigError(f'There are two tools called "{twice}"; give one of them another name.')
        self._calls: OrderedDict[str, asyncio.Task[str]] = OrderedDict()
        self._running: set[asyncio.Task[str]] = set()

    def offered(self) -> Sequence[ToolInfo]:
        return tuple(tool.info for tool in self._now().values())

    async def start(self) -> None:
        """Ask the sources for their tools; returns when each has answered, or failed, or taken too long."""
        await asyncio.gather(*(source.start() for source in self._sources))

    async def call(self, name: str, arguments: Mapping[str, Any], *, key: str) -> str:
        """What the tool says; where this call was made before, what it said then. Raises NotFound, TimedOut."""
        tool = self._now().get(name)
        if tool is None:
            raise NotFound(f'There is no tool "{name}".')
        task = self._calls.get(key)
        if task is None:
            task = self._calls[key] = asyncio.create_task(self._run(tool, arguments, key), name=f"tool {name}")
            self._running.add(task)
            task.add_done_callback(self._done)
            self._forget()
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise TimedOut(f"The tool {name} was stopped.") from None
            if tool.info.effect == "read":
                task.cancel()
            raise

    async def aclose(self) -> None:
        """Let calls that write come to their end, for a moment."""
        if self._running:
            await asyncio.wait(set(self._running), timeout=_CLOSING)
        for task in self._running:
            task.cancel()
        for tool in self._tools.values():
            if tool.close is not None:
                await tool.close()
        await asyncio.gather(*(source.aclose() for source in self._sources))

    def _now(self) -> Mapping[str, Tool]:
        """All tools that there are, by name; of two names that are the same, the later one gets a number."""
        if not self._sources:
            return self._tools
        known = dict(self._tools)
        for source in self._sources:
            for tool in source.tools():
                name = _other(tool.info.name, known)
                known[name] = tool if name == tool.info.name else replace(tool, info=replace(tool.info, name=name))
        return known

    async def _run(self, tool: Tool, arguments: Mapping[str, Any], key: str) -> str:
        try:
            async with asyncio.timeout(tool.info.timeout):
                return (await tool.run(arguments, key))[:_LONGEST]
        except TimeoutError:
            raise TimedOut(f"The tool {tool.info.name} took longer than {tool.info.timeout:g} seconds.") from None

    def _done(self, task: asyncio.Task[str]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited was told; nobody else has to be

    def _forget(self) -> None:
        for key in list(self._calls):
            if len(self._calls) <= _REMEMBERED:
                return
            if self._calls[key].done():
                del self._calls[key]


def _other(name: str, known: Mapping[str, Tool]) -> str:
    """This name, or the first one like it that nobody has."""
    number, other = 1, name
    while other in known:
        number += 1
        other = f"{name[:60]}_{number}"
    return other
