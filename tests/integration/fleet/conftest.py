"""A fleet of real worker processes behind a real Redis."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from parley import clock
from parley.registry import open_registry
from parley.registry.settings import RegistrySettings
from parley.routing.links import open_pool
from parley.routing.settings import BreakerSettings, FailoverSettings, RoutingSettings
from parley.testing.fleet import WorkerProcess
from parley.testing.redis_server import RedisServer
from parley.values import Voice
from parley.worker.adapters.tone import decode_words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from parley.audio.frame import AudioFrame
    from parley.routing.pool import PooledSynthesizer

LEASE = 2.0


@dataclass
class Fleet:
    """Redis, workers, pools; all ended with the test."""

    stack: AsyncExitStack
    redis: RedisServer
    local: bool = False
    """Its pools may use the workers' sockets."""
    workers: dict[str, WorkerProcess] = field(default_factory=dict)

    @property
    def registry(self) -> RegistrySettings:
        return RegistrySettings(url=self.redis.url, lease=LEASE, heartbeat=0.3, refresh=0.3, max_backoff=0.5)

    async def start(self, *names: str, model: str = "tone-words", **worker: Any) -> list[WorkerProcess]:
        settings = self.registry
        registry = {"url": settings.url, "lease": settings.lease, "heartbeat": settings.heartbeat, "max_backoff": 0.5}
        made = [WorkerProcess(name, registry, worker, model) for name in names]
        for each in made:
            self.workers[each.name] = each
            self.stack.push_async_exit(each.__aexit__)
        await asyncio.gather(*(each.start() for each in made))
        return made

    async def pool(self, known: int = 0, **routing: Any) -> PooledSynthesizer:
        """A pool that knows that many workers."""
        registry = open_registry(self.registry)
        self.stack.push_async_callback(registry.aclose)
        settings = replace(
            RoutingSettings(breaker=BreakerSettings(cooldown=0.3), failover=FailoverSettings()), **routing
        )
        pool = open_pool(replace(settings, local_wire=self.local), registry)
        self.stack.push_async_callback(pool.aclose)
        pool.start()
        await until(lambda: len(pool.fleet.members) >= known)
        return pool


async def until(wanted: Any, timeout: float = 15.0) -> None:
    """Look again and again; for facts that announce themselves to nobody here."""
    async with asyncio.timeout(timeout):
        while not wanted():
            await asyncio.sleep(0.02)


async def said(*texts: str) -> AsyncIterator[str]:
    for text in texts:
        yield text


def count(first: int, last: int) -> str:
    return " ".join(str(number) for number in range(first, last + 1))


class Hearing:
    """A reply as playout takes it: at the speed of speech, a little ahead."""

    def __init__(
        self, pool: PooledSynthesizer, text: str, *, session: str = "s", utterance: str = "u", lead: float = 0.05
    ) -> None:
        self.frames: list[AudioFrame] = []
        self._lead = lead
        self._synthesis = pool.synthesize(said(text), voice=Voice(), session_id=session, utterance_id=utterance)
        self._task = asyncio.ensure_future(self._listen())

    async def heard(self, seconds: float) -> None:
        """Wait until so much of it has been taken, or it is over."""
        await until(lambda: 0.02 * len(self.frames) >= seconds or self._task.done())

    async def all(self) -> list[AudioFrame]:
        """The whole reply."""
        await self._task
        return self.frames

    async def _listen(self) -> None:
        try:
            start = 0.0
            async for frame in self._synthesis:
                start = start or clock.now()
                self.frames.append(frame)
                await asyncio.sleep(max(0.0, start + 0.02 * len(self.frames) - self._lead - clock.now()))
        finally:
            await self._synthesis.aclose()


async def hear(pool: PooledSynthesizer, text: str, **options: Any) -> list[AudioFrame]:
    """Listen to a reply from its first frame to its last."""
    return await Hearing(pool, text, **options).all()


def words(frames: list[AudioFrame]) -> list[int]:
    """What a recording holds."""
    assert [frame.sequence for frame in frames] == list(range(len(frames)))
    return [word.code for word in decode_words(np.frombuffer(b"".join(frame.pcm for frame in frames), np.int16))]


def serving(pool: PooledSynthesizer, session: str = "s") -> str:
    """The worker that the session talks through."""
    member = pool._sessions[session].worker
    assert member is not None
    return member.name


@pytest.fixture(params=["grpc", "socket"])
async def fleet(anyio_backend: Any, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Fleet]:
    if not RedisServer.available():
        pytest.skip("redis-server is not installed")
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(RedisServer(tmp_path))
        yield Fleet(stack, redis, local=request.param == "socket")
