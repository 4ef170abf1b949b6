"""Who may wait for a worker while all are full, and for how long. Pure: the time is an argument.

Refusing early and clearly beats jitter for everybody: who could not be served within the patience,
judged by how fast the queue moved of late, is refused at the door.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

SMOOTHING = 0.2
"""Weight of the newest interval between two services."""


@dataclass(frozen=True, slots=True)
class Refused:
    """No place, or no hope."""

    retry_after: float
    """Seconds after which another try makes sense."""


class WaitingRoom:
    """A bounded first-come queue of tickets, each with a deadline."""

    def __init__(self, places: int, patience: float) -> None:
        self._places = places
        self._patience = patience
        self._tickets: OrderedDict[str, float] = OrderedDict()
        self._interval = 0.0
        self._last_served = 0.0

    def __len__(self) -> int:
        return len(self._tickets)

    def join(self, ticket: str, now: float) -> float | Refused:
        """Take a place and learn the deadline, or be refused."""
        expected = (len(self._tickets) + 1) * self._interval
        if len(self._tickets) >= self._places or expected > self._patience:
            return Refused(max(expected, self._interval, 0.1))
        deadline = now + self._patience
        self._tickets[ticket] = deadline
        return deadline

    def first(self) -> str:
        """Whose turn it is; empty when nobody waits."""
        return next(iter(self._tickets), "")

    def served(self, ticket: str, now: float) -> None:
        """The ticket got its worker."""
        if self._tickets.pop(ticket, None) is None:
            return
        if self._last_served and self._tickets:
            self._interval += SMOOTHING * (now - self._last_served - self._interval)
        self._last_served = now
        if not self._tickets:  # an empty room says nothing about how fast a full one moves
            self._interval = 0.0
            self._last_served = 0.0

    def leave(self, ticket: str) -> None:
        """The ticket gave up, or its deadline passed."""
        self._tickets.pop(ticket, None)
        if not self._tickets:
            self._interval = 0.0
            self._last_served = 0.0
