"""What holds clients within bounds: the settings, one queue for whoever crowds in, and somebody who counts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Literal, Protocol

from parley import clock
from parley.transports.client_settings import ClientSettings

CROWDED = 0.002
"""Seconds between two messages of one client below which others are let through first."""
QUIET = 0.001
"""Seconds that a turn of the loop takes at most when what the last one asked for is as good as done."""
MOST_TURNS = 8
"""What the next one waits for at most: a loop that is never quiet has other reasons."""

Excess = Literal["message", "audio", "datagram", "mistake", "agent_audio", "unread"]
"""What there was too much of."""
Fate = Literal["waited", "dropped", "closed"]
"""What became of it; ``closed``: of the client."""
Where = Literal["inbox", "network"]
"""Where microphone audio was lost."""


class Tally(Protocol):
    """Counts what was lost or held back. Called on the event loop: must return at once."""

    def excess(self, kind: Excess, fate: Fate, amount: float = 1) -> None:
        """A client sent, or was to be sent, more than it may."""

    def microphone_lost(self, where: Where, seconds: float) -> None:
        """So much of a participant's sound is gone."""

    def refused_connection(self, code: str) -> None:
        """A connection was turned away before it could ask for anything, or took too long to ask."""


class Uncounted:
    """The tally that nobody reads."""

    def excess(self, kind: Excess, fate: Fate, amount: float = 1) -> None:
        pass

    def microphone_lost(self, where: Where, seconds: float) -> None:
        pass

    def refused_connection(self, code: str) -> None:
        pass


class Crowd:
    """Lets one through at a time, first come, first served, whichever session they belong to.

    Work that nobody waits for in real time goes through it: messages that come one upon the other, sessions that
    begin or end. The next one has its turn when the loop has done what the last one asked for, so that twenty clients
    that flood the server keep it no longer than one does.
    """

    def __init__(self) -> None:
        self._one = asyncio.Lock()

    async def pass_through(self) -> None:
        """Wait for a turn of one's own."""
        async with self._one:
            began = clock.now()
            for _ in range(MOST_TURNS):
                await asyncio.sleep(0)
                now = clock.now()
                if now - began < QUIET:
                    return
                began = now


@dataclass(frozen=True, slots=True)
class ClientBounds:
    """Shared by all transports of a process."""

    settings: ClientSettings = field(default_factory=ClientSettings)
    tally: Tally = field(default_factory=Uncounted)
    crowd: Crowd = field(default_factory=Crowd)
