"""An MCP server that does what it is asked to and answers oddly: ``mcp_odd.py FILE``, with the answer to each call.

It ends where the file is empty. That it was called is to be seen by a file beside it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

BEGIN = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "odd", "version": "1"}}
TOOLS = {"tools": [{"name": "order", "inputSchema": {"type": "object"}}]}


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        answer: dict[str, Any] = {"error": {"code": -32601, "message": "no"}}
        if asked["method"] == "initialize":
            answer = {"result": BEGIN}
        elif asked["method"] == "tools/list":
            answer = {"result": TOOLS}
        elif asked["method"] == "tools/call":
            Path(f"{sys.argv[1]}.done").touch()
            text = Path(sys.argv[1]).read_text()
            if not text:
                os._exit(7)
            answer = json.loads(text)
        if "id" in asked:
            print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer}), flush=True)


if __name__ == "__main__":
    main()
