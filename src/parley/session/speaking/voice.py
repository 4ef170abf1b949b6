"""The synthesizer's side of one reply: its frames as they come, and its hold."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from parley import clock
from parley.audio.frame import AudioFrame
from parley.errors import ParleyError
from parley.session.guard import GuardedStream, guarded

if TYPE_CHECKING:
    from parley.interfaces import Synthesis

Spawn = Callable[[Callable[[], Coroutine[Any, Any, None]], str], asyncio.Task[None]]
"""``session.tasks.Tasks.spawn``."""

_log = logging.getLogger(__name__)
_ORDER = 1.0
"""Seconds that a voice may take to confirm that it pauses or goes on."""


class ReplyVoice:
    """Speaks once it is asked for the first frame. A hold is passed on one call at a time; the last order wins."""

    def __init__(self, begin: Callable[[], Synthesis], spawn: Spawn, name: str) -> None:
        self._begin = begin
        self._spawn = spawn
        self._name = name
        self._synthesis: Synthesis | None = None
        self._frames = GuardedStream[AudioFrame]("voice", self._opened)
        self._wanted_hold = self._told_hold = False
        self._holder: asyncio.Task[None] | None = None
        self._waiting_since: float | None = None

    @property
    def error(self) -> ParleyError | None:
        """What ended it, where that was a failure."""
        return self._frames.error

    async def next(self) -> AudioFrame | None:
        """The next frame; None at the end, and ``error`` says of what kind it was."""
        self._waiting_since = clock.now()
        try:
            return await self._frames.next()
        finally:
            self._waiting_since = None

    def waited(self, now: float, *, may_wait: bool) -> float:
        """Seconds for which a frame has been waited for; none of them count while it ``may_wait``."""
        if self._waiting_since is None:
            return 0.0
        if may_wait:
            self._waiting_since = now
        return now - self._waiting_since

    def hold(self, held: bool) -> None:
        """Let the synthesizer rest, or go on."""
        self._wanted_hold = held
        if self._synthesis is not None and (self._holder is None or self._holder.done()):
            self._holder = self._spawn(self._pass_on_hold, self._name)

    async def aclose(self) -> None:
        """Nobody wants more of it."""
        if self._holder is not None:
            self._holder.cancel()
        await self._frames.aclose()

    def _opened(self) -> Synthesis:
        self._synthesis = self._begin()
        return self._synthesis

    async def _pass_on_hold(self) -> None:
        assert self._synthesis is not None
        while self._told_hold != self._wanted_hold:
            self._told_hold = self._wanted_hold
            try:
                with guarded("voice"):
                    async with asyncio.timeout(_ORDER):
                        await (self._synthesis.pause() if self._told_hold else self._synthesis.resume())
            except ParleyError as error:
                # Whoever iterates learns of it too, if it matters.
                _log.debug("the synthesizer did not take a hold: %s", error)
