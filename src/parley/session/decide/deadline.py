"""Until when a language model may take for the next part of its reply (pure; ``now`` is an argument)."""

from __future__ import annotations

from parley.values import Deadlines


class ReplyDeadline:
    """A first limit, one between signs of life, and one for reasoning that never comes to a word."""

    def __init__(self, deadlines: Deadlines, now: float) -> None:
        self._deadlines = deadlines
        self._began = now
        self._alive = self._spoke = False

    def at(self, now: float) -> float:
        """When the next part has to be there; never before ``now``."""
        if not self._alive:
            return max(now, self._began + self._deadlines.first)
        soon = now + self._deadlines.between
        if self._spoke:
            return soon
        return max(now, min(soon, self._began + max(self._deadlines.thinking, self._deadlines.first)))

    def sign_of_life(self, *, word: bool) -> None:
        """Something came; ``word``: it is to be said."""
        self._alive = True
        self._spoke = self._spoke or word
