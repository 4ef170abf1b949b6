"""A whole Parley to break: Redis, a worker, an orchestrator, a language model and a tool that do as they are told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import yaml

from parley.audio.frame import SAMPLE_RATE
from parley.bench.speech import say, speakers
from parley.client.playout import Playout
from parley.client.session import SessionClient
from parley.errors import ParleyError
from parley.messages import StartSession, TextInput
from parley.testing.redis_server import RedisServer, free_port
from parley.values import Voice

ANSWER = "It is noon, and all is well in the house and in the garden behind it."
QUESTION = "What time is it?"
FRAME = SAMPLE_RATE // 50


@dataclass
class World:
    """What a language model and a tool do when they are asked."""

    delay: float = 0.0
    """Seconds until the model's first words."""
    calls: bool = False
    """The model asks for the tool, which fails."""
    url: str = ""


@contextmanager
def world() -> Iterator[World]:
    """Serve it."""
    how = World()
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "umbrella", "arguments": "{}"}}

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/tool":
                self._answer(500, b"It rains in here.")
                return
            asks = how.calls and json.loads(body)["messages"][-1]["role"] == "user"
            time.sleep(how.delay)
            event = {"choices": [{"index": 0, "delta": {"tool_calls": [call]} if asks else {"content": ANSWER}}]}
            self._answer(200, f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n".encode())

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Content-Length", str(len(body)))
            with contextlib.suppress(ConnectionError):  # whoever asked has been interrupted
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    how.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield how
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Program:
    """``parley ...`` as a process that can be started again."""

    words: tuple[str, ...]
    ready: bytes
    folder: Path
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
        environment["XDG_DATA_HOME"] = str(self.folder / "data")
        with (self.folder / f"{self.words[0]}.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "parley", *self.words,
                stdout=asyncio.subprocess.PIPE, stderr=log, cwd=self.folder, env=environment,
            )  # fmt: skip
        assert self.process.stdout is not None
        async with asyncio.timeout(120):
            async for line in self.process.stdout:
                if line.startswith(self.ready):
                    return
        raise AssertionError((self.folder / f"{self.words[0]}.log").read_text())

    @property
    def seen(self) -> psutil.Process:
        assert self.process is not None
        return psutil.Process(self.process.pid)

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            await self.process.wait()


@dataclass
class Stack:
    """All of it, and whoever talks there."""

    folder: Path
    world: World
    redis: RedisServer
    port: int = field(default_factory=free_port)
    figures: int = field(default_factory=free_port)
    orchestrator: Program = field(init=False)
    worker: Program = field(init=False)

    def __post_init__(self) -> None:
        tools = [{"name": "umbrella", "description": "Its colour.", "effect": "read", "url": f"{self.world.url}/tool"}]
        config = self.folder / "parley.yaml"
        config.write_text(yaml.safe_dump({"tools": {"http": tools}}), "utf-8")
        _voice(self.folder / "voices", "late", delay_ms=2000.0)
        _voice(self.folder / "voices", "dragging", pace=0.6)
        options = {
            "server.max_sessions": "12",
            "server.page": "false",
            "webrtc.enabled": "false",
            "asr.engine": "pocketsphinx",
            "llm.engine": "openai",
            "llm.openai.base_url": f"{self.world.url}/v1",
            "recording.enabled": "true",
            "recording.folder": str(self.folder / "recordings"),
            "session.reply.greeting": "",
            "session.speculation.enabled": "false",
        }
        shared = ("--registry", self.redis.url)
        self.orchestrator = Program(
            ("serve", "--port", str(self.port), *shared, "--config", str(config), *_set(options)),
            b"Parley is ready",
            self.folder,
        )
        self.worker = Program(
            ("worker", "--port", str(free_port()), "--name", "w1", *shared, "--voicepacks", str(self.folder / "voices"),
             *_set({"worker.metrics_port": str(self.figures), "worker.models.default_model": "espeak"})),
            b"worker ready",
            self.folder,
        )  # fmt: skip

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def decoders(self) -> list[psutil.Process]:
        """The recogniser's processes."""
        return [each for each in self.orchestrator.seen.children(recursive=True) if _decodes(each)]


def _decodes(process: psutil.Process) -> bool:
    try:
        words = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return "spawn_main" in words or "parley.asr" in words or "asr/" in words


def _set(options: dict[str, str]) -> list[str]:
    return [word for name, value in options.items() for word in ("--set", f"{name}={value}")]


def _voice(folder: Path, name: str, **options: float) -> None:
    pack = folder / "tone" / name
    pack.mkdir(parents=True)
    about = {"languages": ["en"], "licence": "MIT", "options": options}
    (pack / "metadata.yaml").write_text(yaml.safe_dump(about), "utf-8")


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Stack]:
    """Everything is ready; ended with the block."""
    async with AsyncExitStack() as stack:
        how = stack.enter_context(world())
        redis = await stack.enter_async_context(RedisServer(folder))
        made = Stack(folder, how, redis)
        stack.push_async_callback(made.orchestrator.kill)
        stack.push_async_callback(made.worker.kill)
        await made.worker.start()
        await made.orchestrator.start()
        yield made


async def talk(stack: Stack, voice: str = "", *, every: float = 6.0, question: str = QUESTION) -> None:
    """Ask again and again, by voice, until cancelled; a conversation that is lost is begun anew."""
    speech = say(question, speakers()[-1]).astype("<i2").tobytes()
    while True:
        try:
            start = StartSession(echo_cancelled=True, voice=Voice(voice))
            async with SessionClient(f"{stack.url}/v1/session", start, listener=Playout()) as client:
                await _sound(client, speech, every)
        except (ParleyError, OSError):
            await asyncio.sleep(0.5)


async def _sound(client: SessionClient, speech: bytes, every: float) -> None:
    listening = asyncio.ensure_future(_listen(client))
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        for index in range(2**31):
            at = (index * 2 * FRAME) % (round(every * 50) * 2 * FRAME)
            await client.send_microphone(speech[at : at + 2 * FRAME].ljust(2 * FRAME, b"\0"))
            if listening.done():
                return
            await asyncio.sleep(max(0.0, began + (index + 1) * 0.02 - loop.time()))
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def _listen(client: SessionClient) -> None:
    async for _ in client:
        pass


async def write(stack: Stack, voice: str, *, every: float = 6.0) -> None:
    """Ask again and again by typing, which gives the ears nothing to do, until cancelled."""
    while True:
        try:
            async with SessionClient(f"{stack.url}/v1/session", StartSession(voice=Voice(voice))) as client:
                listening = asyncio.ensure_future(_listen(client))
                try:
                    while not listening.done():
                        await client.send(TextInput(QUESTION))
                        await asyncio.sleep(every)
                finally:
                    listening.cancel()
                    await asyncio.gather(listening, return_exceptions=True)
        except (ParleyError, OSError):
            await asyncio.sleep(0.5)
