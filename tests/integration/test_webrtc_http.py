"""WebRTC signalling over real HTTP: open, trickle, restart, close, refuse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
import uvicorn
from aiortc import RTCPeerConnection
from starlette.applications import Starlette

from parley.client.webrtc import WebRtcClient
from parley.errors import CapacityError, Unauthorized
from parley.interfaces import Transport
from parley.messages import SessionEnded, SessionStarted, StartSession, TextInput, TranscriptUpdate
from parley.server.peers import Peers
from parley.server.webrtc import WebRtcEndpoint
from parley.transports.bounds import ClientBounds
from parley.transports.rtc_settings import WebRtcSettings
from parley.values import Role

pytestmark = pytest.mark.anyio

SETTINGS = WebRtcSettings(connect_timeout=10.0, ice_servers=(), reconnect_grace=2.0)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Host:
    """Repeats typed text as a transcript; full when told so."""

    def __init__(self) -> None:
        self.bounds = ClientBounds()
        self.full = False
        self.over = asyncio.Event()

    def check_origin(self, origin: str, host: str) -> None:
        if origin == "http://evil.example":
            raise Unauthorized("Pages from http://evil.example may not talk to this server.")

    def check_key(self, key: str, role: Role = Role.TALK, *, tokens: bool = False) -> None:
        if key != "secret":
            raise Unauthorized("The key is wrong.")

    async def run_session(self, transport: Transport, start: StartSession) -> None:
        if self.full:
            raise CapacityError("All places are taken.")
        await transport.send_message(SessionStarted("s1"))
        async for item in transport:
            if isinstance(item, TextInput):
                await transport.send_message(TranscriptUpdate(1, item.text, final=True))
        await transport.send_message(SessionEnded())
        self.over.set()


@asynccontextmanager
async def server(settings: WebRtcSettings = SETTINGS) -> AsyncIterator[tuple[str, Host]]:
    host = Host()
    peers = Peers(settings)
    config = uvicorn.Config(
        Starlette(routes=WebRtcEndpoint(host, peers).routes), port=0, log_level="error", lifespan="off"
    )
    http = uvicorn.Server(config)
    task = asyncio.create_task(http.serve())
    while not http.started:
        await asyncio.sleep(0.01)
    port = http.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}", host
    finally:
        await peers.aclose()
        http.should_exit = True
        await task


async def echoed(client: WebRtcClient, text: str) -> None:
    await client.send(TextInput(text))
    async with asyncio.timeout(5):
        async for event in client:
            if event.message == TranscriptUpdate(1, text, final=True):
                return


async def test_a_session_opens_talks_and_closes() -> None:
    async with server() as (url, host):
        async with WebRtcClient(url, api_key="secret") as client:
            assert client.started.session_id == "s1"
            await echoed(client, "hello")
        async with asyncio.timeout(5):
            await host.over.wait()


async def test_a_restart_over_http_keeps_the_session() -> None:
    async with server() as (url, _), WebRtcClient(url, api_key="secret") as client:
        await client.peer.lose_network()
        await client.restart_ice()
        await echoed(client, "still here")


async def test_a_client_that_falls_silent_is_taken_to_have_left() -> None:
    async with server() as (url, host), WebRtcClient(url, api_key="secret") as client:
        await client.peer.lose_network()
        async with asyncio.timeout(8):
            await host.over.wait()


async def test_a_full_server_says_so_to_the_client() -> None:
    async with server() as (url, host):
        host.full = True
        with pytest.raises(CapacityError, match="All places are taken"):
            async with WebRtcClient(url, api_key="secret"):
                pass


async def test_two_sessions_do_not_hear_each_other() -> None:
    async with (
        server() as (url, _),
        WebRtcClient(url, api_key="secret") as first,
        WebRtcClient(url, api_key="secret") as second,
    ):
        await echoed(first, "one")
        await echoed(second, "two")


async def dangling_offer(url: str) -> httpx.Response:
    """An offer whose browser never comes."""
    peer = RTCPeerConnection()
    peer.addTransceiver("audio")
    peer.createDataChannel("parley")
    await peer.setLocalDescription(await peer.createOffer())
    headers = {"Content-Type": "application/sdp", "Authorization": "Bearer secret"}
    try:
        async with httpx.AsyncClient() as http:
            return await http.post(f"{url}/v1/webrtc", content=peer.localDescription.sdp, headers=headers)
    finally:
        await peer.close()


@pytest.mark.parametrize(
    ("settings", "status", "code"),
    [
        (replace(SETTINGS, max_pending_per_address=1), 429, "too_many_requests"),
        (replace(SETTINGS, max_pending=1), 503, "at_capacity"),
    ],
)
async def test_offers_that_wait_for_their_browser_are_bounded(settings: WebRtcSettings, status: int, code: str) -> None:
    async with server(settings) as (url, _), WebRtcClient(url, api_key="secret"):
        # The browser above is connected and so holds no place any more.
        assert (await dangling_offer(url)).status_code == 201
        refused = await dangling_offer(url)
        assert refused.status_code == status
        assert refused.json()["code"] == code
        assert int(refused.headers["Retry-After"]) >= 1


async def test_a_wrong_key_is_refused() -> None:
    async with server() as (url, _):
        with pytest.raises(Unauthorized, match="key is wrong"):
            async with WebRtcClient(url, api_key="guess"):
                pass


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "status", "reason"),
    [
        ("POST", "/v1/webrtc", "v=0\r\n", "application/sdp", 400, "audio section"),
        ("POST", "/v1/webrtc", "{}", "application/json", 400, "Content-Type"),
        ("POST", "/v1/webrtc", "x" * 70_000, "application/sdp", 400, "at most"),
        ("DELETE", "/v1/webrtc/none", "", "application/sdp", 404, "no such session"),
        ("PATCH", "/v1/webrtc/none", "", "application/sdp", 404, "no such session"),
    ],
)
async def test_a_wrong_request_is_answered_with_its_reason(
    method: str, path: str, body: str, kind: str, status: int, reason: str
) -> None:
    async with server() as (url, _), httpx.AsyncClient() as http:
        headers = {"Content-Type": kind, "Authorization": "Bearer secret"}
        response = await http.request(method, url + path, content=body, headers=headers)
        assert response.status_code == status
        assert reason in response.json()["message"]


async def test_a_foreign_page_is_refused() -> None:
    async with server() as (url, _), httpx.AsyncClient() as http:
        response = await http.get(f"{url}/v1/webrtc", headers={"Origin": "http://evil.example"})
        assert response.status_code == 401


async def test_the_configuration_names_the_ice_servers() -> None:
    settings = WebRtcSettings(ice_servers=("turn:127.0.0.1:3478",), turn_username="u", turn_password="p")
    async with server(settings) as (url, _), httpx.AsyncClient() as http:
        response = await http.get(f"{url}/v1/webrtc", headers={"Authorization": "Bearer secret"})
        assert response.json()["iceServers"] == [{"urls": "turn:127.0.0.1:3478", "username": "u", "credential": "p"}]


async def test_candidates_after_the_last_one_or_for_another_ice_session_are_refused() -> None:
    async with server() as (url, _):
        client = WebRtcClient(url, api_key="secret")
        async with client, httpx.AsyncClient() as http:
            body = "a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host\r\n"
            headers = {"Content-Type": "application/trickle-ice-sdpfrag", "Authorization": "Bearer secret"}
            response = await http.patch(client.location, content=body, headers=headers)
            assert "no more candidates" in response.json()["message"]  # this client sent them all in its offer
            response = await http.patch(client.location, content="a=end-of-candidates\r\n", headers=headers)
            assert response.status_code == 204
            headers["If-Match"] = '"other"'
            assert (await http.patch(client.location, content=body, headers=headers)).status_code == 412
