"""An MCP server with two tools, as somebody else may have written it: notes that last as long as it runs."""

from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations

server = MCPServer("notes", log_level="ERROR")
notes: list[str] = []


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def all_notes() -> list[str]:
    """All notes, in the order in which they were taken."""
    return notes


@server.tool()
def take_note(text: str) -> str:
    """Take a note. Say exactly what was asked for."""
    notes.append(text)
    return f"Noted: {text}"


if __name__ == "__main__":
    server.run("stdio")
