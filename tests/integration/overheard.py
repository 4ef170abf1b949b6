"""A chat endpoint with somebody listening in: passes everything on and keeps what was asked."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Generator

Asked = list[list[dict[str, str]]]
"""The conversation of each request, oldest first."""


@contextlib.contextmanager
def overheard(endpoint: str) -> Generator[tuple[str, Asked], None, None]:
    """The address of an endpoint that passes on to ``endpoint``, and what it was asked so far."""
    asked: Asked = []
    target = urlsplit(endpoint)

    class Between(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(json.loads(body)["messages"])
            connection = http.client.HTTPConnection(target.netloc, timeout=60)
            with contextlib.closing(connection), contextlib.suppress(OSError):  # who asked may hang up
                connection.request("POST", self.path, body, {"Content-Type": "application/json"})
                self._pass_on(connection.getresponse())

        def _pass_on(self, answer: http.client.HTTPResponse) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.getheader("Content-Type", "text/event-stream"))
            self.end_headers()
            while piece := answer.read1(4096):
                self.wfile.write(piece)
                self.wfile.flush()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Between)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{target.path}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
