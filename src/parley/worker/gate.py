"""How many texts may be spoken on one GPU at the same time, whatever models they belong to.

Two engines that share a GPU slow each other down; past a point both miss real time. The gate lets
so many texts through and keeps the rest in order of need: who is least ahead of their listener goes first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parley.errors import ParleyError
    from parley.values import SynthesizedAudio, Voice
    from parley.worker.job import Job


class Gate:
    """Passes at most ``limit`` jobs on at a time. May be used from any thread."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.RLock()
        self._running: set[_Gated] = set()
        self._waiting: list[_Gated] = []

    @property
    def crowded(self) -> bool:
        """True when jobs wait: those that run finish their text even if nobody takes their audio."""
        return bool(self._waiting)

    def submit(self, job: Job, submit: Callable[[Job], None], wake: Callable[[], None]) -> None:
        """Pass ``job`` to ``submit`` when it is its turn. ``wake`` makes its engine ask it again what it wants."""
        with self._lock:
            gated = _Gated(self, job, submit, wake)
            if len(self._running) >= self._limit:
                self._waiting.append(gated)
                to_wake = list(self._running)
            else:
                self._running.add(gated)
                to_wake = []
        for running in to_wake:
            running.wake()
        if not to_wake:
            submit(gated)

    def done(self, gated: _Gated) -> None:
        """A job has finished: the hungriest that waits takes its place."""
        following: list[_Gated] = []
        with self._lock:
            self._running.discard(gated)
            while self._waiting and len(self._running) < self._limit:
                chosen = min(self._waiting, key=lambda waiting: waiting.job.ahead())
                self._waiting.remove(chosen)
                self._running.add(chosen)
                following.append(chosen)
        for chosen in following:
            chosen.submit(chosen)


@dataclass(eq=False, slots=True)
class _Gated:
    """A job as its engine sees it."""

    gate: Gate
    job: Job
    submit: Callable[[Job], None]
    wake: Callable[[], None]

    @property
    def text(self) -> str:
        return self.job.text

    @property
    def voice(self) -> Voice:
        return self.job.voice

    @property
    def cancelled(self) -> bool:
        return self.job.cancelled

    def ahead(self) -> float:
        return self.job.ahead()

    def wants_more(self) -> bool:
        return self.job.wants_more() or self.gate.crowded

    def started(self, pid: int = 0) -> None:
        self.job.started(pid)

    def push(self, audio: SynthesizedAudio, seconds: float) -> None:
        self.job.push(audio, seconds)

    def finished(self, error: ParleyError | None) -> None:
        self.gate.done(self)
        self.job.finished(error)
