"""The network is told of Wyoming's port, and that it is gone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from zeroconf import IPVersion, ServiceStateChange
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from parley.api.wyoming.announce import TYPE, addresses_of, announced
from parley.errors import ConfigError

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]
HERE = "127.0.0.1"


async def test_a_home_finds_the_port_and_notices_when_it_is_gone() -> None:
    seen: list[tuple[str, ServiceStateChange]] = []
    news = asyncio.Event()

    def changed(zeroconf: Any, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        seen.append((name, state_change))
        news.set()

    async def until(change: ServiceStateChange) -> str:
        async with asyncio.timeout(20):
            while not (names := [name for name, state in seen if state is change and "10301" in name]):
                news.clear()
                await news.wait()
        return names[0]

    home = AsyncZeroconf(interfaces=[HERE], ip_version=IPVersion.V4Only)
    browser = AsyncServiceBrowser(home.zeroconf, TYPE, handlers=[changed])
    try:
        async with announced(["192.0.2.7"], 10301, version="1.0", interfaces=[HERE]):
            info = AsyncServiceInfo(TYPE, await until(ServiceStateChange.Added))
            assert await info.async_request(home.zeroconf, 3000)
            assert (info.parsed_addresses(), info.port) == (["192.0.2.7"], 10301)
        await until(ServiceStateChange.Removed)
    finally:
        await browser.async_cancel()
        await home.async_close()


async def test_a_name_that_somebody_else_has_gets_a_number() -> None:
    async with (
        announced(["192.0.2.7"], 10302, version="1.0", interfaces=[HERE]) as first,
        announced(["192.0.2.8"], 10302, version="1.0", interfaces=[HERE]) as second,
    ):
        assert second == f"{first}-2"


async def test_a_machine_with_the_longest_of_names_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "x" * 63)
    async with announced(["192.0.2.7"], 10303, version="1.0", interfaces=[HERE]) as name:
        assert name.endswith("x 10303")


async def test_what_the_network_does_not_take_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parley.api.wyoming.announce._LONGEST_NAME", 63)
    monkeypatch.setattr("socket.gethostname", lambda: "x" * 63)
    with pytest.raises(ConfigError, match=r"wyoming\.announce: this network takes no such message \(Too long: "):
        async with announced(["192.0.2.7"], 10304, version="1.0", interfaces=[HERE]):
            pass


def test_a_name_that_nobody_knows_is_said() -> None:
    with pytest.raises(ConfigError, match=r"wyoming\.host is no-such-house\.invalid, a name of which no address"):
        addresses_of("no-such-house.invalid")


def test_a_name_that_stands_for_this_machine_alone_is_not_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.1.1", 0))])
    with pytest.raises(ConfigError, match=r"a port that they can not reach: wyoming\.host is my-house"):
        addresses_of("my-house")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "::ffff:127.0.0.1"])
def test_what_nobody_else_reaches_is_not_announced(host: str) -> None:
    with pytest.raises(ConfigError, match=f"wyoming.host is {host}; set it to this machine's address"):
        addresses_of(host)


def test_an_address_is_announced_as_it_is() -> None:
    assert addresses_of("192.0.2.7") == ["192.0.2.7"]
