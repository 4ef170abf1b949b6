"""Somebody who only listens while others attack, and what the server's loop says of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from websockets.asyncio.client import connect

from parley.transports.binary import unpack_agent

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

    from tests.integration.people import Running

STORY = (
    "Once upon a time there was a lighthouse at the end of a long road. Every evening the keeper climbed the stairs "
    "and lit the lamp, and every morning she put it out again."
)
LONGEST = 60.0
MARGIN = 0.020
"""Seconds that frames may be later than undisturbed."""
TRIES = 6
"""Thread time counts what the kernel and the caches of a crowded machine take as well; a flood that the server does
not withstand keeps the loop for seconds, and does so every time."""

ATTACKERS = Path(__file__).with_name("attackers.py")


class Server:
    """A ``parley up`` that was started by ``measured.py``."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.url = running.url.replace("http:", "ws:")
        self.place = running.url.removeprefix("http://")
        self._answer = running.log.parent / "loop"

    def longest(self) -> float:
        """Seconds of work for which the loop was kept at most, since this was asked last."""
        self._answer.unlink(missing_ok=True)
        self.running.process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 20
        while not self._answer.is_file():
            assert time.monotonic() < deadline, self.running.log.read_text()
            time.sleep(0.01)
        return float(self._answer.read_text())

    def metrics(self) -> dict[str, float]:
        """All series of ``/metrics`` by name with labels."""
        with urllib.request.urlopen(f"{self.running.url}/metrics", timeout=20) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}

    def descriptors(self) -> int:
        """Files and sockets that the server has open."""
        return len(list(Path(f"/proc/{self.running.process.pid}/fd").iterdir()))


@dataclass
class Heard:
    """What reached somebody."""

    pcm: bytearray = field(default_factory=bytearray)
    gaps: int = 0
    """Frames that did not follow on the one before."""


@dataclass(frozen=True)
class Undisturbed:
    """How it is while nobody attacks."""

    pcm: bytes
    longest: float


async def listen(url: str, begun: asyncio.Event | None = None) -> Heard:
    """Have the story spoken, and take all of it; ``begun`` is set with the first sound."""
    heard = Heard()
    async with asyncio.timeout(LONGEST), connect(url + "/v1/session", compression=None) as ws:
        await ws.send(json.dumps({"type": "start", "sample_rate": 16_000, "echo_cancelled": True}))
        await ws.send(json.dumps({"type": "say", "text": STORY}))
        await ws.send('{"type": "say_end"}')
        async for data in ws:
            if isinstance(data, bytes):
                frame = unpack_agent(data)
                heard.gaps += frame.start_sample != len(heard.pcm) // 2
                heard.pcm += frame.pcm
                if begun is not None:
                    begun.set()
            elif json.loads(data)["type"] == "reply_end":
                return heard
    raise AssertionError("the server hung up in mid-sentence")


def undisturbed(server: Server) -> Undisturbed:
    """Listen while nobody attacks; the first time warms up what is made on first use."""
    asyncio.run(listen(server.url))
    server.longest()
    heard = asyncio.run(listen(server.url))
    return Undisturbed(bytes(heard.pcm), server.longest())


@contextlib.asynccontextmanager
async def attacked(server: Server, *attack: str, program: Path = ATTACKERS) -> AsyncGenerator[Process, None]:
    """Attackers in a process of their own; the block may end before they do, which is waited for."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), server.place, *attack, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def withstands(server: Server, quiet: Undisturbed, attack: AbstractAsyncContextManager[Process]) -> float:
    """Listen, again and again, for as long as an attack lasts that begins in mid-sentence: every sample comes.

    Returns for how long the loop was kept meanwhile.
    """
    begun = asyncio.Event()
    listening = asyncio.create_task(listen(server.url, begun))
    try:
        await asyncio.wait_for(begun.wait(), LONGEST)
        server.longest()
        async with attack as process:
            check(await listening, quiet)
            while process.returncode is None:
                check(await listen(server.url), quiet)
    finally:
        listening.cancel()
    return server.longest()


def check(heard: Heard, quiet: Undisturbed) -> None:
    """The same samples as undisturbed, and none is missing."""
    assert heard.gaps == 0
    assert bytes(heard.pcm) == quiet.pcm
