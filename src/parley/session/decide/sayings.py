"""Text from outside that is to be spoken as it is: one saying at a time, the others wait."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Saying:
    """A text that may still be growing."""

    text: str = ""
    ended: bool = False
    remark: bool = False
    """True for what the agent says of its own."""
    verbatim: bool = False
    """True for what is to be spoken as it stands, numbers and marks included."""


class Sayings:
    """Where deltas go. What belongs to a saying that was cut off is dropped until its end has come."""

    def __init__(self) -> None:
        self.current: Saying | None = None
        """The one that is being spoken."""
        self._waiting: deque[Saying] = deque()
        self._muted = False

    @property
    def expects_more(self) -> bool:
        """True while the end of a text has not come, be it one that is to be spoken or one that was cut off."""
        return self._muted or self._newest() is not None

    @property
    def refused(self) -> bool:
        """Whether what comes is dropped until its end has come."""
        return self._muted

    @property
    def waiting(self) -> int:
        """Characters that wait behind the saying that is being spoken."""
        return sum(len(saying.text) for saying in self._waiting)

    @property
    def length(self) -> int:
        """Characters of the saying that the next delta would belong to."""
        newest = self._newest()
        return len(newest.text) if newest else 0

    def add(self, delta: str, *, verbatim: bool = False) -> Saying | None:
        """Take a delta; returns what it belongs to, or None when that was cut off. The first decides ``verbatim``."""
        if self._muted:
            return None
        saying = self._newest()
        if saying is None:
            saying = Saying(verbatim=verbatim)
            self._waiting.append(saying)
        saying.text += delta
        return saying

    def end(self) -> Saying | None:
        """The newest saying is complete; returns it, or None when it was cut off or empty."""
        self._muted, muted = False, self._muted
        saying = None if muted else self._newest()
        if saying is not None:
            saying.ended = True
        return saying

    def interject(self, text: str) -> None:
        """Let this be spoken next, before whatever waits: a remark of the agent's own."""
        self._waiting.appendleft(Saying(text, ended=True, remark=True))

    def refuse(self) -> Saying | None:
        """The newest saying is too much: nobody speaks it with a hole, so the rest of it is dropped.

        One that waits is dropped whole. One that is being spoken ends with what there is, and is returned.
        """
        newest, self._muted = self._newest(), True
        if newest is None:
            return None
        newest.ended = True
        if newest is self.current:
            return newest
        self._waiting.remove(newest)
        return None

    def next(self) -> Saying | None:
        """Let the next one be spoken; None when none waits."""
        self.current = self._waiting.popleft() if self._waiting else None
        return self.current

    def finish(self) -> None:
        """Nothing more of the current one will be spoken; what comes of it is dropped."""
        if self.current is not None and not self.current.ended and not self._waiting:
            self._muted = True
        self.current = None

    def cut(self) -> None:
        """Somebody else has the floor: drop everything."""
        self._muted = self._muted or self._newest() is not None
        self.current = None
        self._waiting.clear()

    def _newest(self) -> Saying | None:
        newest = self._waiting[-1] if self._waiting else self.current
        return newest if newest is not None and not newest.ended else None
