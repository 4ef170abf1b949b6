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
import contextvars
import selectors
from collections import deque
from collections.abc import Callable, Coroutine
from heapq import heappop, heappush
from typing import Any, NoReturn, TypeVar

_T = TypeVar("_T")
_TICK = 1e-9
"""Seconds by which a timer may be early, as on the system's clock."""


class Deadlock(RuntimeError):
    """Every task waits and no timer is due."""


class _SoonHandle(asyncio.Handle):
    """To be called soon; made and cancelled without asking what the loop's debugging wants to know."""

    __slots__ = ()
    _callback: Any
    _args: Any

    def __init__(  # asyncio's own asks the loop whether it debugs, for each of a million handles
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: contextvars.Context | None,
    ) -> None:
        self._context = context if context is not None else contextvars.copy_context()
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = self._source_traceback = None

    def cancel(self) -> None:
        self._cancelled = True
        self._callback = self._args = None


class _TimerHandle(_SoonHandle, asyncio.TimerHandle):
    """To be called at ``when``."""

    __slots__ = ()
    _when: float
    _scheduled: bool


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Starts at 0 s. ``time()`` moves only when there is nothing left to do now.

    Timers of one moment come in the order in which they were set. What asyncio does for a loop in real time, such as
    asking the system for news between any two callbacks, is left out: a session's tests are mostly this loop's work.
    """

    _closed: bool
    _stopping: bool
    _ready: deque[Any]
    _selector: selectors.BaseSelector
    _process_events: Callable[[list[Any]], None]

    def __init__(self) -> None:
        self._virtual_now = 0.0
        self._timers: list[tuple[float, int, _TimerHandle]] = []
        self._timers_set = 0
        super().__init__()

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

    # --- asyncio's own, without what virtual time has no use for --------------------------------

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        if self._closed:
            raise RuntimeError("Event loop is closed")
        handle = _SoonHandle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._virtual_now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        if self._closed:
            raise RuntimeError("Event loop is closed")
        handle = _TimerHandle(callback, args, self, context)
        handle._when, handle._scheduled = when, True
        self._timers_set = number = self._timers_set + 1
        heappush(self._timers, (when, number, handle))
        return handle

    def _run_once(self) -> None:
        """Call what is ready, and what becomes ready by that; once nothing is, jump to the next timer."""
        ready, timers = self._ready, self._timers
        while timers and timers[0][2]._cancelled:
            heappop(timers)
        if not ready and not self._stopping:
            self._ask_the_system()
            if not ready:
                if not timers:
                    self._deadlock()
                self._virtual_now = max(self._virtual_now, timers[0][0])
        due = self._virtual_now + _TICK
        while timers and timers[0][0] < due:
            ready.append(heappop(timers)[2])
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                try:
                    handle._context.run(handle._callback, *handle._args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:  # noqa: BLE001  (somebody else's code, told as asyncio does)
                    message = f"a callback failed: {handle!r}"
                    self.call_exception_handler({"message": message, "exception": error, "handle": handle})
        handle = None  # breaks cycles

    def _ask_the_system(self) -> None:
        """Without waiting, and only where something but the loop's own pipe is watched."""
        if len(self._selector.get_map()) > 1:
            self._process_events(self._selector.select(0))

    def _deadlock(self) -> NoReturn:
        waiting = ", ".join(sorted(task.get_name() for task in asyncio.all_tasks(self)))
        raise Deadlock(f"Every task waits and no timer is due: {waiting or 'no tasks'}.")


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
