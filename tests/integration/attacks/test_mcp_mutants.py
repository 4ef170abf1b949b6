"""Ten thousand MCP messages with mistakes in them, and somebody who listens meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mcp import Client
from tests.integration.attacks.victim import GROWTH, TRIES, Server, calm, undisturbed, withstands
from tests.integration.people import running

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncGenerator

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(480)]
COUNT, CONNECTIONS = 10_000, 8


@contextlib.asynccontextmanager
async def mutants(server: Server, count: int, answered: Path) -> AsyncGenerator[Process]:
    program = Path(__file__).with_name("mcp_mutants.py")
    with answered.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(program), server.place, str(count), str(CONNECTIONS), stdout=out
        )
    try:
        yield process
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_messages_with_mistakes_disturb_nobody_and_leave_nothing(tmp_path: Path) -> None:
    measured = Path(__file__).with_name("measured.py")
    options = ("--set", "mcp.enabled=true")
    with running(tmp_path, *options, program=[str(measured), str(tmp_path / "loop")]) as parley:
        server = Server(parley)
        quiet = await asyncio.to_thread(undisturbed, server)
        async with mutants(server, 1_000, tmp_path / "first"):  # what is made on first use
            pass
        before, files = server.size(), server.descriptors()
        for _ in range(TRIES):
            late = await withstands(server, quiet, mutants(server, COUNT, tmp_path / "answered"))
            print(late, quiet.late)
            if late.within(quiet.late):
                break
            quiet = await calm(server)
        answered = json.loads((tmp_path / "answered").read_text())
        assert sum(answered.values()) == COUNT
        assert not [status for status in answered if status.startswith("5") and status != "503"], answered
        assert answered["200"] > 500
        assert answered["400"] > 500
        assert server.largest() - before < GROWTH
        assert server.descriptors() < files + 40
        async with Client(f"{parley.url}/mcp") as client:
            said = await client.call_tool("say", {"text": "Hello."})
        assert not said.is_error
        print(answered, server.largest() - before)
        log = parley.log.read_text()
    assert "Traceback" not in log, log
    assert late.within(quiet.late)
