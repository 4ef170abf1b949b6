"""Several orchestrators: histories that outlive one, a port that they share, an end without broken sentences."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import psutil
import pytest

from parley import clock
from parley.client.playout import Playout
from parley.client.session import SessionClient
from parley.errors import CapacityError, ParleyError
from parley.messages import ReplyEnded, SayDelta, SayEnd, StartSession, TextInput
from parley.registry.snapshots import RedisSnapshots
from parley.testing.redis_server import free_port
from parley.worker.adapters.tone import decode_words

from .conftest import Fleet, count, until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
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


@pytest.fixture
async def orchestrators(fleet: Fleet, tmp_path: Path) -> Orchestrators:
    return Orchestrators(fleet, tmp_path)


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

    def words(self) -> list[int]:
        self.ears.advance(clock.now() + 1.0)
        return [word.code for word in decode_words(np.frombuffer(b"".join(h.pcm for h in self.ears.heard), np.int16))]


async def test_a_client_that_comes_back_to_another_orchestrator_has_its_history(orchestrators: Orchestrators) -> None:
    await orchestrators.fleet.start("alpha")
    first = await orchestrators.start()
    second = await orchestrators.start()
    kept = RedisSnapshots(orchestrators.fleet.registry)
    orchestrators.fleet.stack.push_async_callback(kept.aclose)
    async with Talker(first.url) as talker:
        greeting = await talker.ask("hello")
        session = talker.client.started.session_id
        async with asyncio.timeout(5):
            while await kept.load(session) is None:
                await asyncio.sleep(0.02)
        await first.kill()
    async with Talker(second.url, resume_session=session) as talker:
        assert talker.client.started.resumed
        assert greeting.split(".")[0] in await talker.ask("Can you say that again?")
    async with Talker(second.url, resume_session="somebody-elses") as talker:
        assert not talker.client.started.resumed


async def test_orchestrators_that_share_a_port_survive_each_other(orchestrators: Orchestrators) -> None:
    await orchestrators.fleet.start("alpha")
    together = await orchestrators.start("--processes", "2")
    assert len(together.children()) == 2
    victim = together.children()[0]
    victim.kill()
    await until(lambda: victim.pid not in {child.pid for child in together.children()})
    async with Talker(together.url) as talker:
        await talker.ask("hello")
    await until(lambda: len(together.children()) == 2)
    assert together.process is not None
    together.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        assert await together.process.wait() == 0


async def test_who_is_one_too_many_is_refused_at_once(orchestrators: Orchestrators) -> None:
    await orchestrators.fleet.start("alpha")
    small = await orchestrators.start("--set", "server.max_sessions=1")
    async with Talker(small.url):
        began = clock.now()
        with pytest.raises((CapacityError, ParleyError), match="taken"):
            await Talker(small.url).__aenter__()
        assert clock.now() - began < 2.0


async def test_stopping_lets_a_reply_end(orchestrators: Orchestrators) -> None:
    await orchestrators.fleet.start("alpha")
    leaving = await orchestrators.start("--set", "server.drain=20")
    async with Talker(leaving.url) as talker:
        await talker.say(count(1, 12))
        await until(lambda: bool(talker.ears.number))
        assert leaving.process is not None
        leaving.process.send_signal(signal.SIGTERM)
        assert (await talker.next(ReplyEnded)).outcome == "finished"
        assert talker.words() == list(range(1, 13))


async def test_a_killed_worker_is_not_heard_of(orchestrators: Orchestrators) -> None:
    await orchestrators.fleet.start("alpha", "beta")
    serving = await orchestrators.start()
    async with Talker(serving.url) as talker:
        await talker.say(count(1, 20))
        await until(lambda: bool(talker.ears.number))
        await asyncio.sleep(1.0)
        await orchestrators.fleet.workers["alpha"].kill()
        assert (await talker.next(ReplyEnded)).outcome == "finished"
        await orchestrators.fleet.workers["alpha"].start()
        await talker.say(count(21, 40))
        await asyncio.sleep(1.0)
        await orchestrators.fleet.workers["beta"].kill()
        assert (await talker.next(ReplyEnded)).outcome == "finished"
        assert talker.words() == list(range(1, 41))
