"""How a process is asked to stop: once to finish what it does, twice to hurry."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Stop:
    """What this process has been asked for."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Take nothing new, finish."""
    hurried: asyncio.Event = field(default_factory=asyncio.Event)
    """End now."""

    def ask(self) -> None:
        """Once to finish, and once more to hurry."""
        (self.hurried if self.asked.is_set() else self.asked).set()

    async def unless_hurried(self, drain: Coroutine[Any, Any, bool]) -> bool | None:
        """What draining came to; None when it was cut short."""
        drained = asyncio.ensure_future(drain)
        hurried = asyncio.ensure_future(self.hurried.wait())
        try:
            await asyncio.wait((drained, hurried), return_when=asyncio.FIRST_COMPLETED)
            return drained.result() if drained.done() else None
        finally:
            for task in (drained, hurried):
                task.cancel()
            await asyncio.gather(drained, hurried, return_exceptions=True)


@contextlib.contextmanager
def stopping() -> Iterator[Stop]:
    """SIGTERM and SIGINT ask while the block runs, where the loop can hear them."""
    stop, loop = Stop(), asyncio.get_running_loop()
    heard = []
    for name in SIGNALS:
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(name, stop.ask)
            heard.append(name)
    try:
        yield stop
    finally:
        for name in heard:
            loop.remove_signal_handler(name)
