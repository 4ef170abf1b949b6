"""Real workers on loopback, each with the models that a test needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from typing import Any

import grpc
import pytest

from parley.audio.frame import AudioFrame
from parley.interfaces import Synthesis
from parley.rpc.client import GrpcSynthesizer, WorkerAccess
from parley.rpc.gen import tts_pb2_grpc
from parley.rpc.local.calls import LocalChannel
from parley.rpc.local.folder import find
from parley.testing.engines import EngineCatalog
from parley.values import Voice
from parley.worker.server import Worker
from parley.worker.settings import ModelSettings, WorkerSettings


class Bench:
    """Starts workers and clients and ends them with the test."""

    def __init__(self, stack: AsyncExitStack, *, local: bool) -> None:
        self._stack = stack
        self.local = local
        """Its clients reach workers over their sockets, and over gRPC only where they have none."""

    async def worker(self, catalog: Any = None, models: ModelSettings | None = None, **settings: Any) -> Worker:
        models = models or ModelSettings(default_model="tone")
        worker = Worker(WorkerSettings(port=0, models=models, **settings), catalog or EngineCatalog())
        await worker.start()
        self._stack.push_async_callback(worker.aclose)
        return worker

    def client(self, worker: Worker, **access: Any) -> GrpcSynthesizer:
        name = worker.local_socket if self.local else ""
        client = GrpcSynthesizer(worker.address, WorkerAccess(**access), local_socket=name)
        self._stack.push_async_callback(client.aclose)
        self._stack.callback(self._check_way, client, bool(name))
        return client

    def _check_way(self, client: GrpcSynthesizer, local: bool) -> None:
        """Who has opened a session has done so over the wire that this test is for."""
        if client._sessions:
            assert (client._stub._near is not None) == local

    async def stub(self, worker: Worker) -> Any:
        """The service without our client in between."""
        if self.local:
            path = find(worker.local_socket)
            assert path is not None
            near = LocalChannel()
            await near.connect(path)
            self._stack.callback(near.close)
            return near
        channel = await self._stack.enter_async_context(grpc.aio.insecure_channel(worker.address))
        return tts_pb2_grpc.TtsServiceStub(channel)  # type: ignore[no-untyped-call]

    async def vanish(self, client: GrpcSynthesizer) -> None:
        """Leave without a word to the worker."""
        await client._stub.aclose()
        await client._channel.close()

    def start(
        self, client: GrpcSynthesizer, *pieces: str, model: str = "", session: str = "s", utterance: str = "u",
        voice: Voice | None = None,
    ) -> Synthesis:  # fmt: skip
        async def text() -> AsyncIterator[str]:
            for piece in pieces:
                yield piece

        voice = voice or Voice(model)
        return client.synthesize(text(), voice=voice, session_id=session, utterance_id=utterance)

    async def speak(self, client: GrpcSynthesizer, *pieces: str, **where: Any) -> list[AudioFrame]:
        """Hear an utterance to its end."""
        return await self.rest(self.start(client, *pieces, **where))

    async def rest(self, synthesis: Synthesis) -> list[AudioFrame]:
        async with aclosing(synthesis):
            return [frame async for frame in synthesis]

    async def take(self, synthesis: Synthesis, count: int) -> list[AudioFrame]:
        return [await anext(synthesis) for _ in range(count)]

    async def until(self, true: Callable[[], bool]) -> None:
        """Let the loop run until something has happened; fails after ten seconds."""
        async with asyncio.timeout(10):
            while not true():
                await asyncio.sleep(0.002)

    async def silent(self, synthesis: Synthesis) -> bool:
        """True when no frame comes for a fifth of a second: ten times what one takes here."""
        pending = asyncio.ensure_future(anext(synthesis))
        done, _ = await asyncio.wait((pending,), timeout=0.2)
        if done:
            return False
        self.pending = pending
        return True


WIRES = ("grpc", "socket")
ENGINES = ("csm", "engine_loras", "espeak", "families", "parler")
"""Suites of what lies behind both wires: heard over one of them."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The contract holds over both wires."""
    if "bench" in metafunc.fixturenames:
        about = metafunc.module.__name__.rpartition("test_")[2]
        wires = WIRES[1:] if about == "local_wire" else WIRES[:1] if about in ENGINES else WIRES
        metafunc.parametrize("bench", wires, indirect=True)


@pytest.fixture
async def bench(no_tasks_left: None, no_processes_left: None, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        yield Bench(stack, local=request.param == "socket")
