"""How late the loop is, and what the log is told of what held it up."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

import pytest

from parley.loop_watch import BUCKETS, INTERVAL, Lags, LoopWatch

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Told(logging.Handler):
    """What the watch logs, and when there is something."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []
        self.came = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.came.set()


@pytest.fixture
def told() -> Any:
    handler, log = Told(), logging.getLogger("parley.loop_watch")
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)


def stand_still(until: threading.Event) -> None:
    until.wait(30)


async def test_a_loop_that_stands_still_is_seen_to_be_late() -> None:
    seen: asyncio.Queue[float] = asyncio.Queue()
    watch = LoopWatch(seen.put_nowait)
    watch.start()
    await seen.get()
    time.sleep(0.3)  # as long as the stall that is measured
    assert await seen.get() >= 0.3 - INTERVAL - 0.001
    watch.close()


async def test_the_log_is_told_what_the_loop_was_doing_and_once(told: Told) -> None:
    watch = LoopWatch(lambda _: None, stall_after=0.02)
    watch.start()
    stand_still(told.came)
    watch.close()
    (record,) = told.records
    assert any(line.endswith(" stand_still") for line in record.stack)
    assert record.seconds >= 0.02


async def test_without_the_setting_there_is_no_thread() -> None:
    before = threading.active_count()
    watch = LoopWatch(lambda _: None)
    watch.start()
    assert threading.active_count() == before
    watch.close()


async def test_a_watch_that_is_closed_looks_no_more() -> None:
    seen: list[float] = []
    watch = LoopWatch(seen.append)
    watch.start()
    watch.close()
    watch.close()
    await asyncio.sleep(3 * INTERVAL)  # what would have been three looks
    assert not seen


def test_lags_are_counted_in_the_bucket_whose_bound_they_do_not_exceed() -> None:
    lags = Lags()
    for seconds in (0.0, BUCKETS[0], 0.0011, 0.3, 60.0):
        lags.add(seconds)
    assert lags.counts[0] == 2
    assert lags.counts[1] == 1
    assert lags.counts[BUCKETS.index(0.5)] == 1
    assert lags.counts[-1] == 1
    assert lags.count == 5
    assert lags.at_most(0.4) == BUCKETS[0]
    assert lags.at_most(0.8) == 0.5
    assert lags.at_most(1.0) == float("inf")


def test_before_the_first_look_nothing_is_late() -> None:
    assert Lags().at_most(0.99) == 0.0
