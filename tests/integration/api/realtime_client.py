"""A chat endpoint that remembers what it is told, and somebody who talks through OpenAI's own client."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import openai
import soxr
from tests.integration.api.realtime_common import EventLog, typed

from parley import clock
from parley.bench import speech

RATE = 24_000
FRAME = RATE // 50
Body = dict[str, Any]
Reply = str | list[dict[str, Any]]
"""What the model says, or the calls that it makes."""


@dataclass
class Mind:
    """The chat endpoint: what it was told, and what it says to it."""

    url: str = ""
    bodies: list[Body] = field(default_factory=list)
    answer: Callable[[Body], Reply] = lambda _: "Yes."
    status: int = 200

    def forget(self) -> None:
        """As it was at first."""
        self.bodies.clear()
        self.answer = lambda _: "Yes, of course."
        self.status = 200

    def told(self, which: int = -1) -> list[tuple[str, str]]:
        """Role and text, without the server's own instructions where there are none."""
        return [(message["role"], message.get("content") or "") for message in self.bodies[which]["messages"]]


@contextlib.contextmanager
def mind() -> Generator[Mind, None, None]:
    """A chat endpoint on loopback."""
    it = Mind()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            it.bodies.append(body)
            self.send_response(it.status)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            if it.status != 200:
                self.wfile.write(b'{"error": {"message": "no"}}')
                return
            for delta in deltas(it.answer(body)):
                choice = {"index": 0, "delta": delta}
                self.wfile.write(f"data: {json.dumps({'choices': [choice]})}\n\n".encode())
            usage = {"prompt_tokens": 21, "completion_tokens": 7}
            self.wfile.write(f"data: {json.dumps({'choices': [], 'usage': usage})}\n\ndata: [DONE]\n\n".encode())

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    it.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield it
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def deltas(reply: Reply) -> list[dict[str, Any]]:
    """The reply as a chat endpoint streams it."""
    if isinstance(reply, str):
        return [{"content": f" {word}" if index else word} for index, word in enumerate(reply.split(" "))]
    return [
        {"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": call["function"]}]}
        for index, call in enumerate(reply)
    ]


def call(call_id: str, name: str, **arguments: Any) -> dict[str, Any]:
    """A call that the model makes."""
    return {"id": call_id, "function": {"name": name, "arguments": json.dumps(arguments)}}


def alike(told: str, written_down: str) -> bool:
    """The model was told these words; a last one that came late, and changed nothing, does not begin a reply anew."""
    return bool(told) and SequenceMatcher(None, told.lower(), written_down.lower()).ratio() > 0.8


def words(text: str) -> bytes:
    """Somebody says this: 24 kHz s16."""
    samples = speech.say(text, speech.speakers()[0])
    return soxr.resample(samples.astype(np.int16), speech.RATE, RATE).astype("<i2").tobytes()


class Talk(EventLog):
    """One connection through OpenAI's client."""

    def __init__(self, connection: Any) -> None:
        super().__init__()
        self.connection = connection
        self._speech = bytearray()

    async def send(self, kind: str, **fields: Any) -> None:
        await self.connection.send({"type": kind, **fields})

    async def say(self, text: str) -> Any:
        """A typed turn and the reply to it, to its end."""
        done = len(self.of("response.done"))
        await self.send("conversation.item.create", item=typed(text))
        await self.send("response.create")
        return (await self.until("response.done", done + 1)).response

    def speak(self, sound: bytes) -> None:
        """Say this from now on."""
        self._speech += sound

    def heard(self, response_id: str) -> bytes:
        """The sound of a response."""
        deltas = (event for event in self.of("response.output_audio.delta") if event.response_id == response_id)
        return b"".join(base64.b64decode(event.delta) for event in deltas)

    async def read(self) -> None:
        async for event in self.connection:
            self.note(event)

    async def microphone(self) -> None:
        """Open all the time: 20 ms every 20 ms."""
        began, frames = clock.now(), 0
        while True:
            frames += 1
            await asyncio.sleep(max(0.0, began + frames * 0.02 - clock.now()))
            piece, self._speech[: 2 * FRAME] = bytes(self._speech[: 2 * FRAME]), b""
            audio = base64.b64encode(piece.ljust(2 * FRAME, b"\0")).decode()
            await self.send("input_audio_buffer.append", audio=audio)


@contextlib.asynccontextmanager
async def talking(
    url: str, key: str = "none", *, microphone: bool = False, session: Body | None = None, **connect: Any
) -> AsyncGenerator[Talk, None]:
    """Connect, read everything, and leave."""
    options = {"model": "gpt-realtime", **connect}
    async with (
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key) as client,
        client.realtime.connect(**options) as connection,
    ):
        talk = Talk(connection)
        tasks = [asyncio.create_task(talk.read())]
        try:
            await talk.until("session.created")
            if session is not None:
                await talk.send("session.update", session={"type": "realtime", **session})
                await talk.until("session.updated")
            if microphone:
                tasks.append(asyncio.create_task(talk.microphone()))
            yield talk
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
