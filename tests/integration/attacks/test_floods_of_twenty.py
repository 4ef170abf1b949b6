"""The floods of ``test_floods.py`` from twenty connections of one address at once, and somebody else who listens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.integration.attacks.attackers import FLOODS, FRAMES, REALTIME
from tests.integration.attacks.kinds import asked_for
from tests.integration.attacks.victim import CONNECTIONS, SECONDS, Server, Undisturbed, withstood

if TYPE_CHECKING:
    from tests.integration.people import Running

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.mark.parametrize("flood", asked_for([*FLOODS, *FRAMES, *REALTIME], by_twenty=True))
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
