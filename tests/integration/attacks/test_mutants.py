"""Ten thousand messages with mistakes in them to each of other people's protocols, and somebody who listens meanwhile.

MCP has its own (``test_mcp_mutants.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.integration.attacks.victim import GROWTH, Server, Undisturbed, undisturbed, withstands
from tests.integration.people import running

from parley.bench.stack import free_port

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncGenerator, Generator

    from tests.integration.people import Running

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(240)]
COUNT, CONNECTIONS = 10_000, 8
REFUSED = "a wyoming client was refused"
SPARE = 8
"""Files that may be open afterwards beside those from before: what a pool keeps, and no message's own."""
ANSWERS = {
    "realtime": {"errors": 3_000, "done": 200},
    "audio": {"400": 4_000, "200": 5},
    "wyoming": {"errors": 100, "answers": 20},
}
"""How many there are at least: the mistakes reach what is to judge them, and not all is a mistake."""


@pytest.fixture(scope="module")
def parley(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Running, int], None, None]:
    folder, port = tmp_path_factory.mktemp("parley"), free_port()
    # What comes too quickly is refused before it is looked at, and is tested elsewhere.
    options = (f"wyoming.port={port}", "clients.message_rate=10000", "clients.message_burst=10000")
    options += ("clients.max_mistakes=1000", "server.handshake_rate=1000", "server.handshakes=1000")
    arguments = ("--wyoming", *(part for option in options for part in ("--set", option)))
    measured = Path(__file__).with_name("measured.py")
    with running(folder, *arguments, program=[str(measured), str(folder / "loop")]) as it:
        yield it, port


@pytest.fixture(scope="module")
def quiet(parley: tuple[Running, int]) -> Undisturbed:
    return undisturbed(Server(parley[0]))


@contextlib.asynccontextmanager
async def mutants(place: str, kind: str, answered: Path, count: int = COUNT) -> AsyncGenerator[Process]:
    program = Path(__file__).with_name("mutants.py")
    with answered.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(program), place, kind, str(count), str(CONNECTIONS), stdout=out
        )
    try:
        yield process
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def left(server: Server) -> None:
    """Wait until nobody is there any more."""
    async with asyncio.timeout(60):
        while server.metrics()["parley_sessions"]:
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("kind", list(ANSWERS))
async def test_messages_with_mistakes_disturb_nobody_and_leave_nothing(
    parley: tuple[Running, int], quiet: Undisturbed, kind: str, tmp_path: Path
) -> None:
    server = Server(parley[0])
    place = f"127.0.0.1:{parley[1]}" if kind == "wyoming" else server.place
    async with mutants(place, kind, tmp_path / "first", COUNT // 10):  # what is made on first use
        pass
    await left(server)
    size, files, refused = server.size(), server.descriptors(), parley[0].log.read_text().count(REFUSED)
    late = await withstands(server, quiet, mutants(place, kind, tmp_path / "answered"))
    answered = json.loads((tmp_path / "answered").read_text())
    print(kind, answered, late, quiet.late, files, server.descriptors(), server.largest() - size)
    assert answered["sent"] == COUNT
    assert not [status for status in answered if status.startswith("5") and status != "503"], answered
    for answer, least in ANSWERS[kind].items():
        assert answered.get(answer, 0) >= least, answered
    await left(server)
    assert server.largest() - size < GROWTH
    async with asyncio.timeout(20):  # who left is closed by the server a moment later
        while server.descriptors() > files + SPARE:
            await asyncio.sleep(0.1)
    log = parley[0].log.read_text()
    assert "Traceback" not in log, log
    # Nobody fills a disk with mistakes: one line for each connection, and none for a form.
    assert log.count(REFUSED) - refused <= answered.get("closed", 0) + CONNECTIONS
    assert "boundary character" not in log
    assert late.within(quiet.late, 0.06)  # ten thousand take a minute, in which a machine has hiccups; there is one try
