"""A chat endpoint that keeps what it was told: what a client's history became is judged by the next prompt.

It answers by rules on the newest message, so that a program elsewhere needs no script of its own.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

STORY = " ".join(f"This is sentence number {number} of a story that goes on for a while." for number in range(1, 13))
_PACE = 0.02
"""Seconds between two words: a model of 50 words a second."""


class Recorder:
    """``asked``: the body of each request, in order."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.url = ""

    def messages(self) -> list[dict[str, Any]]:
        """What the model was told last."""
        return list(self.asked[-1]["messages"])


def said(message: dict[str, Any]) -> str:
    """The text of a message, whichever form it has."""
    content = message.get("content") or ""
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


def deltas(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The answer, piece by piece.

    A tool's result is told; a question with "tool" calls the first tool that is offered; one with "story" gets
    twelve sentences, which can be interrupted; everything else is said again.
    """
    newest = body["messages"][-1]
    if newest["role"] == "tool":
        reply = f"The answer is {said(newest)}."
    elif "tool" in said(newest).lower() and body.get("tools"):
        call = {"name": body["tools"][0]["function"]["name"], "arguments": '{"city": "Rome"}'}
        yield {
            "tool_calls": [{"index": 0, "id": f"call_{len(body['messages'])}", "type": "function", "function": call}]
        }
        return
    elif "story" in said(newest).lower():
        reply = STORY
    else:
        reply = f"You said: {said(newest)}."
    for word in reply.split():
        yield {"content": f"{word} "}


@contextlib.contextmanager
def recorder() -> Generator[Recorder, None, None]:
    """One on loopback; GET on any path tells all that was asked, as JSON."""
    it = Recorder()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._head("application/json")
            self.wfile.write(json.dumps(it.asked).encode())

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            it.asked.append(body)
            with contextlib.suppress(OSError):  # who is interrupted leaves
                if any("fail" in said(message).lower() for message in body["messages"][-1:]):
                    self.send_error(500)
                    return
                self._head("text/event-stream")
                calls = False
                for delta in deltas(body):
                    calls = calls or "tool_calls" in delta
                    self._tell({"choices": [{"index": 0, "delta": delta}]})
                    time.sleep(_PACE)  # as a model writes
                reason = "tool_calls" if calls else "stop"
                self._tell({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
                self.wfile.write(b"data: [DONE]\n\n")

        def _head(self, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()

        def _tell(self, event: dict[str, Any]) -> None:
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
            self.wfile.flush()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    it.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield it
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
