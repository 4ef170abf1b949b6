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

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address

TYPE = "_wyoming._tcp.local."
_LONGEST_NAME = 40
"""Characters of this machine's name: with what stands around it, the protocol takes 63 bytes."""


def addresses_of(host: str) -> list[str]:
    """Where others reach what listens on ``host``, an address or a name. Raises ConfigError where they do not."""
    found = _resolved(host)
    if any(address.is_unspecified for address in found):
        from parley.server.https import host_addresses

        found = list(host_addresses())
    found = [address for address in found if not address.is_loopback]
    if not found:
        raise ConfigError(
            f"wyoming.announce tells others of a port that they can not reach: wyoming.host is {host}; set it to this "
            "machine's address, or to 0.0.0.0."
        )
    return [str(address) for address in found]


def _resolved(host: str) -> list[Address]:
    try:
        known = socket.getaddrinfo(host or None, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise ConfigError(
            f"wyoming.announce: wyoming.host is {host}, a name of which no address is known; set it to this machine's "
            "address, or to 0.0.0.0."
        ) from None
    return [_address(str(where[0]).partition("%")[0]) for *_, where in known]


def _address(text: str) -> Address:
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


@asynccontextmanager
async def announced(
    addresses: Sequence[str], port: int, *, version: str, interfaces: Sequence[str] = ()
) -> AsyncIterator[str]:
    """While the block runs; yields the name, which has a number where somebody else has it already.

    ``interfaces``: addresses to speak from, all of them where there are none.

    Raises ConfigError where the package is missing or the network takes no such message.
    """
    try:
        from zeroconf import Error, InterfaceChoice, IPVersion, ServiceInfo
        from zeroconf.asyncio import AsyncZeroconf
    except ImportError as error:
        raise ConfigError(
            f"wyoming.announce needs the package {error.name}; install it with: {install('zeroconf')}."
        ) from error
    host = socket.gethostname().partition(".")[0][:_LONGEST_NAME] or "parley"
    v4 = all(ipaddress.ip_address(address).version == 4 for address in addresses)
    try:
        info = ServiceInfo(
            TYPE,
            f"Parley on {host} {port}.{TYPE}",
            parsed_addresses=list(addresses),
            port=port,
            properties={"version": version},
            server=f"{host}.local.",
        )
        network = AsyncZeroconf(
            interfaces=list(interfaces) or InterfaceChoice.All, ip_version=IPVersion.V4Only if v4 else IPVersion.All
        )
    except (Error, OSError) as error:
        raise _not_told(error) from None
    try:
        try:
            await network.async_register_service(info, allow_name_change=True)
        except (Error, OSError) as error:
            raise _not_told(error) from None
        yield info.name.removesuffix(f".{TYPE}")
    finally:
        await network.async_unregister_all_services()
        await network.async_close()


def _not_told(error: Exception) -> ConfigError:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ConfigError(f"wyoming.announce: this network takes no such message ({reason}).")
