"""`parley doctor --media`: a datagram there and back by every way that the settings name, with a real coturn."""

from __future__ import annotations

import shutil
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.test_webrtc_turn import turn_server

from parley.cli.checks import Finding
from parley.cli.media import examine_media
from parley.config import Settings
from parley.transports.rtc_settings import WebRtcSettings

pytestmark = pytest.mark.anyio
needs_relay = pytest.mark.skipif(shutil.which("turnserver") is None, reason="turnserver (coturn) is not installed")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def found(**webrtc: object) -> dict[str, Finding]:
    settings = replace(Settings(), webrtc=replace(WebRtcSettings(), **webrtc))  # type: ignore[arg-type]
    return {finding.name.split("?")[0]: finding for finding in await examine_media(settings)}


async def test_without_any_server_a_datagram_goes_directly() -> None:
    by_name = await found()
    assert [finding.state for finding in by_name.values()] == ["ok", "ok"]
    assert by_name["direct path"].detail.startswith("host ")


@needs_relay
async def test_a_client_that_has_only_the_relay_gets_here(tmp_path: Path) -> None:
    async with turn_server(tmp_path) as port:
        servers = (f"turn:127.0.0.1:{port}?transport=udp", f"stun:127.0.0.1:{port}")
        access = {"turn_username": "somebody", "turn_password": "password"}
        by_name = await found(ice_servers=servers, loopback=True, **access)
        assert [finding.state for finding in by_name.values()] == ["ok"] * 4
        assert "relay 127.0.0.1 to" in by_name[f"turn:127.0.0.1:{port}"].detail
        assert "this host is seen as" in by_name[f"stun:127.0.0.1:{port}"].detail


@needs_relay
async def test_a_wrong_password_is_told_as_the_server_says_it(tmp_path: Path) -> None:
    async with turn_server(tmp_path) as port:
        server = f"turn:127.0.0.1:{port}"
        by_name = await found(ice_servers=(server,), turn_username="somebody", turn_password="wrong", relay_only=True)
        assert "direct path" not in by_name
        assert by_name[server].state == "wrong"
        assert "401" in by_name[server].mend
        assert "webrtc.turn_password" in by_name[server].mend


async def test_a_relay_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parley.cli.media._GATHERING", 0.5)
    by_name = await found(ice_servers=("turn:127.0.0.1:9?transport=tcp",), turn_username="u", turn_password="p")
    assert by_name["turn:127.0.0.1:9"].state == "wrong"
    assert by_name["turn:127.0.0.1:9"].mend.startswith("it does not answer")


async def test_what_is_no_address_and_relay_only_without_a_relay_are_told() -> None:
    by_name = await found(ice_servers=("stun:",), relay_only=True)
    assert by_name["stun:"].state == by_name["relay"].state == "wrong"


async def test_a_range_whose_ports_are_taken_is_told() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("", 0))
        port = taken.getsockname()[1]
        by_name = await found(udp_port_min=port, udp_port_max=port)
    finding = by_name[f"UDP ports {port} to {port}"]
    assert (finding.state, finding.detail) == ("wrong", "0 of 1 are free")


async def test_a_range_that_is_none_and_webrtc_that_is_off_are_told() -> None:
    assert (await found(udp_port_min=5, udp_port_max=4))["UDP ports"].state == "wrong"
    assert [finding.state for finding in (await found(enabled=False)).values()] == ["ok"]
