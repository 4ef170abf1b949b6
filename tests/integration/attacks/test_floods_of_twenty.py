"""The floods of ``test_floods.py`` from twenty connections of one address at once, and somebody else who listens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.attacks.attackers import FLOODS, REALTIME
from tests.integration.attacks.victim import CONNECTIONS, SECONDS, Server, Undisturbed, withstood

if TYPE_CHECKING:
    from tests.integration.people import Running

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


ALWAYS = (
    *("playout", "set_voice", "text", "audio", "say"),
    *("wire_ping", "empty_pieces"),
    *("rt_sound", "rt_session", "rt_response", "rt_keys"),
)
"""Those that did harm once, and one of each kind of work; the others are asked for by name."""


def kinds() -> list[Any]:
    """All floods."""
    every = [*FLOODS, "wire_ping", "empty_pieces", *REALTIME]
    assert set(every) > set(ALWAYS)
    return [pytest.param(kind, marks=[] if kind in ALWAYS else [pytest.mark.soak]) for kind in every]


@pytest.mark.parametrize("flood", kinds())
async def test_twenty_connections_from_one_address_make_nobody_wait(
    parley: Running, quiet: Undisturbed, flood: str
) -> None:
    await withstood(parley, quiet, flood, SECONDS, str(CONNECTIONS))


async def test_twenty_clients_that_reconnect_for_each_message_make_nobody_wait_and_leave_nothing(
    parley: Running, quiet: Undisturbed
) -> None:
    server = Server(parley)
    before = server.descriptors()
    await withstood(parley, quiet, "reconnect", SECONDS, str(CONNECTIONS))
    async with asyncio.timeout(30):
        while server.holds_more_than(before) or server.metrics()["parley_sessions"]:
            await asyncio.sleep(0.1)
