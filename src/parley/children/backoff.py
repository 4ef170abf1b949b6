"""When something that ended is started again. Pure: it is told how long it lived."""

from __future__ import annotations


class Backoff:
    """Waits twice as long each time, until what is started proves to be steady."""

    def __init__(self, shortest: float = 0.2, longest: float = 10.0, steady: float = 30.0) -> None:
        self._shortest, self._longest, self._steady = shortest, longest, steady
        self._wait = shortest

    def after(self, lived: float) -> float:
        """Seconds to wait before the next start of what has just ended after ``lived`` seconds."""
        if lived > self._steady:
            self._wait = self._shortest
        wait, self._wait = self._wait, min(2 * self._wait, self._longest)
        return wait
