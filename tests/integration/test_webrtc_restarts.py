"""ICE restarts: one at a time, and no socket stays open that is not used."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from tests.integration.test_webrtc import pair
from tests.integration.test_webrtc_http import echoed, server

from parley.client.webrtc import WebRtcClient
from parley.errors import TooManyRequests
from parley.messages import StartSession
from parley.transports import webrtc
from parley.transports.rtc_settings import WebRtcSettings
from parley.transports.webrtc import RESTARTS_AT_ONCE, WebRtcTransport

pytestmark = pytest.mark.anyio

# Nobody answers at this candidate (RFC 5737), so a restart that names it goes on until its time is up.
FRAGMENT = (
    "a=ice-ufrag:u{number:04}\r\na=ice-pwd:0123456789012345678901\r\n"
    "a=candidate:1 1 udp 2130706431 192.0.2.1 9 typ host\r\na=end-of-candidates\r\n"
)
KIND = {"Content-Type": "application/trickle-ice-sdpfrag", "Authorization": "Bearer secret"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def sockets() -> int:
    """Sockets that this process has open."""
    found = 0
    for path in Path("/proc/self/fd").iterdir():
        try:
            found += str(path.readlink()).startswith("socket:")
        except OSError:  # the descriptor that the listing itself needed
            continue
    return found


async def until_sockets(most: int) -> None:
    async with asyncio.timeout(20):
        while sockets() > most:
            await asyncio.sleep(0.05)


async def test_of_many_restarts_that_come_to_nothing_one_at_a_time_holds_sockets_and_none_afterwards() -> None:
    before = sockets()
    async with pair() as (transport, _):
        connected = sockets()
        for number in range(RESTARTS_AT_ONCE):
            await transport.restart(FRAGMENT.format(number=number))
        per_restart = connected - before  # both ends are in this process, so this is generous
        assert sockets() <= connected + per_restart
    await until_sockets(before)


async def test_restarts_that_overlap_leave_no_socket_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webrtc, "RESTARTS_AT_ONCE", 1_000)
    before = sockets()
    async with pair() as (transport, _):
        await asyncio.gather(*(transport.restart(FRAGMENT.format(number=number)) for number in range(60)))
    await until_sockets(before)


async def test_a_restart_whose_time_is_up_leaves_no_socket() -> None:
    async with pair(WebRtcSettings(connect_timeout=1.0, reconnect_grace=3.0)) as (transport, _):
        before = sockets()
        await transport.restart(FRAGMENT.format(number=1))
        assert sockets() > before
        await until_sockets(before)


async def test_a_restart_while_the_session_ends_leaves_no_socket() -> None:
    before = sockets()
    async with pair() as (transport, _):
        restart = asyncio.create_task(transport.restart(FRAGMENT.format(number=1)))
        await asyncio.sleep(0)
        await transport.aclose()
        await asyncio.gather(restart, return_exceptions=True)
    await until_sockets(before)


async def test_more_restarts_than_anybody_needs_are_refused_until_a_while_has_passed() -> None:
    async with pair(start=StartSession()) as (transport, _):
        for number in range(RESTARTS_AT_ONCE):
            await transport.restart(FRAGMENT.format(number=number))
        with pytest.raises(TooManyRequests, match="too often"):
            await transport.restart(FRAGMENT.format(number=99))


async def test_six_hundred_restarts_over_http_leave_nothing_and_the_session_goes_on() -> None:
    async with server() as (url, host), httpx.AsyncClient() as http:
        await http.get(f"{url}/v1/webrtc", headers=KIND)  # its own connection counts before
        before = sockets()
        async with WebRtcClient(url, api_key="secret") as client:
            statuses = [
                (await http.patch(client.location, content=FRAGMENT.format(number=number), headers=KIND)).status_code
                for number in range(600)
            ]
            await echoed(client, "still here")
        assert set(statuses) == {200, 429}
        async with asyncio.timeout(10):
            await host.over.wait()
        await until_sockets(before)


async def test_more_candidates_than_a_browser_has_are_refused() -> None:
    candidates = "".join(f"a=candidate:{n} 1 udp 1 192.0.2.{n} 9 typ host\r\n" for n in range(1, 101))
    async with server() as (url, _), WebRtcClient(url, api_key="secret") as client, httpx.AsyncClient() as http:
        answer = await http.patch(client.location, content=candidates, headers=KIND)
        assert answer.status_code == 400
        assert "At most 64 candidates" in answer.json()["message"]


def test_the_transport_closes_what_it_never_used() -> None:
    async def make_and_close() -> None:
        await WebRtcTransport(WebRtcSettings()).aclose()

    before = sockets()
    asyncio.run(make_and_close())
    assert sockets() <= before
