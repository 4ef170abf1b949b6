"""Work that is really done, in virtual time: the CPU time it took passes on the loop's clock.

What is measured so means the same on a busy machine: nobody else's work is in it, and the loop's own is not either.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from parley.testing.virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    import asyncio

_T = TypeVar("_T")
CORES = 2


def timed(work: Callable[..., _T], *args: Any) -> tuple[_T, float]:
    """What ``work`` returns, and the CPU seconds of this process that it took, its own threads included."""
    began = time.process_time()
    result = work(*args)
    return result, time.process_time() - began


class CpuTimeLoop(VirtualTimeLoop):
    """Threads' work is done at once and is over when a core has had the time for it.

    There are ``cores`` of them; whoever comes when all are busy waits for the first that is free.
    """

    def __init__(self, cores: int = CORES) -> None:
        self._free_at = [0.0] * cores
        self.spent: list[float] = []
        """CPU seconds of each piece of work."""
        super().__init__()

    def run_in_executor(  # type: ignore[override]  # as VirtualTimeLoop: a future of the result, whatever the executor
        self, executor: Any, func: Callable[..., _T], *args: Any
    ) -> asyncio.Future[_T]:
        """Run ``func`` here and now, and let the time it took pass."""
        done: asyncio.Future[_T] = self.create_future()
        began = time.process_time()
        try:
            result = func(*args)
        except Exception as error:  # noqa: BLE001  (somebody else's code: whatever it raises belongs to whoever waits)
            self.call_at(self._over_at(began), _fail, done, error)
        else:
            self.call_at(self._over_at(began), _settle, done, result)
        return done

    def _over_at(self, began: float) -> float:
        spent = time.process_time() - began
        self.spent.append(spent)
        core = min(range(len(self._free_at)), key=self._free_at.__getitem__)
        self._free_at[core] = max(self.time(), self._free_at[core]) + spent
        return self._free_at[core]


def _settle(done: asyncio.Future[_T], result: _T) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: asyncio.Future[Any], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)
