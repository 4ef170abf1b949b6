"""Real worker processes for tests: started, found by a registry, killed without mercy.

``python -m parley.testing.fleet '{"name": ...}'`` is such a worker; :class:`WorkerProcess` starts one.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from parley.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley.worker.server import Worker


@dataclass
class WorkerProcess:
    """A worker in a process of its own."""

    name: str
    registry: dict[str, Any] = field(default_factory=dict)
    """Fields of RegistrySettings; without a url the worker announces itself nowhere."""
    worker: dict[str, Any] = field(default_factory=dict)
    """Fields of WorkerSettings."""
    model: str = "tone-words"
    prefix: Sequence[str] = ()
    """Command in front of the worker's own, such as ``ip netns exec NAME``."""
    address: str = ""
    """Once it is started."""
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> Self:
        """Start it; returns when it listens and has announced itself once."""
        config = {"name": self.name, "registry": self.registry, "worker": self.worker, "model": self.model}
        self.process = await asyncio.create_subprocess_exec(
            *self.prefix,
            sys.executable,
            "-m",
            "parley.testing.fleet",
            json.dumps(config),
            stdout=asyncio.subprocess.PIPE,
        )
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            line = (await self.process.stdout.readline()).decode().strip()
        if not line:
            raise UnavailableError(f"The worker {self.name} did not start.")
        self.address = line
        return self

    def signal(self, number: signal.Signals) -> None:
        """SIGKILL, SIGTERM, SIGSTOP ... to the worker itself."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)

    async def wait(self) -> int:
        """Its exit status. TimeoutError when it does not end within a minute."""
        assert self.process is not None
        async with asyncio.timeout(60):
            return await self.process.wait()

    async def kill(self) -> None:
        """kill -9."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def drain(self) -> None:
        """SIGTERM, and wait until it has finished what it spoke."""
        self.signal(signal.SIGTERM)
        await self.wait()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        self.signal(signal.SIGCONT)
        await self.kill()


async def main(config: dict[str, Any]) -> None:
    """Serve until SIGTERM."""
    from parley.registry.settings import RegistrySettings
    from parley.worker.announce import announced
    from parley.worker.server import serve
    from parley.worker.settings import ModelSettings, WorkerSettings
    from parley.worker.voicepacks import VoicePackCatalog

    models = ModelSettings(default_model=config["model"])
    settings = WorkerSettings(**{"port": 0, "name": config["name"], "models": models, **config["worker"]})
    registry = RegistrySettings(**config["registry"])
    async with AsyncExitStack() as stack:

        async def ready(worker: Worker) -> None:
            if registry.url:
                await stack.enter_async_context(announced(worker, registry))
            print(worker.address, flush=True)

        await serve(settings, VoicePackCatalog(), ready=ready)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
