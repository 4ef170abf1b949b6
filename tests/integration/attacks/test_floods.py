"""Clients that send as fast as they can, and somebody else who listens meanwhile.

What the other hears is compared sample by sample with an undisturbed run. How much later their frames may be is
asserted by the work for which the server's loop was kept from them (``measured.py``), since the clock of a machine
that does other things as well says more about those.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.integration.attacks.attackers import FLOODS, REALTIME
from tests.integration.attacks.victim import ATTACKERS, MARGIN, TRIES, Server, Undisturbed, attacked, withstands

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.people import Running

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
SECONDS = "3"
CONNECTIONS = 20


async def nobody_waits(parley: Running, quiet: Undisturbed, *attack: str, program: Path = ATTACKERS) -> None:
    server = Server(parley)
    kept = []
    for _ in range(TRIES):
        kept.append(await withstands(server, quiet, attacked(server, *attack, program=program)))
        if kept[-1] <= quiet.longest + MARGIN:
            return
    raise AssertionError(f"the loop was kept for {kept} s of work, undisturbed for {quiet.longest} s")


@pytest.mark.parametrize("flood", [*FLOODS, "wire_ping", "empty_pieces"])
async def test_a_client_that_floods_the_server_makes_nobody_wait(
    parley: Running, quiet: Undisturbed, flood: str
) -> None:
    await nobody_waits(parley, quiet, flood, SECONDS, "1")


@pytest.mark.parametrize("flood", list(REALTIME))
async def test_a_client_of_the_realtime_interface_that_floods_makes_nobody_wait(
    parley: Running, quiet: Undisturbed, flood: str
) -> None:
    await nobody_waits(parley, quiet, flood, SECONDS, "1")


@pytest.mark.parametrize("flood", ["playout", "interrupt", "set_voice", "audio"])
async def test_twenty_connections_from_one_address_make_nobody_wait(
    parley: Running, quiet: Undisturbed, flood: str
) -> None:
    await nobody_waits(parley, quiet, flood, SECONDS, str(CONNECTIONS))


async def test_a_client_that_reconnects_for_each_message_makes_nobody_wait(parley: Running, quiet: Undisturbed) -> None:
    await nobody_waits(parley, quiet, "reconnect", SECONDS, "1")


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
    await nobody_waits(parley, quiet, what, SECONDS, "8")
