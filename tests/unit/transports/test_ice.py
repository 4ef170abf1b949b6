"""Which addresses and ports are offered."""

from __future__ import annotations

import pytest

from parley.errors import ConfigError
from parley.transports import ice
from parley.transports.rtc_settings import WebRtcSettings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def offered(settings: WebRtcSettings) -> list[tuple[str, int]]:
    connection = ice.IceConnection(settings)
    try:
        await connection.gather_candidates()
        return [(candidate.host, candidate.port) for candidate in connection.local_candidates]
    finally:
        await connection.close()


async def test_a_machine_without_a_network_offers_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ice, "get_host_addresses", lambda **_: [])
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [])
    assert [host for host, _ in await offered(WebRtcSettings())] == ["127.0.0.1"]


async def test_ports_come_from_the_range_and_none_twice() -> None:
    settings = WebRtcSettings(loopback=True, udp_port_min=43_100, udp_port_max=43_120)
    first = ice.IceConnection(settings)
    second = ice.IceConnection(settings)
    try:
        await first.gather_candidates()
        await second.gather_candidates()
        taken = [(c.host, c.port) for c in first.local_candidates + second.local_candidates]
        assert all(43_100 <= port <= 43_120 for _, port in taken)
        assert len(taken) == len(set(taken))
    finally:
        await first.close()
        await second.close()


async def test_a_range_that_is_used_up_offers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: ["127.0.0.1"])
    settings = WebRtcSettings(udp_port_min=43_130, udp_port_max=43_130)
    first = ice.IceConnection(settings)
    try:
        await first.gather_candidates()
        assert len(first.local_candidates) == 1
        assert await offered(settings) == []
    finally:
        await first.close()


async def test_an_address_of_the_outside_is_offered_with_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: ["127.0.0.2"])
    candidates = await offered(WebRtcSettings(public_address="203.0.113.7"))
    assert [host for host, _ in candidates] == ["127.0.0.2", "203.0.113.7"]
    assert len({port for _, port in candidates}) == 1


async def test_with_relay_only_no_own_address_is_shown() -> None:
    assert await offered(WebRtcSettings(relay_only=True)) == []


@pytest.mark.parametrize(("low", "high"), [(5000, 0), (0, 5000), (5001, 5000)])
def test_an_empty_range_is_a_mistake(low: int, high: int) -> None:
    with pytest.raises(ConfigError, match="empty"):
        ice.check_ports(WebRtcSettings(udp_port_min=low, udp_port_max=high))


def test_turn_servers_get_the_credentials_and_stun_servers_do_not() -> None:
    settings = WebRtcSettings(ice_servers=("stun:a:1", "turn:b:2"), turn_username="u", turn_password="p")
    stun, turn = ice.ice_servers(settings)
    assert (stun.username, turn.username, turn.credential) == (None, "u", "p")


async def test_datagrams_that_nobody_looks_at_are_bounded_and_forgotten_at_the_end() -> None:
    connection = ice.IceConnection(WebRtcSettings(loopback=True))
    for _ in range(2 * ice.MAX_WAITING):
        connection.data_received(b"\x80", 1)
    assert connection._queue.qsize() == ice.MAX_WAITING
    await connection.close()
    assert connection._queue.qsize() <= 1  # the mark of the end


async def test_a_datagram_that_may_not_come_is_not_kept() -> None:
    connection = ice.IceConnection(WebRtcSettings(loopback=True))
    connection.takes = lambda: False
    connection.data_received(b"\x80", 1)
    assert connection._queue.empty()
    await connection.close()
