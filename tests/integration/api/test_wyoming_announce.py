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


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_what_nobody_else_reaches_is_not_announced(host: str) -> None:
    with pytest.raises(ConfigError, match=f"wyoming.host is {host}; set it to this machine's address"):
        addresses_of(host)


def test_an_address_is_announced_as_it_is() -> None:
    assert addresses_of("192.0.2.7") == ["192.0.2.7"]
