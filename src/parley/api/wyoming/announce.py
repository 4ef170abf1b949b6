"""Tells the local network where Wyoming's port is (zeroconf), so that Home Assistant finds it by itself."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from parley.errors import ConfigError
from parley.hints import install

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TYPE = "_wyoming._tcp.local."
_ALL = ("0.0.0.0", "::")  # noqa: S104  (compared, not bound)


def addresses_of(host: str) -> list[str]:
    """Where others reach what listens on ``host``. Raises ConfigError where they do not."""
    if host in _ALL:
        from parley.server.https import host_addresses

        found = [str(address) for address in host_addresses() if not address.is_loopback]
    else:
        try:
            found = [] if ipaddress.ip_address(host).is_loopback else [host]
        except ValueError:
            found = [] if host == "localhost" else [socket.gethostbyname(host)]
    if not found:
        raise ConfigError(
            f"wyoming.announce tells others of a port that they can not reach: wyoming.host is {host}; set it to this "
            "machine's address, or to 0.0.0.0."
        )
    return found


@asynccontextmanager
async def announced(
    addresses: Sequence[str], port: int, *, version: str, interfaces: Sequence[str] = ()
) -> AsyncIterator[str]:
    """While the block runs; yields the name. ``interfaces``: addresses to speak from, all of them where there are none.

    Raises ConfigError where the package is missing or the network takes no such message.
    """
    try:
        from zeroconf import InterfaceChoice, IPVersion, ServiceInfo
        from zeroconf.asyncio import AsyncZeroconf
    except ImportError as error:
        raise ConfigError(
            f"wyoming.announce needs the package {error.name}; install it with: {install('zeroconf')}."
        ) from error
    host = socket.gethostname().partition(".")[0] or "parley"
    name = f"Parley on {host} {port}"
    info = ServiceInfo(
        TYPE,
        f"{name}.{TYPE}",
        parsed_addresses=list(addresses),
        port=port,
        properties={"version": version},
        server=f"{host}.local.",
    )
    v4 = all(ipaddress.ip_address(address).version == 4 for address in addresses)
    try:
        network = AsyncZeroconf(
            interfaces=list(interfaces) or InterfaceChoice.All, ip_version=IPVersion.V4Only if v4 else IPVersion.All
        )
    except OSError as error:
        raise ConfigError(
            f"wyoming.announce: this network takes no such message ({error.strerror or error})."
        ) from None
    try:
        await network.async_register_service(info)
        yield name
    finally:
        await network.async_unregister_all_services()
        await network.async_close()
