"""A command as a process: its event loop, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

Result = TypeVar("Result")


def run(work: Coroutine[Any, Any, Result], *, fast: bool = True) -> Result:
    """Run to the end; on uvloop where it is installed and ``fast``. A group with one error raises that error."""
    # Children are started by exec alone: gRPC need not prepare for forks, nor talk about them.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if fast:
        with contextlib.suppress(ImportError):
            import uvloop

            loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        try:
            return runner.run(work)
        except BaseExceptionGroup as group:
            raise _only(group) from group


def starting() -> None:
    """What is imported from here on lives as long as the process: look through none of it for garbage meanwhile.

    Whoever has started says so with :func:`started`.
    """
    gc.disable()


def started() -> None:
    """What is there stays, and is not looked through again; the rest is collected as ever."""
    gc.freeze()
    gc.enable()


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error in nested groups, else the group."""
    inside: BaseException = group
    while isinstance(inside, BaseExceptionGroup) and len(inside.exceptions) == 1:
        inside = inside.exceptions[0]
    return inside
