"""An event loop whose clock jumps: two seconds of conversation take a millisecond.

While something is ready to run, time stands still. When every task waits, the clock jumps to the
next timer; when there is no timer either, nothing can ever happen again and :class:`Deadlock` is raised.
Threads, sockets and grpc.aio need the real loop.

With pytest and anyio::

    @pytest.fixture
    def anyio_backend():
        return ("asyncio", {"loop_factory": VirtualTimeLoop})
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

_T = TypeVar("_T")


class Deadlock(RuntimeError):
    """Every task waits and no timer is due."""


class _JumpingSelector(selectors.BaseSelector):
    """Asks the real selector without waiting, and tells the loop how long it would have waited."""

    def __init__(self, jump: Callable[[float | None], None]) -> None:
        self._inner = selectors.DefaultSelector()
        self._jump = jump

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return []  # something is ready to run: what the system has to say can wait until nothing is
        ready = self._inner.select(0)
        if not ready:
            self._jump(timeout)
        return ready

    def close(self) -> None:
        self._inner.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Starts at 0 s. ``time()`` moves only when there is nothing left to do now."""

    def __init__(self) -> None:
        self._virtual_now = 0.0
        super().__init__(_JumpingSelector(self._jump))

    def stall(self, seconds: float) -> None:
        """Time passes in which nothing is done, as on a busy machine."""
        self._virtual_now += seconds

    def time(self) -> float:
        return self._virtual_now

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., _T], *args: Any
    ) -> asyncio.Future[_T]:
        """Run ``func`` here and now: threads live in another time."""
        done: asyncio.Future[_T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  (somebody else's code: whatever it raises belongs to whoever waits)
            done.set_exception(error)
        return done

    def _jump(self, timeout: float | None) -> None:
        if timeout is None:
            waiting = ", ".join(sorted(task.get_name() for task in asyncio.all_tasks(self)))
            raise Deadlock(f"Every task waits and no timer is due: {waiting or 'no tasks'}.")
        self._virtual_now += timeout


def run_virtual(
    main: Coroutine[Any, Any, _T], loop_factory: Callable[[], asyncio.AbstractEventLoop] = VirtualTimeLoop
) -> _T:
    """Run ``main`` to its end in virtual time: for tests without the anyio plugin, as with hypothesis.

    Raises what its loop's exception handler got: a callback that failed, a task whose failure nobody asked for.
    """
    unheard: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: unheard.append(context))
        result = runner.run(main)
    for context in unheard:
        raise context.get("exception") or RuntimeError(context["message"])
    return result
