"""What a container's health check says of real processes."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from parley.testing.engines import EngineCatalog

pytestmark = pytest.mark.anyio
HEALTH = Path(__file__).resolve().parents[3] / "deploy/docker/health.py"
LONG = "One two three four five six seven eight nine ten. " * 4


async def looked(role: str, **variables: str) -> tuple[int, str]:
    """The exit code of the check, and what it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HEALTH), role, env={**os.environ, **variables}, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode().strip()


async def test_a_worker_is_well_while_it_serves_and_not_once_it_is_gone(bench: Any) -> None:
    worker = await bench.worker()
    port = worker.address.rpartition(":")[2]
    assert await looked("worker", PARLEY_WORKER__PORT=port) == (0, "")
    await worker.aclose()
    assert await looked("worker", PARLEY_WORKER__PORT=port) == (1, "It does not answer: UNAVAILABLE.")


async def test_a_worker_that_drains_takes_nothing_new(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("slow"))
    speaking = bench.start(bench.client(worker), LONG, model="slow")
    await bench.take(speaking, 1)
    drained = asyncio.ensure_future(worker.drain())
    await bench.until(lambda: worker.servicer.draining)
    answered = await looked("worker", PARLEY_WORKER__PORT=worker.address.rpartition(":")[2])
    assert answered == (1, "It says NOT_SERVING.")
    await speaking.aclose()
    assert await drained


async def answer(status: str, body: str) -> asyncio.Server:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        assert request.startswith(b"GET /health ")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


async def test_an_orchestrator_that_cannot_hold_a_conversation_says_why() -> None:
    async with await answer("503 Service Unavailable", "no worker") as server:
        port = str(server.sockets[0].getsockname()[1])
        assert await looked("orchestrator", PARLEY_SERVER__PORT=port) == (1, "It answers 503: no worker")
    code, said = await looked("orchestrator", PARLEY_SERVER__PORT=port)
    assert code == 1
    assert "does not answer" in said


async def test_an_orchestrator_that_can_is_well() -> None:
    async with await answer("200 OK", "{}") as server:
        port = str(server.sockets[0].getsockname()[1])
        assert await looked("orchestrator", PARLEY_SERVER__PORT=port) == (0, "")


async def test_a_role_that_there_is_not_is_refused() -> None:
    assert (await looked("prompter"))[0] == 2
