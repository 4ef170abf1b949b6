"""Somebody who only listens while others attack: what reaches them, how late it comes, and what the server holds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.attacks.waits import Looks, ThreadTimes, lateness
from websockets.asyncio.client import connect

from parley.transports.binary import unpack_agent

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractAsyncContextManager

    from tests.integration.people import Running

STORY = "There was a lighthouse at the end of a long road."
"""A little longer than the attacks."""
ELSEWHERE = ("127.0.0.2", 0)
"""Where the victim comes from: who attacks is held back by address."""
LONGEST = 60.0
FRAME = 0.020
LEAD = 3
"""Frames that a reply begins with at once; from the last of them on they come one at a time."""
MARGIN = 0.020
"""Seconds that frames may be later than undisturbed."""
TRIES = 4
"""Each is compared with an undisturbed run of the same minute; a flood that the server does not withstand keeps the
loop for seconds, and does so every time."""
GROWTH = 60_000_000
"""Bytes by which the server may grow under an attack: sixty-four sessions, and what Python keeps."""

SECONDS, CONNECTIONS = "2", 20
"""How long attacks last (what a client may do at once is used up in a fraction of it), and the many at once."""

CHANNELS = 2
"""One to each worker, opened on first use; attacks that leave something leave dozens."""

ATTACKERS = Path(__file__).with_name("attackers.py")


class Server:
    """A ``parley up`` that was started by ``measured.py``."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.url = running.url.replace("http:", "ws:")
        self.place = running.url.removeprefix("http://")
        self._answer = running.log.parent / "loop"
        self._process = Path(f"/proc/{running.process.pid}")

    def looks(self) -> Looks:
        """Those of its loop since this was asked last."""
        self._answer.unlink(missing_ok=True)
        self.running.process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 20
        while not self._answer.is_file():
            assert time.monotonic() < deadline, self.running.log.read_text()
            time.sleep(0.01)
        return Looks.unpack(self._answer.read_bytes())

    def thread_times(self) -> ThreadTimes:
        """Of this thread, of the server and of its worker: all who have a hand in a frame."""
        return ThreadTimes(self.running.process.pid, self.running.worker())

    def metrics(self) -> dict[str, float]:
        """All series of ``/metrics`` by name with labels."""
        with urllib.request.urlopen(f"{self.running.url}/metrics", timeout=20) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}

    def descriptors(self) -> int:
        """Files and sockets that the server has open."""
        return len(list((self._process / "fd").iterdir()))

    def holds_more_than(self, before: int) -> bool:
        """Whether something was left open since; a worker's channel that was first used meanwhile is none."""
        return self.descriptors() > before + CHANNELS

    def size(self) -> int:
        """Bytes in memory; the most of them is counted from here on."""
        (self._process / "clear_refs").write_text("5")
        return self._bytes("VmRSS")

    def largest(self) -> int:
        """The most bytes in memory since its size was asked."""
        return self._bytes("VmHWM")

    def _bytes(self, what: str) -> int:
        lines = (self._process / "status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith(what)).split()[1])


@dataclass
class Heard:
    """What reached somebody."""

    pcm: bytearray = field(default_factory=bytearray)
    gaps: int = 0
    """Frames that did not follow on the one before."""
    told: list[str] = field(default_factory=list)
    """Messages, which say why frames did not follow."""
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with the first sound."""
    arrivals: list[tuple[float, float]] = field(default_factory=list)
    """When each frame came, and for how long all who had a hand in it had stood in line for a processor until then."""

    def take(self, data: bytes, arrival: tuple[float, float]) -> None:
        """A frame came."""
        frame = unpack_agent(data)
        self.gaps += frame.start_sample != len(self.pcm) // 2
        self.pcm += frame.pcm
        self.arrivals.append(arrival)
        self.begun.set()

    def lateness(self) -> float:
        """Of its frames, in seconds; 0 where it was over before it went at a pace."""
        steady = self.arrivals[LEAD - 1 :]
        return lateness(Looks(*zip(*steady, strict=True)), FRAME) if steady else 0.0


@dataclass(frozen=True)
class Late:
    """How late it was, in seconds, each at its quantile."""

    loop: float
    """Whatever was due in the server waited for its loop."""
    frames: float
    """A frame came after its time."""

    def within(self, other: Late, margin: float = MARGIN) -> bool:
        """Not later than the other by more than the margin."""
        return self.loop <= other.loop + margin and self.frames <= other.frames + margin


@dataclass(frozen=True)
class Undisturbed:
    """How it is while nobody attacks."""

    pcm: bytes
    late: Late


async def listen(server: Server, heard: Heard) -> None:
    """Have the story spoken, and take all of it."""
    with contextlib.closing(server.thread_times()) as times:
        async with (
            asyncio.timeout(LONGEST),
            connect(server.url + "/v1/session", compression=None, local_addr=ELSEWHERE) as ws,
        ):
            await ws.send(json.dumps({"type": "start", "sample_rate": 16_000, "echo_cancelled": True}))
            await ws.send(json.dumps({"type": "say", "text": STORY}))
            await ws.send('{"type": "say_end"}')
            async for data in ws:
                if isinstance(data, bytes):
                    heard.take(data, times.now())
                    continue
                heard.told.append(data)
                if json.loads(data)["type"] == "reply_end":
                    return
    raise AssertionError("the server hung up in mid-sentence")


def undisturbed(server: Server) -> Undisturbed:
    """Listen while nobody attacks, after what is made on first use has been made."""

    async def warm_and_calm() -> Undisturbed:
        await listen(server, Heard())
        return await calm(server)

    return asyncio.run(warm_and_calm())


async def calm(server: Server) -> Undisturbed:
    """Listen while nobody attacks, once more if that was not in time: the machine has hiccups as well."""
    for _ in range(TRIES):
        heard = Heard()
        server.looks()
        await listen(server, heard)
        late = Late(server.looks().wait(), heard.lateness())
        if late.within(Late(0, 0)):
            break
    return Undisturbed(bytes(heard.pcm), late)


class NoAttackError(Exception):
    """The attackers failed: whatever was measured, it was no attack.

    LiveKit's own client ends its whole process now and then, where it is told to leave while it arrives.
    """


@contextlib.asynccontextmanager
async def attacked(
    server: Server, *attack: str, program: Path = ATTACKERS, answered: Path = Path(os.devnull)
) -> AsyncGenerator[Process, None]:
    """Attackers in a process of their own; the block may end before they do, which is waited for.

    What they say of what they did is written to ``answered``.
    """
    with answered.open("wb") as out:
        process = await asyncio.create_subprocess_exec(sys.executable, str(program), server.place, *attack, stdout=out)
    try:
        yield process
        if await process.wait() not in (0, -signal.SIGKILL):
            raise NoAttackError(f"the attackers failed with {process.returncode}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def withstands(server: Server, quiet: Undisturbed, attack: AbstractAsyncContextManager[Process]) -> Late:
    """Listen, again and again, for as long as an attack lasts that begins in mid-sentence: every sample comes.

    Returns how late it was meanwhile.
    """
    heard = [Heard()]
    listening = asyncio.create_task(listen(server, heard[0]))
    try:
        await asyncio.wait_for(heard[0].begun.wait(), LONGEST)
        server.looks()
        async with attack as process:
            await listening
            over = asyncio.create_task(process.wait())
            while not over.done():
                heard.append(Heard())
                listening = asyncio.create_task(listen(server, heard[-1]))
                await asyncio.wait({over, listening}, return_when=asyncio.FIRST_COMPLETED)
                begun = asyncio.create_task(heard[-1].begun.wait())
                await asyncio.wait({begun, listening}, timeout=LONGEST, return_when=asyncio.FIRST_COMPLETED)
                if listening.done():
                    listening.result()  # who was refused is told why
                assert begun.done(), f"nothing was heard for {LONGEST:.0f} s"
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    wait = server.looks().wait()
    check(heard[0], quiet)
    for one in heard[1:]:
        check(one, quiet, whole=one is not heard[-1])
    return Late(wait, max(one.lateness() for one in heard))


async def nobody_waits(
    server: Server, quiet: Undisturbed, attack: Callable[[], AbstractAsyncContextManager[Process]]
) -> None:
    """Every sample comes, not more than the margin later than undisturbed; the server does not grow."""
    tries: list[Late | NoAttackError] = []
    for left in reversed(range(TRIES)):
        size = server.size()
        try:
            late = await withstands(server, quiet, attack())
        except NoAttackError as error:
            tries.append(error)
            continue
        grown = server.largest() - size
        print(f"late: {late}; undisturbed: {quiet.late}; grown by {grown / 1e6:.1f} MB")
        assert grown < GROWTH
        if late.within(quiet.late):
            return
        tries.append(late)
        if left == 1:  # before the last one: is it the machine?
            quiet = await calm(server)
    raise AssertionError(f"{tries} with the attack, {quiet.late} without it")


async def withstood(
    parley: Running, quiet: Undisturbed, *attack: str, program: Path = ATTACKERS, answered: Path = Path(os.devnull)
) -> None:
    """The same for attackers in a process of their own."""
    server = Server(parley)
    await nobody_waits(server, quiet, lambda: attacked(server, *attack, program=program, answered=answered))


async def visited(server: Server, *visit: str, program: Path = ATTACKERS) -> int:
    """Have clients that do no harm, and say by how many bytes the server had grown at most meanwhile."""
    before = server.size()
    for left in reversed(range(TRIES)):
        try:
            async with attacked(server, *visit, program=program):
                pass
        except NoAttackError:
            if not left:
                raise
        else:
            break
    return server.largest() - before


def check(heard: Heard, quiet: Undisturbed, *, whole: bool = True) -> None:
    """The same samples as undisturbed, and none is missing; ``whole``: up to the end."""
    assert heard.gaps == 0, heard.told
    assert bytes(heard.pcm) == (quiet.pcm if whole else quiet.pcm[: len(heard.pcm)])
