"""``parley`` that says for how long its loop was kept: ``python measured.py FILE up --port ...``.

A timer looks every five milliseconds how much processor time the loop's thread has used since the last look. Whatever
is due waits for so long, and what else this machine does is not counted. On SIGUSR1 the longest such stretch since the
last time is written to FILE, in seconds.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

INTERVAL = 0.005


class Probe:
    """The longest stretch of work between two looks."""

    def __init__(self, answer: Path) -> None:
        self.longest = 0.0
        self._answer = answer
        self._last = 0.0

    def start(self) -> None:
        """Look from now on, on the running loop."""
        loop = asyncio.get_running_loop()
        self._last = time.thread_time()
        loop.add_signal_handler(signal.SIGUSR1, self.tell)
        loop.call_later(INTERVAL, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.thread_time()
        self.longest, self._last = max(self.longest, now - self._last), now
        loop.call_later(INTERVAL, self._look, loop)

    def tell(self) -> None:
        """Write it down, and begin again."""
        beside = self._answer.with_suffix(".new")
        beside.write_text(str(self.longest))
        os.replace(beside, self._answer)
        self.longest, self._last = 0.0, time.thread_time()


def main() -> None:
    """Run ``parley`` with the other arguments."""
    probe = Probe(Path(sys.argv[1]))
    run = asyncio.Runner.run

    async def probed(work: Coroutine[Any, Any, Any]) -> Any:
        probe.start()
        return await work

    asyncio.Runner.run = lambda runner, work, **kwargs: run(runner, probed(work), **kwargs)  # type: ignore[method-assign]
    from parley.cli import main as parley

    parley(sys.argv[2:])


if __name__ == "__main__":
    main()
