"""How many connections may be open, and how quickly one address may open them."""

from __future__ import annotations

import pytest

from parley.errors import CapacityError, TooManyRequests
from parley.server.connections import AT_ONCE, LONGEST_WAIT, Connections, network_of
from parley.server.settings import ServerSettings

HERE, THERE, PROXY = "192.0.2.1", "192.0.2.2", "10.0.0.5"


def book(**settings: object) -> Connections:
    return Connections(ServerSettings(trusted_proxies=("10.0.0.0/8",), **settings))  # type: ignore[arg-type]


def test_one_connection_too_many_is_turned_away_whoever_it_is() -> None:
    connections = book(max_connections=2)
    connections.enter(HERE, 0)
    connections.enter(THERE, 0)
    with pytest.raises(CapacityError, match="too many connections"):
        connections.enter(PROXY, 0)
    connections.leave(HERE)
    connections.enter(PROXY, 0)


def test_one_address_can_not_take_all_the_places() -> None:
    connections = book(max_connections=8)
    for _ in range(4):
        connections.enter(HERE, 0)
    with pytest.raises(TooManyRequests, match="your address"):
        connections.enter(HERE, 0)
    connections.enter(THERE, 0)
    connections.leave(HERE)
    connections.enter(HERE, 0)


def test_a_trusted_proxy_brings_as_many_as_it_likes() -> None:
    connections = book(max_connections_per_address=1, connection_burst=1, connection_rate=1)
    for second in range(20):
        assert connections.enter(PROXY, second) == 0


def test_an_address_that_reconnects_all_the_time_waits_and_is_turned_away_when_that_takes_too_long() -> None:
    connections = book(connection_burst=2, connection_rate=1)
    waits = []
    while not waits or waits[-1] < LONGEST_WAIT:
        waits.append(connections.enter(HERE, 0))
        connections.leave(HERE)
    assert waits == [0, 0, 1, 2, 3, 4, 5]
    with pytest.raises(TooManyRequests, match="too quickly"):
        connections.enter(HERE, 0)
    assert connections.enter(HERE, 7) == 0


def test_a_crowd_that_comes_at_once_is_spread() -> None:
    connections = book()
    waits = [connections.enter(f"192.0.2.{index}", 0) for index in range(AT_ONCE + 40)]
    assert waits[:AT_ONCE] == [0] * AT_ONCE
    assert waits[-1] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("a:b", "a:b"),
    ],
)
def test_an_ipv6_host_counts_by_the_network_it_has_to_itself(address: str, network: str) -> None:
    assert network_of(address) == network


def test_honest_clients_open_websockets_without_waiting() -> None:
    connections = book()
    for _ in range(50):  # a house full of people whose network came back
        connections.enter(HERE, 0)
        assert connections.handshake(HERE, 0) == 0
    for attempt in range(5):  # somebody with bad reception
        connections.enter(THERE, 2 * attempt)
        assert connections.handshake(THERE, 2 * attempt) == 0


def test_an_address_that_opens_websockets_all_the_time_waits_and_is_turned_away_when_that_takes_too_long() -> None:
    connections = book(handshake_burst=2, handshake_rate=1)
    connections.enter(HERE, 0)
    connections.enter(THERE, 0)
    assert [connections.handshake(HERE, 0) for _ in range(7)] == [0, 0, 1, 2, 3, 4, 5]
    with pytest.raises(TooManyRequests, match="too quickly"):
        connections.handshake(HERE, 0)
    assert connections.handshake(THERE, 0) == 0
    assert connections.handshake(HERE, 7) == 0


def test_websockets_of_a_trusted_proxy_are_not_counted() -> None:
    connections = book(handshake_burst=1, handshake_rate=1)
    for _ in range(20):
        connections.enter(PROXY, 0)
        assert connections.handshake(PROXY, 0) == 0


@pytest.mark.parametrize(
    ("address", "forwarded", "whose"),
    [
        (PROXY, "", PROXY),
        (PROXY, HERE, HERE),
        (PROXY, f"{THERE}, {HERE}", HERE),  # what comes before is what a client says of itself
        (THERE, HERE, THERE),
    ],
)
def test_a_handshake_is_that_of_whom_a_trusted_proxy_names(address: str, forwarded: str, whose: str) -> None:
    assert book().comes_from(address, forwarded) == whose
