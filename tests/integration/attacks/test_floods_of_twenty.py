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


KNOWN = {
    "say": "Twenty who have 9,600 characters spoken at once: a listener's words were spoken anew now and then.",
    "text": "Twenty who type without a pause: a listener's samples differed once, at the same length.",
}
"""What the server does not always withstand: no sample is lost, but a word may be made a second time, or comes late."""


def kinds() -> list[Any]:
    """All floods, those that are known to do harm marked so."""
    every = [*FLOODS, "wire_ping", "empty_pieces", *REALTIME]
    marks = {kind: [pytest.mark.xfail(reason=reason, strict=False)] for kind, reason in KNOWN.items()}
    return [pytest.param(kind, marks=marks.get(kind, [])) for kind in every]


@pytest.mark.parametrize("flood", kinds())
async def test_twenty_connections_from_one_address_make_nobody_wait(
    parley: Running, quiet: Undisturbed, flood: str
) -> None:
    await withstood(parley, quiet, flood, SECONDS, str(CONNECTIONS))


@pytest.mark.xfail(
    reason="Their sessions begin and end for 20 to 40 ms of the loop: frames come 80 to 100 ms late.", strict=False
)
async def test_twenty_clients_that_reconnect_for_each_message_make_nobody_wait_and_leave_nothing(
    parley: Running, quiet: Undisturbed
) -> None:
    server = Server(parley)
    before = server.descriptors()
    await withstood(parley, quiet, "reconnect", SECONDS, str(CONNECTIONS))
    async with asyncio.timeout(30):
        while server.descriptors() > before or server.metrics()["parley_sessions"]:
            await asyncio.sleep(0.1)
