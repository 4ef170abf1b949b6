"""The Caddyfile of the examples: HTTPS in front, page requests, WebSocket and WebRTC signalling behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect

from parley.testing.echo_host import EchoHost, serving
from parley.transports.websocket_endpoint import serve_websocket

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("caddy") is None, reason="caddy is not installed"),
]

CADDYFILE = Path(__file__).parents[2] / "examples" / "caddy" / "Caddyfile"
FOR_TESTS = "{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n}\n"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def caddy(folder: Path, upstream: str) -> AsyncIterator[tuple[str, ssl.SSLContext]]:
    port = free_port()
    config = folder / "Caddyfile"
    config.write_text(FOR_TESTS + CADDYFILE.read_text())
    environment = {
        **os.environ,
        "PARLEY_SITE": f"https://localhost:{port}",
        "PARLEY_UPSTREAM": upstream,
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    log = (folder / "log").open("wb")
    process = await asyncio.create_subprocess_exec(
        "caddy", "run", "--adapter", "caddyfile", "--config", str(config), env=environment, stdout=log, stderr=log
    )
    authority = folder / "data" / "caddy" / "pki" / "authorities" / "local" / "root.crt"
    try:
        async with asyncio.timeout(20):
            while not await _answers(port, authority):
                await asyncio.sleep(0.1)
        yield f"https://localhost:{port}", ssl.create_default_context(cafile=str(authority))
    finally:
        process.terminate()
        await process.wait()
        log.close()


async def _answers(port: int, authority: Path) -> bool:
    if not authority.is_file():
        return False
    try:
        context = ssl.create_default_context(cafile=str(authority))
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    except OSError:
        return False
    writer.close()
    return True


async def test_https_and_wss_reach_parley_and_metrics_do_not_leave_the_house(tmp_path: Path) -> None:
    host = EchoHost()

    async def session(websocket: WebSocket) -> None:
        await serve_websocket(websocket, host)

    async def page(_: object) -> PlainTextResponse:
        return PlainTextResponse("page")

    app = Starlette(routes=[WebSocketRoute("/v1/session", session), Route("/", page), Route("/metrics", page)])
    async with serving(app) as url, caddy(tmp_path, url.removeprefix("ws://").split("/")[0]) as (site, context):
        async with httpx.AsyncClient(verify=context, trust_env=False) as http:
            answer = await http.get(site)
            assert answer.text == "page"
            assert "max-age" in answer.headers["strict-transport-security"]
            assert (await http.get(f"{site}/metrics")).status_code == 404
        address = site.replace("https://", "wss://") + "/v1/session"
        async with connect(address, ssl=context, proxy=None) as websocket:
            await websocket.send('{"type": "start", "sample_rate": 16000}')
            assert '"started"' in str(await websocket.recv())
