"""How late things are, without the share of the machine: what other programs take is not the server's doing.

A thread that is ready and does not run stands in line for a processor, and Linux counts for how long (the second
number of ``schedstat``). What is left of a delay when that is taken off is what the thread did itself: work, sleep,
locks, reads that block. It is judged by quantiles: one hiccup of a virtual machine says nothing about the server.
"""

from __future__ import annotations

import bisect
import contextlib
import time
from array import array
from dataclasses import dataclass
from pathlib import Path

INTERVAL = 0.005
"""Seconds between two looks."""
SHARE_OF_TIME, SHARE_OF_FRAMES = 0.98, 0.95
"""That has to be in time. One collection of what hundreds of sessions have left behind may take 0.1 s of an attack's
five; and between a timer of the server and a frame at the listener there are several turns of two loops and two
processes, so that a crowded machine delays a few frames in ways that nobody counts."""


class ThreadTimes:
    """The clock, and for how long this thread has stood in line for a processor, both in seconds.

    ``processes``: their threads count as well, all together; those that begin later do not.
    """

    def __init__(self, *processes: int) -> None:
        threads = [thread for process in processes for thread in Path(f"/proc/{process}/task").iterdir()]
        with contextlib.ExitStack() as stack:
            self._files = []
            for thread in (Path("/proc/thread-self"), *threads):
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                    self._files.append(stack.enter_context((thread / "schedstat").open("rb", buffering=0)))
            self._stack = stack.pop_all()
        self._queued = [0] * len(self._files)

    def now(self) -> tuple[float, float]:
        while True:
            for index in range(len(self._files)):
                self._look_at(index)
            now, before = time.monotonic(), self._queued[0]
            self._look_at(0)
            if self._queued[0] == before:  # else it stood in line just now, and nobody knows whether before the clock
                return now, sum(self._queued) / 1e9

    def _look_at(self, index: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended, and stands nowhere any more
            self._files[index].seek(0)
            self._queued[index] = int(self._files[index].read(64).split()[1])

    def close(self) -> None:
        """Look no more."""
        self._stack.close()


@dataclass(frozen=True)
class Looks:
    """Times at which a thread looked (seconds), and for how long it had stood in line until then."""

    times: tuple[float, ...]
    queued: tuple[float, ...]

    @classmethod
    def unpack(cls, data: bytes) -> Looks:
        """Pairs, as ``measured.py`` writes them."""
        numbers = array("d", data)
        return cls(tuple(numbers[::2]), tuple(numbers[1::2]))

    def in_line(self, begin: float, end: float) -> float:
        """Seconds that the thread stood in line between these two times; generous by one look."""
        first = max(bisect.bisect_right(self.times, begin) - 1, 0)
        last = min(bisect.bisect_left(self.times, end), len(self.times) - 1)
        return self.queued[last] - self.queued[first] if last > first else 0.0

    def wait(self) -> float:
        """Seconds that an event waited for this thread, at ``SHARE_OF_TIME`` of all times at which it may have come."""
        stretches = [
            later - earlier - (after - before) - INTERVAL
            for earlier, later, before, after in zip(
                self.times, self.times[1:], self.queued, self.queued[1:], strict=False
            )
        ]
        return quantile_of_waits(stretches, (1 - SHARE_OF_TIME) * (self.times[-1] - self.times[0]))


def quantile_of_waits(stretches: list[float], late: float) -> float:
    """The wait that events exceed that come within ``late`` seconds altogether; each stretch keeps all that come in it.

    A stretch of s seconds makes those wait for more than w that come in its first s - w.
    """
    longest = sorted((stretch for stretch in stretches if stretch > 0), reverse=True)
    total = 0.0
    for count, stretch in enumerate(longest, 1):
        total += stretch
        shorter = longest[count] if count < len(longest) else 0.0
        if total - count * shorter >= late:
            return (total - late) / count
    return 0.0


def lateness(arrivals: Looks, interval: float) -> float:
    """Seconds by which a frame came late, at the quantile ``SHARE_OF_FRAMES`` over the frames of a steady stream.

    ``arrivals``: when each frame came, and for how long all who had a hand in it had stood in line until then. Late
    is what comes after the pace of the others, but for that.
    """
    offsets = [at - number * interval for number, at in enumerate(arrivals.times)]
    base = sorted(offsets)[len(offsets) // 20]
    late, machine = [], 0.0
    for number, at in enumerate(arrivals.times):
        due = base + number * interval
        # A stream that the machine has held up goes on from there; that is the machine's until it has caught up.
        machine = min(max(0.0, at - due), max(machine, arrivals.in_line(due, at)))
        late.append(max(0.0, at - due - machine))
    return sorted(late)[min(int(SHARE_OF_FRAMES * len(late)), len(late) - 1)]
