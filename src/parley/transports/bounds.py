"""What holds clients within bounds: the settings, one queue for whoever crowds in, and somebody who counts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Literal, Protocol

from parley.transports.client_settings import ClientSettings

CROWDED = 0.002
"""Seconds between two messages of one client below which others are let through first."""

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
    """Lets one through in each turn of the loop, first come, first served, whichever session they belong to.

    Work that nobody waits for in real time goes through it: messages that come one upon the other, sessions that
    are opened. Twenty clients that flood the server then cost a turn no more than one does.
    """

    def __init__(self) -> None:
        self._one = asyncio.Lock()

    async def pass_through(self) -> None:
        """Wait for a turn of one's own."""
        async with self._one:
            await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class ClientBounds:
    """Shared by all transports of a process."""

    settings: ClientSettings = field(default_factory=ClientSettings)
    tally: Tally = field(default_factory=Uncounted)
    crowd: Crowd = field(default_factory=Crowd)
