"""How much an MCP server may say at once."""

MAX_BYTES = 4_194_304
"""Of one message; a longer one is an error of the call that it answers."""
