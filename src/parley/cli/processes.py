"""Several orchestrators on one port: started together, started again one by one, stopped together."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from parley.children.backoff import Backoff
from parley.cli.children import inherited
from parley.cli.options import as_variables, files_again
from parley.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parley.config import Settings

log = structlog.get_logger(__name__)

READY = "Parley is ready at "
"""How an orchestrator says on its standard output that it can be used."""


async def serve_together(
    settings: Settings,
    count: int,
    config: list[Path] | None,
    overrides: list[str] | None,
    flags: Mapping[str, Any],
) -> None:
    """``parley serve --processes``: the same settings for each. ConfigError when they cannot share a port."""
    from parley.server.runner import base_url, listen

    if not settings.server.port:
        raise ConfigError("Several processes can only share a port that is named; give one with --port.")
    if not settings.registry.url:
        log.warning("without a registry, a client that reconnects to another process has no history there")
    shared = replace(settings.server, reuse_port=True)
    with listen(shared) as sock:  # a port that somebody else has is our complaint, not that of every child
        ready = f"{READY}{base_url(shared, sock)}"
    variables = {**as_variables(overrides, flags), "PARLEY_SERVER__REUSE_PORT": "true"}
    with tempfile.TemporaryDirectory(prefix="parley-") as folder:  # where they hear each other, and nobody else
        await Siblings(count, files_again(config), variables, Path(folder)).run(ready)


class Siblings:
    """``count`` processes of ``parley serve`` that share a port; the system spreads clients over them.

    In ``folder`` lie the sockets by which they pass on what another one keeps (``parley.server.siblings``).
    """

    def __init__(self, count: int, arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self._count = count
        self._folder = folder
        self._arguments = arguments
        self._environment = environment
        self._running: set[asyncio.subprocess.Process] = set()
        self._stop = asyncio.Event()

    async def run(self, ready: str) -> None:
        """Keep them running until SIGTERM or SIGINT; then let them drain. A second signal is passed on as well.

        Prints ``ready`` when all can be used. Raises UnavailableError when one ends before it was ready.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told)
        all_ready = [asyncio.Event() for _ in range(self._count)]
        async with asyncio.TaskGroup() as group:
            for which, event in enumerate(all_ready):
                group.create_task(self._keep(which, event))
            announcing = group.create_task(self._announce(all_ready, ready))
            await self._stop.wait()
            announcing.cancel()

    async def _announce(self, events: Sequence[asyncio.Event], ready: str) -> None:
        for event in events:
            await event.wait()
        print(ready, flush=True)

    def _told(self) -> None:
        self._stop.set()
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)

    async def _keep(self, number: int, ready: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        backoff = Backoff()
        while not self._stop.is_set():
            began = loop.time()
            code = await self._live(number, ready)
            if self._stop.is_set():
                return
            if not ready.is_set():
                raise UnavailableError("An orchestrator ended before it was ready; what it said stands above.")
            wait = backoff.after(loop.time() - began)
            log.warning("orchestrator ended, starting it again", code=code, seconds=wait)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._stop.wait()

    async def _live(self, number: int, ready: asyncio.Event) -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "parley", "serve", "--child", str(self._folder / str(number)), *self._arguments,
            stdin=asyncio.subprocess.PIPE,  # closes with this process, whatever ends it: then they drain
            stdout=asyncio.subprocess.PIPE,
            env=inherited(self._environment),
            start_new_session=True,  # Ctrl-C is for us, who pass it on once
        )  # fmt: skip
        self._running.add(process)
        try:
            assert process.stdout is not None
            async for line in process.stdout:
                text = line.decode(errors="replace")
                if text.startswith(READY):
                    ready.set()
                else:
                    print(text, end="", flush=True)
            return await process.wait()
        finally:
            self._running.discard(process)
            if process.returncode is None:
                process.kill()
                await process.wait()
