"""Between a session and somebody else's code, whose failures are told and survived; our own never look like them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from parley.errors import ParleyError, TimedOut

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
_CLOSING = 2.0
"""Seconds that a stream may take to close; nobody waits longer for what is not wanted any more."""


def failure(who: str, error: Exception) -> ParleyError:
    """What ``who`` (a recogniser, a voice ...) raised, as a ParleyError; a surprise goes into the log."""
    if isinstance(error, ParleyError):
        return error
    if isinstance(error, TimeoutError):
        return TimedOut(f"The {who} took too long.")
    _log.error("the %s failed", who, exc_info=error)
    failed = ParleyError(f"The {who} failed; the server's log says why.")
    failed.__cause__ = error
    return failed


@contextmanager
def guarded(who: str) -> Iterator[None]:
    """Around one call into ``who`` (a recogniser, a voice ...): what it raises comes out as a ParleyError."""
    try:
        yield
    except (ParleyError, StopAsyncIteration):
        raise
    except Exception as error:  # noqa: BLE001  (somebody else's code: recogniser, model or voice)
        failed = failure(who, error)
        raise failed from failed.__cause__


class GuardedStream(Generic[_T]):
    """Somebody else's stream, item by item. Nothing of ours runs inside the guard.

    ``opened`` makes the stream; it is called for the first item. Hold it in ``async with aclosing(...)``.
    ``hurried``: :meth:`hurry` may be called; an item without a time limit costs less where it never is.
    """

    def __init__(self, who: str, opened: Callable[[], AsyncIterator[_T]], *, hurried: bool = False) -> None:
        self.error: ParleyError | None = None
        """What ended it, where that was a failure."""
        self._who = who
        self._opened = opened
        self._stream: Any = None
        self._scope: asyncio.Timeout | None = None
        self._hurried = hurried

    async def next(self, by: float | None = None) -> _T | None:
        """The next item, no later than ``by`` (loop time); None at the end, and ``error`` says of what kind it was."""
        try:
            if self._stream is None:
                self._stream = self._opened()
            if by is None and not self._hurried:
                item: _T = await anext(self._stream)
            else:
                async with asyncio.timeout_at(by) as self._scope:
                    item = await anext(self._stream)
        except StopAsyncIteration:
            return None
        except Exception as error:  # noqa: BLE001  (somebody else's code)
            self.error = failure(self._who, error)
            return None
        finally:
            self._scope = None
        return item

    def hurry(self, by: float) -> None:
        """Whoever waits now waits no longer than until ``by``."""
        if self._scope is not None:
            self._scope.reschedule(by)

    async def aclose(self) -> None:
        """Give the stream up. What it says to that is for the log alone."""
        if self._stream is None:
            return
        try:
            with guarded(self._who):
                async with asyncio.timeout(_CLOSING):
                    await self._stream.aclose()
        except ParleyError as error:
            _log.debug("the %s did not end well: %s", self._who, error)
