"""Worker processes below this one: started, watched, started again, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from parley.children.backoff import Backoff
from parley.errors import UnavailableError

log = structlog.get_logger(__name__)

READY = "worker ready at "
"""How a worker says on its standard output that it can be used; its address follows."""
STOP_TIMEOUT = 5.0


@dataclass
class WorkerChild:
    """One ``parley worker`` as a child, on a port that it keeps when it is started again."""

    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that count before those of this process."""
    port: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while it can be used."""
    after: WorkerChild | None = None
    """It starts when that one is ready, and nobody depends on it: when it cannot start, that is told and no more."""

    def __post_init__(self) -> None:
        self.port = self.port or free_port()

    @property
    def address(self) -> str:
        """host:port of its gRPC server."""
        return f"127.0.0.1:{self.port}"

    async def run(self) -> None:
        """Keep it running until cancelled; then stop it.

        Raises UnavailableError when it ends before it was ready for the first time: its own words say why.
        """
        if self.after is not None:
            await self.after.ready.wait()
        loop = asyncio.get_running_loop()
        was_ready, backoff = False, Backoff()
        while True:
            began = loop.time()
            code = await self._live()
            was_ready = was_ready or self.ready.is_set()
            self.ready.clear()
            if not was_ready and self.after is not None:
                log.warning("the second worker cannot start; the first one speaks alone", code=code)
                return
            if not was_ready:
                raise UnavailableError("The worker ended before it was ready; what it said stands above.")
            wait = backoff.after(loop.time() - began)
            log.warning("worker ended, starting it again", code=code, seconds=wait)
            await asyncio.sleep(wait)

    async def _live(self) -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "parley", "worker", "--child", "--host", "127.0.0.1", "--port", str(self.port),
            *self.arguments,
            stdin=asyncio.subprocess.PIPE,  # closes with this process, whatever ends it: then the child ends too
            stdout=asyncio.subprocess.PIPE,
            env=inherited(self.environment),
            start_new_session=True,  # Ctrl-C is for us: the child goes when the conversations are over
        )  # fmt: skip
        try:
            assert process.stdout is not None
            async for line in process.stdout:
                if line.decode(errors="replace").startswith(READY):
                    self.ready.set()
            return await process.wait()
        finally:
            await asyncio.shield(_stop(process))


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def inherited(changes: Mapping[str, str]) -> dict[str, str]:
    """This process's environment for a child, with changes; a setting may stand in it in any case."""
    return {**{name: value for name, value in os.environ.items() if name.upper() not in changes}, **changes}


def free_port() -> int:
    """A port of the loopback that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
