"""How late an event loop is, and what holds it up.

A timer that comes late says that the loop was busy: everything else on it was as late, frames of all sessions among
them. Who wants to know why has a thread look at the loop's stack while the timer is overdue.
"""

from __future__ import annotations

import asyncio
import bisect
import logging
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_log = logging.getLogger(__name__)

INTERVAL = 0.05
"""Seconds between two looks: a loop that stands still for less may do so between them."""
BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds; of every histogram of how late a loop was."""
_QUIET = 1.0
"""Seconds after a stall that was told of in which no other is."""
_DEEPEST = 24
"""Calls of a stack that are told, the innermost."""


class Lags:
    """A histogram of how late the loop was, by ``BUCKETS``."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        """Per bucket, the last one for what is later than all."""
        self.sum = 0.0
        """Seconds."""

    def add(self, seconds: float) -> None:
        """The loop was so late."""
        self.counts[bisect.bisect_left(BUCKETS, seconds)] += 1
        self.sum += seconds

    @property
    def count(self) -> int:
        """Looks so far."""
        return sum(self.counts)

    def at_most(self, share: float) -> float:
        """Seconds (a bucket's bound) that this share of all looks was not later than; 0 before the first."""
        wanted, seen = share * self.count, 0
        for bound, number in zip((*BUCKETS, float("inf")), self.counts, strict=True):
            seen += number
            if seen and seen >= wanted:
                return bound
        return 0.0


class LoopWatch:
    """Looks how late the running loop is; ``observe`` is told, in seconds, on the loop.

    ``stall_after``: seconds of lateness from which the log is told what the loop was doing, by a thread; 0 has none.
    A library that keeps the interpreter to itself keeps it from that thread, too: its stall is told when it is over.
    """

    def __init__(self, observe: Callable[[float], None], *, stall_after: float = 0.0) -> None:
        self._observe = observe
        self._stall_after = stall_after
        self._loop = asyncio.get_running_loop()
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._watcher: _Watcher | None = None

    def start(self) -> None:
        """Begin to look."""
        if self._stall_after:
            self._watcher = _Watcher(threading.get_ident(), self._stall_after, lambda: self._due)
        self._again()
        if self._watcher is not None:
            self._watcher.start()

    def close(self) -> None:
        """Look no more. Safe to call twice."""
        if self._timer is not None:
            self._timer.cancel()
        if self._watcher is not None:
            self._watcher.close()

    def _again(self) -> None:
        self._due = time.perf_counter() + INTERVAL
        self._timer = self._loop.call_later(INTERVAL, self._look)

    def _look(self) -> None:
        self._observe(max(0.0, time.perf_counter() - self._due))
        self._again()


class _Watcher:
    """A thread that looks at the loop's stack once it is overdue: one line for a stall."""

    def __init__(self, thread: int, stall_after: float, due: Callable[[], float]) -> None:
        self._of, self._stall_after, self._due = thread, stall_after, due
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loop-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._ended.set()

    def _watch(self) -> None:
        told, quiet_until = 0.0, 0.0
        while not self._ended.wait(self._stall_after / 2):
            due, now = self._due(), time.perf_counter()
            if now - due < self._stall_after or due == told or now < quiet_until:
                continue
            frame = sys._current_frames().get(self._of)
            told, quiet_until = due, now + _QUIET
            if frame is not None:
                _log.warning(
                    "the event loop stands still; everybody's sound waits for what it does",
                    extra={"seconds": round(now - due, 3), "stack": stack(frame)},
                )


def stack(frame: FrameType) -> list[str]:
    """Where a thread is, outermost call first: ``file:line function``, and nothing of what it works on."""
    calls = traceback.extract_stack(frame, limit=None)[-_DEEPEST:]
    return [f"{call.filename}:{call.lineno} {call.name}" for call in calls]
