"""How many connections there may be, and how quickly new ones come in (pure)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parley.allowance import Allowance
from parley.errors import CapacityError, TooManyRequests

if TYPE_CHECKING:
    from parley.server.settings import ServerSettings

AT_ONCE = 8
"""Handshakes that are done one right after the other; more are spread, so that running conversations do not wait."""
A_SECOND = 400.0
"""How closely they are spread."""
LONGEST_WAIT = 5.0
"""Seconds that a new connection is left waiting at most; then it is turned away."""
_REMEMBERED = 4_096
_PER_SESSION, _SPARE = 4, 256


@dataclass(slots=True)
class _Address:
    opened: Allowance
    handshakes: Allowance
    """Of WebSockets: each is a session."""
    count: int = 0


class Connections:
    """The book of open connections. Addresses of trusted proxies are not counted one by one: many come from there."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._most = settings.max_connections or _PER_SESSION * settings.max_sessions + _SPARE
        self._most_per_address = settings.max_connections_per_address or max(1, self._most // 2)
        self._proxies = Networks(settings.trusted_proxies)
        self._by_address: dict[str, _Address] = {}
        self._spread = Allowance(burst=AT_ONCE, per_second=A_SECOND)
        self.open = 0
        """Connections there are now."""

    def enter(self, address: str, now: float) -> float:
        """A connection was made. Returns the seconds before it is read from; CapacityError, TooManyRequests.

        Whoever got an answer says :meth:`leave` once, in the end.
        """
        if self.open >= self._most:
            raise CapacityError("The server has too many connections; try again later.", retry_after=5.0)
        wait = 0.0 if address in self._proxies else self._of(network_of(address), now)
        self.open += 1
        return max(wait, self._spread.owe(now))

    def comes_from(self, address: str, forwarded: str) -> str:
        """Whose a handshake is: the last address that a proxy which is believed has ``forwarded``, or its own."""
        last = forwarded.rpartition(",")[2].strip()
        return last if last and address in self._proxies else address

    def handshake(self, address: str, now: float) -> float:
        """One that has entered wants to be a WebSocket. Returns the seconds before it may be; TooManyRequests."""
        known = None if address in self._proxies else self._by_address.get(network_of(address))
        if known is None:
            return 0.0
        return _wait(known.handshakes, now, "Your address opens WebSockets too quickly; wait a moment.")

    def leave(self, address: str) -> None:
        """It is gone."""
        self.open -= 1
        known = self._by_address.get(network_of(address))
        if known is not None and address not in self._proxies:
            known.count -= 1

    def _of(self, network: str, now: float) -> float:
        known = self._by_address.get(network)
        if known is None:
            self._forget(now)
            settings = self._settings
            known = _Address(
                Allowance(burst=settings.connection_burst, per_second=settings.connection_rate),
                Allowance(burst=settings.handshake_burst, per_second=settings.handshake_rate),
            )
            self._by_address[network] = known
        if known.count >= self._most_per_address:
            raise TooManyRequests("Too many connections come from your address; close some first.", retry_after=5.0)
        wait = _wait(known.opened, now, "Your address opens connections too quickly; wait a moment.")
        known.count += 1
        return wait

    def _forget(self, now: float) -> None:
        """Addresses that hold nothing and owe nothing are strangers again."""
        if len(self._by_address) >= _REMEMBERED:
            self._by_address = {
                network: known
                for network, known in self._by_address.items()
                if known.count or min(known.opened.share_left(now), known.handshakes.share_left(now)) < 1
            }


def _wait(allowance: Allowance, now: float, complaint: str) -> float:
    """Seconds until nothing is owed; TooManyRequests, which costs nothing, where that takes too long."""
    wait = allowance.owe(now)
    if wait > LONGEST_WAIT:
        allowance.owe(now, -1)
        raise TooManyRequests(complaint, retry_after=wait)
    return wait


class Networks:
    """A set of addresses, written as addresses or networks. ValueError for what is neither."""

    def __init__(self, written: tuple[str, ...]) -> None:
        self._networks = [ipaddress.ip_network(text, strict=False) for text in written]

    def __contains__(self, address: str) -> bool:
        if not self._networks:
            return False
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self._networks)


def network_of(address: str) -> str:
    """What counts as one place: an IPv4 address, or the /64 that an IPv6 host has to itself."""
    if ":" not in address:
        return address
    try:
        ip = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ip.ipv4_mapped) if ip.ipv4_mapped else str(ipaddress.IPv6Network((ip, 64), strict=False))
