"""Tools of MCP servers: started by a command or reached at an address, listed once, called over one connection each."""
