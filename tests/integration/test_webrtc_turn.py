"""STUN and TURN with a real server (Debian: coturn), both ends on this machine."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from parley.client.webrtc import WebRtcPeer
from parley.errors import CapacityError
from parley.messages import StartSession, TextInput
from parley.transports.rtc_settings import WebRtcSettings
from parley.transports.webrtc import WebRtcTransport

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("turnserver") is None, reason="turnserver (coturn) is not installed"),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def turn_server(folder: Path) -> AsyncIterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    options = [
        f"--listening-port={port}", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--allow-loopback-peers",
        "--lt-cred-mech", "--user=somebody:password", "--realm=parley", "--no-tls", "--no-dtls", "--no-cli",
        "--min-port=45000", "--max-port=45100", f"--pidfile={folder / 'pid'}", f"--log-file={folder / 'log'}",
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        "turnserver", "-n", *options, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                    continue
                writer.close()
                break
        yield port
    finally:
        process.terminate()
        await process.wait()


async def talk(settings: WebRtcSettings) -> str:
    """Hold a session's first exchange; the server's answer."""
    transport, peer = WebRtcTransport(settings), WebRtcPeer(settings=settings)
    try:
        await peer.connect(transport.answer)
        peer.send(StartSession())
        await transport.started()
        peer.send(TextInput("hello"))
        async with asyncio.timeout(5):
            async for item in transport:
                if item == TextInput("hello"):
                    break
        return transport.local_sdp
    finally:
        await peer.close()
        await transport.aclose()


async def test_a_turn_server_carries_a_session_that_shows_no_address_of_its_own(tmp_path: Path) -> None:
    async with turn_server(tmp_path) as port:
        settings = WebRtcSettings(
            ice_servers=(f"turn:127.0.0.1:{port}?transport=udp",),
            turn_username="somebody",
            turn_password="password",
            relay_only=True,
        )
        answer = await talk(settings)
        kinds = {line.split(" typ ")[1].split()[0] for line in answer.splitlines() if "a=candidate:" in line}
        assert kinds == {"relay"}


async def test_a_stun_server_tells_the_address_seen_from_outside(tmp_path: Path) -> None:
    async with turn_server(tmp_path) as port:
        answer = await talk(WebRtcSettings(ice_servers=(f"stun:127.0.0.1:{port}",), loopback=True))
        assert "typ srflx" in answer


async def test_a_wrong_turn_password_is_told_to_the_browser(tmp_path: Path) -> None:
    async with turn_server(tmp_path) as port:
        settings = WebRtcSettings(
            ice_servers=(f"turn:127.0.0.1:{port}?transport=udp",),
            turn_username="somebody",
            turn_password="wrong",
            relay_only=True,
        )
        transport, peer = WebRtcTransport(settings), WebRtcPeer()
        with pytest.raises(CapacityError, match="TURN server gave no address"):
            await peer.connect(transport.answer)
        await peer.close()
        await transport.aclose()
