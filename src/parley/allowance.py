"""How often something may be done: so many at once, then so many a second (pure)."""

from __future__ import annotations


class Allowance:
    """A token bucket. It starts full; what is refused costs nothing."""

    __slots__ = ("_burst", "_counted_at", "_left", "_per_second")

    def __init__(self, *, burst: float, per_second: float) -> None:
        self._burst = float(burst)
        self._per_second = per_second
        self._left = self._burst
        self._counted_at: float | None = None

    def take(self, now: float, amount: float = 1.0) -> float:
        """Use ``amount`` up at ``now`` (seconds, never going back).

        Returns 0, or the seconds until there is so much again. What is larger than the whole bucket counts as that.
        """
        self._refill(now)
        amount = min(amount, self._burst)
        if self._left < amount:
            return (amount - self._left) / self._per_second
        self._left -= amount
        return 0.0

    def owe(self, now: float, amount: float = 1.0) -> float:
        """Use ``amount`` up in any case. Returns the seconds to wait until nothing is owed; for who can be made to."""
        self._refill(now)
        self._left -= amount
        return max(0.0, -self._left / self._per_second)

    def share_left(self, now: float) -> float:
        """How full it is: 1 when all has come back that was used up, below 0 while something is owed."""
        self._refill(now)
        return self._left / self._burst

    def _refill(self, now: float) -> None:
        if self._counted_at is not None:
            self._left = min(self._burst, self._left + (now - self._counted_at) * self._per_second)
        self._counted_at = now
