"""What a decoder's process worked on of one turn, by its own clock: for traces."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parley.tracing import is_collecting

if TYPE_CHECKING:
    from parley.tracing import OpenSpan, Value

_FEED = "feed"
"""What comes ten times a second while somebody speaks: summed up, and no part of its own."""


@dataclass(slots=True)
class Decoding:
    """Kept while somebody collects."""

    parts: list[tuple[str, float, float, int]] = field(default_factory=list)
    """What for, beginning and end (``time.perf_counter``), and whose work: a process."""
    seconds: float = 0.0
    questions: int = 0

    def add(self, what: str, seconds: float, pid: int) -> None:
        """A process has just said something, and worked so long on it."""
        if not is_collecting():
            return
        self.seconds += seconds
        self.questions += 1
        if what != _FEED:
            now = time.perf_counter()
            self.parts.append((what, now - seconds, now, pid))

    def summary(self) -> dict[str, Value]:
        """Of all of it."""
        return {"parley.work_s": round(self.seconds, 6), "parley.questions": self.questions}

    def trace(self, span: OpenSpan) -> None:
        """What was waited for, as parts of ``span``."""
        for what, began, ended, pid in self.parts:
            span.inside(f"decode {what}", began, ended, parley__process="recogniser", process__pid=pid)
