"""How far a session is ahead of who listens to it (pure): the more, the longer the others' sentences go first."""

from __future__ import annotations


class Lead:
    """Seconds of audio that were made for a session and that it cannot have heard yet.

    Audio counts until as much time has gone by, whether it is heard or was cut off: who has one reply after the other
    begun and cut off is further ahead than somebody who listens, although nothing of theirs waits to be taken.
    """

    __slots__ = ("_at", "_seconds")

    def __init__(self) -> None:
        self._at = self._seconds = 0.0

    def made(self, seconds: float, now: float) -> None:
        """So much was made at ``now`` (seconds, never going back)."""
        self._seconds = self.ahead(now) + seconds
        self._at = now

    def ahead(self, now: float) -> float:
        """What of it is still to come."""
        return max(0.0, self._seconds - (now - self._at))
