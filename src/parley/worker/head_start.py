"""How long an utterance's first frame waits, so that a slow voice then speaks without a hole. Pure.

A voice whose real-time factor is above one makes less audio than is played; one that is somewhat faster, but gives
nothing of a sentence before all of it is made, leaves a hole when a short clause is followed by a long sentence. Both
are known beforehand: what is ready, what is to come and how fast this voice is on this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BREATH = 0.25
"""Seconds that may pass between two pieces: speakers rest as long."""
OPEN_CLAUSE = 2.0
"""Seconds that are expected of a sentence whose first clause is all that has come."""


LATEST = 7.0
"""Seconds after its first text at which an utterance begins at the latest, where it can: orchestrators that hear
nothing for 8 s (``routing.failover.first_frame_timeout``) ask another worker."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a voice is on this machine."""

    factor: float = 0.0
    """Seconds of work for a second of audio; 0 when nobody knows."""
    streams: bool = False
    """It gives its audio while it makes it; else a piece at a time."""
    pace: float = 0.0
    """Seconds of audio that a letter takes."""


class Opening:
    """Whether an utterance may begin to sound, asked again whenever something has changed."""

    def __init__(self, speed: Speed, *, most: float) -> None:
        self._speed = speed
        self.asked_at = float("inf")
        """When the first text came."""
        self._most = most if speed.factor > 0 else 0.0
        self._since: float | None = None

    def wait(self, now: float, ready: float, coming: Sequence[float], worked: float = 0.0) -> float:
        """Seconds until it is worth asking again; 0 once it may begin: after ``most`` seconds at the latest, and
        ``LATEST`` after its text."""
        if self._most <= 0:
            return 0.0
        if self._since is None:
            self._since = now
        speed = self._speed
        wait = head_start(speed.factor, ready, coming, streams=speed.streams, worked=worked)
        return max(0.0, min(wait, self._since + self._most - now, self.asked_at + LATEST - now))

    def waited(self, now: float) -> float:
        """Seconds since it was first asked."""
        return now - self._since if self._since is not None else 0.0


def head_start(
    factor: float, ready: float, coming: Sequence[float], *, streams: bool = False, worked: float = 0.0
) -> float:
    """Seconds to go on waiting before the sound begins; 0 when it may begin now.

    ``factor`` is the time that a second of audio takes, ``ready`` the seconds of audio at hand, ``coming`` the
    expected lengths of the pieces that are still to be made, the first of which has been worked on for ``worked``
    seconds. A voice that ``streams`` gives its audio while it makes it, any other a piece at a time.
    """
    wait, played, made = 0.0, ready, -worked
    for length in coming:
        made += factor * length
        if streams:
            wait = max(wait, made - played - length)
        else:
            wait = max(wait, made - played - BREATH)
        played += length
    return wait


def is_slow(factor: float) -> bool:
    """Whether a voice takes longer to make its sound than the sound lasts."""
    return factor > 1.0
