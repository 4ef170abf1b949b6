"""Clients that send as fast as they can, and somebody else who listens meanwhile.

What the other hears is compared sample by sample with an undisturbed run, and so is how late it comes and how long
whatever is due waits for the server's loop, both without what other programs of this machine take (``waits.py``).
One client here; twenty at once in ``test_floods_of_twenty.py``.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.integration.attacks.attackers import FLOODS, FRAMES, REALTIME
from tests.integration.attacks.kinds import asked_for
from tests.integration.attacks.victim import CONNECTIONS, SECONDS, Server, Undisturbed, attacked, withstood

if TYPE_CHECKING:
    from tests.integration.people import Running

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.mark.parametrize("flood", asked_for([*FLOODS, *FRAMES], by_twenty=False))
async def test_a_client_that_floods_the_server_makes_nobody_wait(
    parley: Running, quiet: Undisturbed, flood: str
) -> None:
    await withstood(parley, quiet, flood, SECONDS, "1")


@pytest.mark.parametrize("flood", asked_for(REALTIME, by_twenty=False))
async def test_a_client_of_the_realtime_interface_that_floods_makes_nobody_wait(
    parley: Running, quiet: Undisturbed, flood: str
) -> None:
    await withstood(parley, quiet, flood, SECONDS, "1")


async def test_a_client_that_reconnects_for_each_message_makes_nobody_wait(parley: Running, quiet: Undisturbed) -> None:
    await withstood(parley, quiet, "reconnect", SECONDS, "1")


async def test_a_client_that_goes_on_is_sent_away_and_counted(parley: Running) -> None:
    server = Server(parley)
    async with attacked(server, "playout", "25", "1"), asyncio.timeout(60):
        while server.metrics().get('parley_excess_total{fate="closed",kind="message"}', 0) < 1:
            await asyncio.sleep(0.1)


async def test_flooders_that_are_gone_leave_their_places(parley: Running) -> None:
    server = Server(parley)
    async with attacked(server, "playout", "2", str(CONNECTIONS)):
        pass
    async with asyncio.timeout(30):
        while server.metrics()["parley_sessions"]:
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("what", ["speech", "recording"])
async def test_texts_and_recordings_over_http_make_nobody_wait(parley: Running, quiet: Undisturbed, what: str) -> None:
    await withstood(parley, quiet, what, "5", "8")  # texts and recordings of minutes
