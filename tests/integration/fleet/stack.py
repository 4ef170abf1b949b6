"""Orchestrators as processes, and participants who type and listen."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import psutil

from parley import clock
from parley.audio.frame import SAMPLE_RATE
from parley.client.playout import Playout
from parley.client.session import SessionClient
from parley.messages import ReplyEnded, SayDelta, SayEnd, StartSession, TextInput
from parley.testing.redis_server import free_port
from parley.worker.adapters.tone import decode_words

from .conftest import until

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Fleet

M = TypeVar("M")


@dataclass
class Orchestrator:
    """``parley serve`` as a process."""

    folder: Path
    redis: str
    arguments: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/session"

    async def start(self) -> Self:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PARLEY_")}
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "parley", "serve", "--port", str(self.port), "--registry", self.redis,
            "--set", "server.page=false", "--set", "session.reply.greeting=",
            "--set", "webrtc.enabled=false", "--set", "asr.engine=instant",
            *self.arguments,
            stdout=asyncio.subprocess.PIPE, cwd=self.folder, env=environment,
        )  # fmt: skip
        assert self.process.stdout is not None
        async with asyncio.timeout(90):
            async for line in self.process.stdout:
                if line.startswith(b"Parley is ready"):
                    return self
        raise AssertionError("the orchestrator did not start")

    def children(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children()

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@dataclass
class Orchestrators:
    fleet: Fleet
    folder: Path

    async def start(self, *arguments: str, **fields: Any) -> Orchestrator:
        made = Orchestrator(self.folder, self.fleet.redis.url, arguments, **fields)
        self.fleet.stack.push_async_callback(made.kill)
        return await made.start()


class Talker:
    """A participant who types and listens."""

    def __init__(self, url: str, **start: Any) -> None:
        self.ears = Playout()
        self.client = SessionClient(url, StartSession(**start), listener=self.ears)
        self._events = self.client.__aiter__()

    async def __aenter__(self) -> Self:
        await self.client.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.client.__aexit__(*error)

    async def next(self, kind: type[M], timeout: float = 30.0) -> M:
        async with asyncio.timeout(timeout):
            async for event in self._events:
                if isinstance(event.message, kind):
                    return event.message
        raise AssertionError(f"no {kind.__name__} came")

    async def ask(self, text: str) -> str:
        await self.client.send(TextInput(text))
        return (await self.next(ReplyEnded)).text

    async def say(self, text: str) -> None:
        await self.client.send(SayDelta(text))
        await self.client.send(SayEnd())

    async def heard(self, seconds: float, reply: int = 1) -> None:
        """Wait until so much of that reply (the first is 1) has reached the ear."""
        await until(lambda: self.ears.position(clock.now()) >= (reply, round(seconds * SAMPLE_RATE)))

    def words(self) -> list[int]:
        self.ears.advance(clock.now() + 1.0)
        return [word.code for word in decode_words(np.frombuffer(b"".join(h.pcm for h in self.ears.heard), np.int16))]
