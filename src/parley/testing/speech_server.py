"""A speech server with OpenAI's endpoint that streams made-up PCM: a real HTTP server on a free port.

The audio is a pure function of the text, voice and speed, so tests can say what must arrive.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from types import TracebackType

RATE = 24_000
VOICES = ("alloy", "echo")
_PER_LETTER = 1_200
_PIECE = 2_400


@dataclass(slots=True)
class SpeechServer:
    """Use as a context manager; ``url`` is what an adapter calls ``base_url``."""

    key: str = ""
    """Demanded as a bearer token when it is not empty."""
    fail_with: int = 0
    """Status to answer with instead of audio."""
    break_off: bool = False
    """Promise more audio than is sent."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of the requests that came."""
    connections: list[socket.socket] = field(default_factory=list)
    """Those that came, in their order."""
    aborted: threading.Event = field(default_factory=threading.Event)
    """Set when a client left before it had all its audio."""
    _server: ThreadingHTTPServer | None = None
    _thread: threading.Thread | None = None

    def __enter__(self) -> SpeechServer:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def hang_up(self) -> None:
        """End every connection from here."""
        for connection in self.connections:
            with contextlib.suppress(OSError):  # it is over already
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_port}/v1"


def spoken(text: str, speed: float = 1.0) -> bytes:
    """What the server says for a text: 50 ms a letter, each letter a pitch of its own."""
    samples = []
    for letter in text:
        time = np.arange(round(_PER_LETTER / speed)) / RATE
        samples.append(0.2 * np.sin(2 * np.pi * (200 + 10 * (ord(letter) % 50)) * time))
    return (np.concatenate(samples) * 32_767).astype("<i2").tobytes() if samples else b""


def _handler(server: SpeechServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            """A small buffer: a client that hangs up is noticed before the whole answer is on its way."""
            server.connections.append(self.request)
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8_192)
            super().setup()

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.requests.append(body)
            problem = self._problem(body)
            if problem is not None:
                self._answer(*problem)
                return
            audio = spoken(body["input"], body.get("speed", 1.0))
            self.send_response(200)
            self.send_header("Content-Type", "audio/pcm")
            if server.break_off:
                self.send_header("Content-Length", str(len(audio) + 1_000))
            else:
                self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            try:
                self._send(audio)
            except OSError:
                server.aborted.set()
                self.close_connection = True

        def _problem(self, body: dict[str, Any]) -> tuple[int, str] | None:
            if self.path != "/v1/audio/speech":
                return 404, "There is nothing here."
            if server.key and self.headers.get("Authorization") != f"Bearer {server.key}":
                return 401, "Incorrect API key."
            if server.fail_with:
                return server.fail_with, "Something went wrong on purpose."
            if body["voice"] and body["voice"] not in VOICES:
                return 400, f"There is no voice {body['voice']}."
            return None

        def _answer(self, status: int, message: str) -> None:
            data = json.dumps({"error": {"message": message}}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _send(self, audio: bytes) -> None:
            for start in range(0, len(audio), _PIECE):
                piece = audio[start : start + _PIECE]
                self.wfile.write(piece if server.break_off else b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()
            if server.break_off:
                self.close_connection = True
            else:
                self.wfile.write(b"0\r\n\r\n")

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    return Handler
