"""Which conversations wait for their answers too long already, so that nobody new is let in. Pure."""

from __future__ import annotations

from collections.abc import Collection, Set
from dataclasses import dataclass, field

FRESH = 60.0
"""Seconds after its newest turn for which a conversation counts as strained: one in which nobody talks has no load."""


@dataclass(slots=True)
class _Strained:
    stages: set[str] = field(default_factory=set)
    """Those that want nobody new; while there is one, the conversation is strained."""
    turn_at: float = 0.0


class Strain:
    """Times are those of any clock in seconds, as long as it is the same one in every call."""

    def __init__(self) -> None:
        self._known: dict[str, _Strained] = {}

    def reacted(self, session_id: str, stage: str, now: float, *, on: bool) -> None:
        """A stage of this conversation has nothing left to try (``on``), or has recovered."""
        known = self._known.setdefault(session_id, _Strained())
        (known.stages.add if on else known.stages.discard)(stage)
        known.turn_at = now
        if not known.stages:
            del self._known[session_id]

    def turned(self, session_id: str, now: float) -> None:
        """A turn of this conversation was answered."""
        if session_id in self._known:
            self._known[session_id].turn_at = now

    def forget(self, session_id: str) -> None:
        """This conversation is over."""
        self._known.pop(session_id, None)

    def too_much(self, running: Collection[str], replaced: Set[str], now: float) -> bool:
        """Whether half of those that run wait too long; not counted those that go on elsewhere (``replaced``)."""
        held = [session_id for session_id in running if session_id not in replaced]
        strained = sum(
            session_id in self._known and now - self._known[session_id].turn_at < FRESH for session_id in held
        )
        return strained > 0 and 2 * strained >= len(held)
