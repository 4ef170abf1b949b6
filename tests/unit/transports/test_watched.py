"""A session under its watchdog: it is ended where nobody listens any more, and not when it has ended already."""

from __future__ import annotations

import asyncio

import pytest

from parley.errors import InvalidRequest, ParleyError, TimedOut
from parley.testing.virtual_time import VirtualTimeLoop
from parley.transports.websocket_endpoint import run_watched

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> object:
    return ("asyncio", {"loop_factory": VirtualTimeLoop})


class Client:
    """Says nothing from ``silent_from`` on, and takes ``slow`` seconds to be told why it ends."""

    def __init__(self, *, silent_from: float = 0.0, slow: float = 0.0) -> None:
        self.told: list[ParleyError] = []
        self.closed = False
        self._silent_from, self._slow = silent_from, slow

    def silence(self, now: float) -> TimedOut | None:
        return TimedOut("Nothing was heard.") if now >= self._silent_from else None

    async def end_with(self, error: ParleyError) -> None:
        await asyncio.sleep(self._slow)
        self.told.append(error)

    async def aclose(self) -> None:
        self.closed = True


async def test_a_client_that_is_silent_is_told_so_and_let_go() -> None:
    client = Client(silent_from=3)
    await run_watched(client, asyncio.get_running_loop().create_future)
    assert [type(error) for error in client.told] == [TimedOut]
    assert client.closed
    assert asyncio.get_running_loop().time() == pytest.approx(3)


async def test_a_session_that_has_ended_is_not_ended_again_while_its_client_is_told_why() -> None:
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))

    async def fails() -> None:
        raise InvalidRequest("No.")

    client = Client(slow=5)
    await run_watched(client, fails)
    assert [type(error) for error in client.told] == [InvalidRequest]
    assert not failures
