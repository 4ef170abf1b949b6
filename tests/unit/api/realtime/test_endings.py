"""What is left of a session closes beside the others, within bounds."""

from __future__ import annotations

import asyncio

import pytest

from parley.api.realtime.endings import Endings

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20)]


async def test_nobody_waits_for_an_ending_but_the_server_for_all() -> None:
    endings, may_end, ended = Endings(), asyncio.Event(), []

    async def close() -> None:
        await may_end.wait()
        ended.append("one")

    for _ in range(3):
        await endings.take(close)
    assert not ended
    closing = asyncio.create_task(endings.aclose())
    await asyncio.sleep(0)
    assert not closing.done()
    may_end.set()
    await closing
    assert ended == ["one"] * 3


async def test_of_too_many_each_waits_for_its_own() -> None:
    endings, may_end = Endings(most=1), asyncio.Event()

    async def close() -> None:
        await may_end.wait()

    await endings.take(close)
    second = asyncio.create_task(endings.take(close))
    for _ in range(3):
        await asyncio.sleep(0)
    assert not second.done()
    may_end.set()
    await second
    await endings.aclose()


async def test_one_that_hangs_is_cancelled_and_one_that_fails_is_told_in_the_log(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    endings, cancelled = Endings(longest=0), []

    async def hang() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.append("it")
            raise

    async def fail() -> None:
        raise RuntimeError("no")

    await endings.take(hang)
    await endings.take(fail)
    await endings.aclose()
    said = caplog.text + capsys.readouterr().out
    assert cancelled == ["it"]
    assert "did not close in time" in said
    assert "could not be closed" in said
