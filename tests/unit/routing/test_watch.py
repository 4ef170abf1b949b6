"""A worker is judged by what it does, not by how late this process looks."""

from __future__ import annotations

import asyncio
import time

import pytest

from parley.routing.attempt import Watch

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_process_that_was_busy_itself_blames_no_worker() -> None:
    due: list[bool] = []

    def look() -> None:
        due.append(True)

    watch = Watch(0.2, look)
    time.sleep(0.5)  # the loop stands still: whatever the worker sent meanwhile lies unread
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not due
    watch.cancel()


def test_a_deadline_that_is_due_at_once_is_looked_at() -> None:
    """A timer may go off a little early; what is left of its time is none for a loop that counts milliseconds."""
    uvloop = pytest.importorskip("uvloop")

    async def looked() -> None:
        due = asyncio.Event()

        def look() -> None:
            due.set()

        watch = Watch(0.0002, look)
        async with asyncio.timeout(5):
            await due.wait()
        watch.cancel()

    uvloop.run(looked())
