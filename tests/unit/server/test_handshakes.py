"""WebSockets are opened at a pace, one address after the other, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial

import pytest

from parley.server.handshakes import AT_ONCE, IN_LINE, LONGEST_PAUSE, Handshakes
from parley.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio
HERE, THERE = "192.0.2.1", "192.0.2.2"
PER_SECOND = 50.0


@pytest.fixture
def anyio_backend() -> object:
    return ("asyncio", {"loop_factory": VirtualTimeLoop})


@dataclass
class Server:
    """Who was let in, and when; ``in_line``: sessions that wait to be opened."""

    in_line: int = 0
    opened: list[tuple[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.handshakes = Handshakes(PER_SECOND, lambda: self.in_line)

    def join(self, address: str) -> None:
        self.handshakes.join(address, partial(self.open, address), asyncio.get_running_loop())

    def open(self, address: str) -> None:
        self.opened.append((address, asyncio.get_running_loop().time()))

    @property
    def times(self) -> list[float]:
        return [at for _, at in self.opened]


async def test_a_few_are_opened_at_once_and_the_others_at_a_pace() -> None:
    server = Server()
    for _ in range(AT_ONCE + 3):
        server.join(HERE)
    assert server.times == [0.0] * AT_ONCE
    await asyncio.sleep(1)
    assert server.times[AT_ONCE:] == pytest.approx([0.02, 0.04, 0.06])


async def test_who_comes_from_elsewhere_does_not_wait_for_those_of_one_address() -> None:
    server = Server()
    for _ in range(AT_ONCE + 20):
        server.join(HERE)
    server.join(THERE)
    await asyncio.sleep(1)
    assert [address for address, _ in server.opened[AT_ONCE : AT_ONCE + 3]] == [HERE, THERE, HERE]
    assert len(server.opened) == AT_ONCE + 21


async def test_those_that_come_at_the_pace_do_not_wait() -> None:
    server = Server()
    for number in range(100):
        server.join(HERE)
        assert len(server.opened) == number + 1
        await asyncio.sleep(1 / PER_SECOND)


async def test_nobody_is_let_in_while_many_wait_for_their_session() -> None:
    server = Server(in_line=IN_LINE)
    server.join(HERE)
    await asyncio.sleep(LONGEST_PAUSE / 2)
    assert not server.opened
    server.in_line -= 1
    await asyncio.sleep(2 / PER_SECOND)
    assert server.opened


async def test_a_line_that_never_gets_shorter_keeps_nobody_out() -> None:
    server = Server(in_line=IN_LINE)
    server.join(HERE)
    server.join(HERE)
    await asyncio.sleep(3 * LONGEST_PAUSE)
    assert len(server.opened) == 2


async def test_who_leaves_has_no_turn_and_takes_none_from_others() -> None:
    server = Server()
    for _ in range(AT_ONCE):
        server.join(HERE)
    gone: list[str] = []
    leaving = partial(gone.append, HERE)
    server.handshakes.join(HERE, leaving, asyncio.get_running_loop())
    server.join(THERE)
    server.handshakes.leave(HERE, leaving)
    server.handshakes.leave(THERE, leaving)  # stands in no line
    await asyncio.sleep(1)
    assert not gone
    assert server.opened[AT_ONCE] == (THERE, pytest.approx(0.02))


async def test_one_that_fails_does_not_end_the_line() -> None:
    server, loop = Server(), asyncio.get_running_loop()
    failures: list[object] = []
    loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))
    for _ in range(AT_ONCE):
        server.join(HERE)
    error = OSError("gone")

    def fail() -> None:
        raise error

    server.handshakes.join(HERE, fail, loop)
    server.join(HERE)
    await asyncio.sleep(1)
    assert failures == [error]
    assert len(server.opened) == AT_ONCE + 1
