"""How often something may be done: so many at once, then so many a second (pure)."""

from __future__ import annotations


class Allowance:
    """A token bucket. It starts full; what is refused costs nothing."""

    def __init__(self, *, burst: int, per_second: float) -> None:
        self._burst = burst
        self._per_second = per_second
        self._left = float(burst)
        self._counted_at: float | None = None

    def take(self, now: float) -> float:
        """Use one up at ``now`` (seconds, never going back). Returns 0, or the seconds until there is one again."""
        if self._counted_at is not None:
            self._left = min(float(self._burst), self._left + (now - self._counted_at) * self._per_second)
        self._counted_at = now
        if self._left < 1:
            return (1 - self._left) / self._per_second
        self._left -= 1
        return 0.0
