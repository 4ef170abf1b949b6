"""``parley`` that says how long whatever was due had to wait for its loop: ``python measured.py FILE up --port ...``.

A timer looks every five milliseconds at the clock, and at how long the loop's thread has stood in line for a processor
(``waits.py`` makes of both how long the loop itself kept others: by work, by sleep, by a lock, by a read that blocks;
what else this machine does is not counted). On SIGUSR1 the looks since the last time are written to FILE.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from array import array
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from waits import INTERVAL, ThreadTimes

LONGEST = 600.0
"""Seconds that are remembered."""


class Probe:
    """Looks since somebody asked last."""

    def __init__(self, answer: Path) -> None:
        self._answer = answer
        self._looks = array("d")

    def start(self) -> None:
        """Look from now on, on the running loop."""
        loop = asyncio.get_running_loop()
        self._times = ThreadTimes()
        loop.add_signal_handler(signal.SIGUSR1, self.tell)
        self._look(loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        if len(self._looks) < 2 * LONGEST / INTERVAL:
            self._looks.extend(self._times.now())
        loop.call_later(INTERVAL, self._look, loop)

    def tell(self) -> None:
        """Write them down, and begin again."""
        beside = self._answer.with_suffix(".new")
        beside.write_bytes(self._looks.tobytes())
        os.replace(beside, self._answer)
        self._looks = array("d", self._times.now())


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
