"""A server that speaks the WebSocket of vLLM-Omni or of SGLang-Omni, on a free port; its audio is made up.

Exactly the messages that the adapter uses: which files of theirs they are from stands in ``adapters.omni_speech``.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from parley.testing.speech_server import RATE, VOICES, spoken

if TYPE_CHECKING:
    from types import TracebackType

    from websockets.http11 import Request, Response
    from websockets.sync.server import Server, ServerConnection

Dialect = Literal["vllm", "sglang"]
_PIECE = 2_400


@dataclass(slots=True)
class OmniServer:
    """Use as a context manager; ``url`` is what an adapter calls ``base_url``."""

    dialect: Dialect = "vllm"
    key: str = ""
    """Demanded as a bearer token when it is not empty."""
    status: int = 0
    """Answers every handshake, when it is not 0."""
    channels: int = 1
    mute: bool = False
    """Never answers a text."""
    die_after: int | None = None
    """Pieces of audio after which the connection breaks, without a word."""
    fail: str = ""
    """Complained of in place of audio."""
    texts: list[str] = field(default_factory=list)
    """Those that were to be spoken, in their order."""
    configs: list[dict[str, Any]] = field(default_factory=list)
    connections: list[Any] = field(default_factory=list)
    """Those that came, in their order."""
    most: int = 0
    """Texts that were being spoken at a time, at most."""
    aborted: threading.Event = field(default_factory=threading.Event)
    """Set when a client left before it had all its audio."""
    _speaking: int = 0
    _lock: Any = field(default_factory=threading.Lock)
    _server: Server | None = None
    _thread: threading.Thread | None = None

    def __enter__(self) -> OmniServer:
        self._server = serve(self._serve, "127.0.0.1", 0, process_request=self._admit, close_timeout=0.5)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        assert self._thread is not None
        self.hang_up()
        self._server.shutdown()
        self._thread.join()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.socket.getsockname()[1]}/v1"

    def hang_up(self) -> None:
        """End every connection from here."""
        for connection in self.connections:
            connection.close()

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if self.status:
            return connection.respond(HTTPStatus(self.status), "No.")
        if request.path != "/v1/audio/speech/stream":
            return connection.respond(HTTPStatus.NOT_FOUND, "There is nothing here.")
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return connection.respond(HTTPStatus.UNAUTHORIZED, "Incorrect API key.")
        return None

    def _serve(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        config: dict[str, Any] = {}
        text, utterance = "", 0
        try:
            for raw in connection:
                message = json.loads(raw)
                match message["type"]:
                    case "session.config":
                        config = message
                        self.configs.append(message)
                        if config.get("voice") and config["voice"] not in VOICES:
                            self._say(
                                connection, type="error", message="Invalid session config: no such voice", code=400
                            )
                            return
                        if self.dialect == "sglang":
                            self._say(connection, type="session.configured", session_id="s")
                    case "input.text":
                        text += message["text"]
                    case "input.done":
                        self.texts.append(text)
                        if not self.mute:
                            self._speak(connection, text, config, utterance)
                        text, utterance = "", utterance + 1
                        if self.dialect == "sglang" and not self.mute:
                            return
        except ConnectionClosed:
            pass

    def _speak(self, connection: ServerConnection, text: str, config: dict[str, Any], utterance: int) -> None:
        with self._lock:
            self._speaking += 1
            self.most = max(self.most, self._speaking)
        try:
            if self.fail:
                self._say(connection, type="error", message=self.fail)
            else:
                self._send(connection, text, config, utterance)
            where = {"utterance_index": utterance} if self.dialect == "vllm" else {"id": "s-0"}
            self._say(connection, type="audio.done", sentence_index=0, error=bool(self.fail), **where)
            self._say(connection, type="session.done", total_sentences=1)
        except ConnectionClosed:
            self.aborted.set()
            raise
        finally:
            with self._lock:
                self._speaking -= 1

    def _send(self, connection: ServerConnection, text: str, config: dict[str, Any], utterance: int) -> None:
        audio = spoken(text, config.get("speed", 1.0))
        if self.channels == 2:
            audio = b"".join(2 * audio[place : place + 2] for place in range(0, len(audio), 2))
        described = {"sample_rate": RATE} | ({"channels": self.channels} if self.dialect == "vllm" else {})
        self._say(connection, type="audio.start", sentence_index=0, sentence_text=text, format="pcm", **described)
        for number, start in enumerate(range(0, len(audio), _PIECE)):
            if self.die_after is not None and number >= self.die_after:
                connection.socket.close()
                raise ConnectionClosed(None, None)
            connection.send(audio[start : start + _PIECE])

    def _say(self, connection: ServerConnection, **message: Any) -> None:
        connection.send(json.dumps(message))
