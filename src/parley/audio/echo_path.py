"""Is the loudspeaker heard in the microphone at all? Decided from looks at both, with hysteresis; pure.

Until that is known, a sound is judged where nothing was taken out of it: an echo canceller that has no echo to
learn from takes away the participant. With headphones it never runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

LIKELY = 9.0
"""A delay that stands out so far is hardly chance: noise and other voices reach 4 to 8, an echo mostly 9 to 35."""
SURE = 16.0
"""So clear that nothing else can be in it."""
_AGAIN = 7.5
"""Enough at a delay that was likely before: chance does not repeat itself."""
_APART = 0.11
"""Seconds between two looks that share no audio."""
_AGREE = 0.008
_REMEMBERED = 4.0
_NONE_AFTER = 0.6
"""Seconds of sound played without an echo until there is held to be none: more than any delay."""
_LOST_AFTER = 2.5
"""The same once there was one: people plug in headphones, and they also talk over the echo."""
_LEAST = 0.004
"""Seconds that sound takes from the server to a loudspeaker and back at the least: what comes sooner is chance."""
_STEP = 0.5
"""Seconds that one look can stand for."""


class EchoState(Enum):
    """What is known."""

    UNKNOWN = "unknown"
    NONE = "none"
    """Sound was played for a while, and nothing of it came back."""
    PROVEN = "proven"


@dataclass(frozen=True, slots=True)
class Look:
    """One comparison of what was played with what the microphone heard."""

    at: float
    """Seconds, on any clock."""
    strength: float
    """How far the best delay stands out of all others; they reach 4 to 8."""
    delay: float
    """Seconds from playing to hearing."""
    sounding: bool
    """Something was played that would have come back by now."""


class EchoPath:
    """The state of one session's path from loudspeaker to microphone."""

    def __init__(self) -> None:
        self.state = EchoState.UNKNOWN
        self.delay = 0.0
        """Seconds; of the latest proof."""
        self._likely: Look | None = None
        self._looked_at: float | None = None
        self._missed = 0.0

    def candidate(self, at: float) -> float | None:
        """The delay at which an echo would be heard, if one is known or likely."""
        if self.state is EchoState.PROVEN:
            return self.delay
        likely = self._likely
        return likely.delay if likely is not None and at - likely.at <= _REMEMBERED else None

    def look(self, look: Look) -> None:
        """Take the next look."""
        since = 0.0 if self._looked_at is None else min(_STEP, look.at - self._looked_at)
        self._looked_at = look.at
        if look.delay < _LEAST:
            look = replace(look, strength=0.0)
        if self._confirms(look):
            self.state, self.delay = EchoState.PROVEN, look.delay
            self._likely, self._missed = look, 0.0
        elif look.strength >= LIKELY:
            self._suspect(look)
        elif look.sounding:
            self._miss(since)

    def _agrees(self, look: Look) -> bool:
        likely = self._likely
        return likely is not None and look.at - likely.at <= _REMEMBERED and abs(look.delay - likely.delay) <= _AGREE

    def _confirms(self, look: Look) -> bool:
        """Chance, and a voice much like our own, may reach any strength once, but not at the same delay again."""
        likely = self._likely
        if likely is None or look.strength < _AGAIN or not self._agrees(look):
            return False
        sure = min(look.strength, likely.strength) >= SURE
        return look.at - likely.at >= (_APART / 2 if sure else _APART)

    def _suspect(self, look: Look) -> None:
        likely = self._likely
        if likely is None or not self._agrees(look):
            self._likely = look
        elif likely.strength < SURE <= look.strength:
            self._likely = replace(likely, delay=look.delay)  # the clearer one knows better where it is
        if self.state is EchoState.NONE and look.strength >= SURE:  # where none came before, chance is likelier
            self.state = EchoState.UNKNOWN
        self._missed = 0.0

    def _miss(self, seconds: float) -> None:
        self._missed += seconds
        if self.state is EchoState.PROVEN and self._missed >= _LOST_AFTER:
            self.state, self._likely, self._missed = EchoState.UNKNOWN, None, 0.0
        elif self.state is EchoState.UNKNOWN and self._missed >= _NONE_AFTER:
            self.state, self._likely = EchoState.NONE, None
