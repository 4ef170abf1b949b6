"""ICE as aioice does it, bound to chosen ports and addresses.

aioice offers every address but loopback, on any port. Here the ports come from a range, loopback
is offered where there is nothing else (a machine without a network still talks to itself), and
an address that only the outside knows can be announced.
"""

from __future__ import annotations

import asyncio
import copy
import random
import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import aioice
from aioice.ice import StunProtocol, TransportPolicy, get_host_addresses, server_reflexive_candidate
from aiortc import RTCIceServer
from aiortc.rtcicetransport import connection_kwargs

from parley.errors import ConfigError

if TYPE_CHECKING:
    from parley.transports.rtc_settings import WebRtcSettings

LOOPBACK = "127.0.0.1"
_RECEIVE_BUFFER_BYTES = 256 * 1024
_STUN_TIMEOUT = 2.0
_LAST_STUN_BYTE = 3
"""First bytes of 0 to 3 are STUN's (RFC 7983, section 7)."""
MAX_WAITING = 1_000
"""Datagrams that came and were not looked at yet: what an honest client sends in several seconds."""


def ice_servers(settings: WebRtcSettings) -> list[RTCIceServer]:
    """The STUN and TURN servers of the settings as aiortc writes them."""
    servers = []
    for url in settings.ice_servers:
        if url.startswith("turn"):
            servers.append(RTCIceServer(urls=url, username=settings.turn_username, credential=settings.turn_password))
        else:
            servers.append(RTCIceServer(urls=url))
    return servers


def check_ports(settings: WebRtcSettings) -> None:
    """Raise ConfigError when the port range is not one."""
    low, high = settings.udp_port_min, settings.udp_port_max
    if (low == 0) != (high == 0) or low > high:
        raise ConfigError(
            f"The UDP port range {low} to {high} is empty; set udp_port_min and udp_port_max, or neither of them."
        )


class _Protocol(StunProtocol):
    """One socket. What is no STUN passes by its parser, which takes an exception to say so."""

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        if isinstance(data, bytes) and data and data[0] > _LAST_STUN_BYTE:
            self.receiver.data_received(data, self.local_candidate.component)
        else:
            super().datagram_received(data, addr)


class IceConnection(aioice.Connection):
    """One ICE agent under our settings; otherwise aioice's own."""

    def __init__(self, settings: WebRtcSettings, *, controlling: bool = False) -> None:
        policy = TransportPolicy.RELAY if settings.relay_only else TransportPolicy.ALL
        super().__init__(
            ice_controlling=controlling, transport_policy=policy, **connection_kwargs(ice_servers(settings))
        )
        self._settings = settings
        self.takes: Callable[[], bool] = lambda: True
        """Asked for each datagram as it comes; one that is not taken is gone, as in a network."""

    def data_received(self, data: bytes, component: int) -> None:
        """A datagram came that is not ICE's own; those that nobody has looked at are bounded."""
        if self.takes() and self._queue.qsize() < MAX_WAITING:
            super().data_received(data, component)

    async def close(self) -> None:
        """Close the sockets; what nobody has looked at is forgotten."""
        self.takes = lambda: False
        while not self._queue.empty():
            self._queue.get_nowait()
        await super().close()

    async def get_component_candidates(self, component: int, addresses: list[str], timeout: int = 5) -> list[Any]:
        """Bind one socket per address inside the port range, then ask STUN and TURN."""
        bound = []
        for address in self._addresses(addresses):
            protocol = await self._bind(component, address)
            if protocol is not None:
                self._protocols.append(protocol)  # at once: whoever closes the connection closes what is here
                bound.append(protocol)
        candidates = [protocol.local_candidate for protocol in bound]
        candidates += self._announced(candidates)
        candidates += await self._reflexive(bound)
        return candidates + list(await super().get_component_candidates(component, [], timeout))

    def _addresses(self, found: list[str]) -> list[str]:
        if self._settings.relay_only:
            return []
        usable = found or get_host_addresses(use_ipv4=True, use_ipv6=True)
        if not usable or self._settings.loopback:
            return [*usable, LOOPBACK]
        return usable

    async def _bind(self, component: int, address: str) -> Any:
        for port in self._ports():
            try:
                transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
                    lambda: _Protocol(self), local_addr=(address, port)
                )
            except OSError:
                continue
            sock = transport.get_extra_info("socket")
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
            host, bound_port = transport.get_extra_info("sockname")[:2]
            protocol.local_candidate = aioice.Candidate(
                foundation=aioice.candidate.candidate_foundation("host", "udp", host),
                component=component,
                transport="udp",
                priority=aioice.candidate.candidate_priority(component, "host"),
                host=host,
                port=bound_port,
                type="host",
            )
            return protocol
        return None

    def _ports(self) -> Iterable[int]:
        """The range from a random start, so that sessions seldom collide."""
        low, high = self._settings.udp_port_min, self._settings.udp_port_max
        if not low:
            return (0,)
        ports = list(range(low, high + 1))
        start = random.randrange(len(ports))
        return ports[start:] + ports[:start]

    def _announced(self, candidates: list[Any]) -> list[Any]:
        if not self._settings.public_address:
            return []
        outside = []
        for candidate in candidates:
            if ":" not in candidate.host and candidate.host != LOOPBACK:
                twin = copy.copy(candidate)
                twin.host = self._settings.public_address
                outside.append(twin)
        return outside[:1]

    async def _reflexive(self, bound: list[Any]) -> list[Any]:
        if not self.stun_server:
            return []
        asks = [
            asyncio.wait_for(server_reflexive_candidate(protocol, self.stun_server), _STUN_TIMEOUT)
            for protocol in bound
            if ":" not in protocol.local_candidate.host
        ]
        answers = await asyncio.gather(*asks, return_exceptions=True)
        return [answer[0] for answer in answers if not isinstance(answer, BaseException)]
