"""Tools: functions that a language model may ask for, from Python, from settings, and a few that are built in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley.tools.function import Tool, tool
from parley.tools.settings import HttpTool, ToolSettings
from parley.tools.toolbox import Toolbox

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HttpTool", "Tool", "ToolSettings", "Toolbox", "create_tools", "tool"]


def create_tools(settings: ToolSettings, *, script: bool) -> Toolbox | None:
    """The tools that the settings name; None where there are none. ``script``: the built-in script answers.

    Raises ConfigError for one that cannot be had, and for two of one name.
    """
    tools = list(_named(settings, script=script))
    return Toolbox(tools) if tools else None


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
