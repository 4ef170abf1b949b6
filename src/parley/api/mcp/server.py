"""An MCP server with three tools, over whatever speaks and hears behind it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from mcp.server import Server
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, AudioContent, CallToolResult, ListToolsResult, TextContent, Tool

from parley import __version__
from parley.api.mcp import asked
from parley.errors import ParleyError, TimedOut

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

    from parley.api.mcp.asked import Heard, Listen, Models, Said, Say

log = structlog.get_logger(__name__)

Progress = Callable[[float, str], Awaitable[None]]
"""Seconds of sound so far, and that in words."""
_INSTRUCTIONS = "Parley speaks and listens: say() for what a person is to hear, listen() for what they say."
_LONGEST = 600.0
"""Seconds of one call."""


class Backend(Protocol):
    """What speaks and hears. Being cancelled ends the work."""

    aloud: bool
    """Through the loudspeaker and the microphone of this machine; else as files."""
    longest_text: int
    """Characters of one text."""
    largest_recording: int
    """Bytes."""

    async def say(self, asked: Say, progress: Progress) -> Said:
        """Raises ParleyError."""

    async def listen(self, asked: Listen, progress: Progress) -> Heard:
        """Raises ParleyError."""

    async def models(self) -> Models:
        """Raises ParleyError."""


def create_server(backend: Backend) -> Server[Any]:
    """The server, without a way in."""
    tools = [Tool.model_validate(one) for one in asked.offered(aloud=backend.aloud, longest_text=backend.longest_text)]

    async def list_tools(_: ServerRequestContext[Any], __: Any) -> ListToolsResult:
        return ListToolsResult(tools=tools)

    async def call_tool(context: ServerRequestContext[Any], params: Any) -> CallToolResult:
        async def progress(seconds: float, words: str) -> None:
            await context.session.report_progress(seconds, None, words)

        try:
            async with asyncio.timeout(_LONGEST):
                return await _answer(backend, params.name, params.arguments or {}, progress)
        except TimeoutError:
            return _failed(TimedOut(f"It took longer than {_LONGEST:g} seconds."))
        except ParleyError as error:
            return _failed(error)

    return Server(
        "parley",
        version=__version__,
        title="Parley",
        instructions=_INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def _answer(backend: Backend, name: str, arguments: dict[str, Any], progress: Progress) -> CallToolResult:
    if name == "say":
        say = asked.say_asked(arguments, aloud=backend.aloud, longest_text=backend.longest_text)
        said = await backend.say(say, progress)
        answer = _told(said)
        if said.sound:
            data = base64.b64encode(said.sound).decode()
            answer.content.append(AudioContent(data=data, mime_type=said.content_type))
        return answer
    if name == "listen":
        listen = asked.listen_asked(arguments, aloud=backend.aloud, largest=backend.largest_recording)
        return _told(await backend.listen(listen, progress))
    if name == "models":
        asked.nothing_asked(arguments)
        return _told(await backend.models())
    raise MCPError(INVALID_PARAMS, f"There is no tool {name[:64]!r}; there are say, listen and models.")


def _told(result: Said | Heard | Models) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=result.told)], structured_content=result.structure)


def _failed(error: ParleyError) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=error.message)], is_error=True)
