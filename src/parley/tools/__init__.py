"""Tools: functions that a language model may ask for, from Python, from settings, and a few that are built in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley.errors import ConfigError
from parley.hints import install
from parley.tools.function import Tool, tool
from parley.tools.settings import HttpTool, McpContract, McpServer, ToolSettings
from parley.tools.toolbox import Toolbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from parley.tools.toolbox import ToolSource

__all__ = [
    "HttpTool",
    "McpContract",
    "McpServer",
    "Tool",
    "ToolSettings",
    "Toolbox",
    "check_servers",
    "create_tools",
    "tool",
]


def create_tools(settings: ToolSettings, *, script: bool) -> Toolbox | None:
    """The tools that the settings name; None where there are none. ``script``: the built-in script answers.

    Raises ConfigError for one that cannot be had, and for two of one name.
    """
    tools, sources = list(_named(settings, script=script)), _sources(settings)
    return Toolbox(tools, sources) if tools or sources else None


def check_servers(settings: ToolSettings) -> None:
    """Raise ConfigError for MCP servers that cannot be had; nothing is started."""
    _sources(settings)


def _sources(settings: ToolSettings) -> Sequence[ToolSource]:
    if not settings.mcp:
        return ()
    names = [one.name for one in settings.mcp]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f'tools.mcp: there are two servers called "{twice[0]}"; give one of them another name.')
    try:
        from parley.tools.mcp.server import McpConnection
    except ImportError as error:
        raise ConfigError(f"tools.mcp needs the package {error.name}; install it with: {install('mcp')}.") from error
    return [McpConnection(one) for one in settings.mcp]


def _named(settings: ToolSettings, *, script: bool) -> Iterator[Tool]:
    if settings.builtin == "on" or (settings.builtin == "auto" and script):
        from parley.tools.builtin import BUILT_IN

        yield from BUILT_IN
    if settings.python:
        from parley.tools.function import tools_of

        for module in settings.python:
            yield from tools_of(module)
    if settings.http:
        from parley.tools.http import HttpCaller

        caller = HttpCaller()
        for one in settings.http:
            yield caller.tool(one)
