"""Work that is done again and again outlives its failures, and they are heard."""

from __future__ import annotations

import asyncio
import logging

import pytest

from parley.rounds import rounds
from parley.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return ("asyncio", {"loop_factory": VirtualTimeLoop})


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_round_that_fails_is_told_and_the_next_ones_come(
    caplog: pytest.LogCaptureFixture, at_once: bool
) -> None:
    times: list[float] = []

    async def work() -> None:
        times.append(asyncio.get_running_loop().time())
        if len(times) in {2, 3, 5}:
            raise OSError("the disk is away")

    running = asyncio.ensure_future(rounds("the sweep", work, 10.0, at_once=at_once))
    await asyncio.sleep(55.0)
    running.cancel()
    first = 0.0 if at_once else 10.0
    assert times == [first + 10 * n for n in range(6 if at_once else 5)]
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [(record.args, bool(record.exc_info)) for record in told] == [(("the sweep", 10.0), True)] * 2
