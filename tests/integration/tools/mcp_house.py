"""An MCP server of a house, made with the stock library: ``mcp_house.py stdio`` or ``mcp_house.py PORT``."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ImageContent, TextContent, ToolAnnotations

server = MCPServer("house", log_level="ERROR")
READS = ToolAnnotations(read_only_hint=True)


@server.tool(annotations=READS)
def lamps() -> str:
    """Which lamps are on."""
    return "The kitchen lamp is on."


@server.tool()
def switch(lamp: str, on: bool = True) -> dict[str, bool]:
    """Switch a lamp."""
    return {lamp: on}


@server.tool(annotations=ToolAnnotations(destructive_hint=True))
def forget_everything() -> str:
    """Delete all scenes."""
    return "Forgotten."


@server.tool(annotations=READS)
def broken() -> str:
    """Fails."""
    raise ToolError("the bulb is loose")


@server.tool(annotations=READS)
def long(size: int) -> str:
    """So many letters."""
    return "x" * size


@server.tool(annotations=READS)
def picture() -> list[TextContent | ImageContent]:
    """A picture with a word about it."""
    return [TextContent(text="The hall."), ImageContent(data="AAAA", mime_type="image/png")]


@server.tool(annotations=READS)
async def slow(seconds: float, marker: str) -> str:
    """Takes long; leaves a file when it was cancelled."""
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        with open(marker, "w") as file:
            file.write("cancelled")
        raise
    return "Done."


@server.tool()
def die() -> str:
    """Ends the server without a word."""
    os._exit(7)


@server.tool(annotations=READS)
def process() -> str:
    """Its process, and one that it starts and that never ends by itself."""
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.signal(15, signal.SIG_IGN); signal.pause()"])
    return f"{os.getpid()} {child.pid}"


@server.tool(annotations=READS)
def environment() -> dict[str, str]:
    """What it sees of the environment."""
    return dict(os.environ)


@server.tool(annotations=READS)
def header(ctx: Context) -> str:
    """The key that it was called with."""
    return (ctx.headers or {}).get("authorization", "none")


@server.tool()
async def grow(ctx: Context) -> str:
    """Has one more tool."""

    def garden() -> str:
        """Water the garden."""
        return "Watered."

    server.add_tool(garden)
    await ctx.notify_tools_changed()
    await ctx.session.send_tool_list_changed()
    return "Grown."


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        server.run("stdio")
    else:
        server.run("streamable-http", port=int(sys.argv[1]))
