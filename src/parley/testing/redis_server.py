"""A real Redis server of the test's own, on a port of its own, that can be stopped and started again."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from typing import TYPE_CHECKING, Self

from parley import clock

if TYPE_CHECKING:
    from pathlib import Path


def free_port() -> int:
    """A TCP port on loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """``async with RedisServer(folder) as redis: redis.url``. It keeps nothing on disk."""

    def __init__(self, folder: Path, *, host: str = "127.0.0.1", password: str = "") -> None:
        self.folder = folder
        self.host = host
        self.port = free_port()
        self._password = password
        self._process: asyncio.subprocess.Process | None = None

    @staticmethod
    def available() -> bool:
        """Whether ``redis-server`` is installed."""
        return shutil.which("redis-server") is not None

    @property
    def url(self) -> str:
        """For RegistrySettings."""
        auth = f":{self._password}@" if self._password else ""
        return f"redis://{auth}{self.host}:{self.port}/0"

    async def start(self) -> None:
        """Start it, or start it again on the same port; returns when it answers."""
        command = ["redis-server", "--port", str(self.port), "--bind", self.host, "--save", "", "--appendonly", "no"]
        if self._password:
            command += ["--requirepass", self._password]
        self._process = await asyncio.create_subprocess_exec(
            *command, cwd=self.folder, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        deadline = clock.now() + 10
        while clock.now() < deadline:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(self.host, self.port)
                writer.close()
                return
            if self._process.returncode is not None:
                break
            await asyncio.sleep(0.02)
        raise RuntimeError("redis-server did not start")

    async def stop(self) -> None:
        """Kill it: what it held is lost."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
