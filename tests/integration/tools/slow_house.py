"""An MCP server of the older handshake that answers everything but the end of its sessions, in a thread."""

from __future__ import annotations

import contextlib
import json
import select
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_ANSWERS: dict[str, dict[str, Any]] = {
    "initialize": {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "slow", "version": "1"},
    },
    "tools/list": {"tools": [{"name": "lamps", "inputSchema": {"type": "object"}}]},
}


@dataclass
class SlowHouse:
    """``url`` is where it is."""

    url: str = ""
    asked_to_end: threading.Event = field(default_factory=threading.Event)
    """Somebody wants to end a session."""
    given_up: threading.Event = field(default_factory=threading.Event)
    """And has stopped to wait for that."""
    leaving: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def slow_house() -> Iterator[SlowHouse]:
    """One, while it is needed."""
    it = SlowHouse()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if "id" not in said:
                self._answer(202)
            elif said["method"] in _ANSWERS:
                self._answer(200, {"result": _ANSWERS[said["method"]]}, said["id"])
            else:
                self._answer(200, {"error": {"code": -32601, "message": "Unknown."}}, said["id"])

        def do_GET(self) -> None:
            self._answer(405)

        def do_DELETE(self) -> None:
            it.asked_to_end.set()
            while not it.leaving.is_set():
                if select.select([self.connection], [], [], 0.05)[0]:  # it can only be closed
                    it.given_up.set()
                    break
            self.close_connection = True

        def _answer(self, status: int, body: dict[str, Any] | None = None, number: object = None) -> None:
            data = json.dumps({"jsonrpc": "2.0", "id": number, **body}).encode() if body else b""
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Mcp-Session-Id", "one")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    it.url = f"http://127.0.0.1:{server.server_port}/mcp"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield it
    finally:
        it.leaving.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
