"""A real LiveKit server on loopback, for tests and benchmarks: ``async with LiveKitServer(folder) as server``."""

from __future__ import annotations

import asyncio
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Self

from parley.errors import UnavailableError

if TYPE_CHECKING:
    from types import TracebackType

PROGRAM = "livekit-server"
KEY = "devkey"
SECRET = "a-secret-of-at-least-32-characters-for-tests"  # noqa: S105  a server that only loopback reaches

_START_TIMEOUT = 20.0
_CONFIG = """\
port: {port}
bind_addresses: ["127.0.0.1"]
keys: {{{key}: "{secret}"}}
rtc:
  node_ip: 127.0.0.1
  use_external_ip: false
  udp_port: {udp_port}
  tcp_port: 0
  enable_loopback_candidate: true
  ips: {{includes: ["127.0.0.1/32"]}}
  stun_servers: ["127.0.0.1:3478"]
logging: {{level: warn}}
"""


class LiveKitServer:
    """Ports of its own, nothing kept, ended with the block."""

    url = ""
    api_key = KEY
    api_secret = SECRET

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._port = 0
        self._log = folder / "livekit.log"

    @staticmethod
    def available() -> bool:
        """Whether the server is installed here."""
        return shutil.which(PROGRAM) is not None

    async def __aenter__(self) -> Self:
        self._port, udp_port = _free_port(socket.SOCK_STREAM), _free_port(socket.SOCK_DGRAM)
        self.url = f"ws://127.0.0.1:{self._port}"
        config = self._folder / "livekit.yaml"
        config.write_text(_CONFIG.format(port=self._port, udp_port=udp_port, key=KEY, secret=SECRET))
        await self.start()
        return self

    async def start(self) -> None:
        """Start it, on the same ports as before when it was stopped."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                PROGRAM, "--config", str(self._folder / "livekit.yaml"), stdout=log, stderr=log
            )
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                await self._until_it_listens(self._port)
        except TimeoutError:
            await self.stop()
            raise UnavailableError(f"{PROGRAM} did not start; its log is {self._log}.") from None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """End the server, by force if need be."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(2):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _until_it_listens(self, port: int) -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
