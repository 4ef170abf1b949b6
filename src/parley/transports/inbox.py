"""What arrived and has not been read yet: microphone frames and messages, in order."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from parley.audio.frame import AudioFrame
from parley.errors import CapacityError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from parley.messages import ClientMessage
    from parley.orders import Order


AT_ONCE = 8
"""Items that are handed out one right after the other; then everybody else has a turn."""


class Inbox:
    """Filled by callbacks, read by one task. Bounded: old audio gives way, too many messages are refused.

    ``max_audio``: seconds of microphone that may wait; beyond them the oldest is dropped.
    ``max_messages``: messages that may wait; beyond them :meth:`put_message` raises CapacityError.
    ``lost`` is told how many seconds of the microphone nobody read in time.
    """

    def __init__(
        self, *, max_audio: float = 5.0, max_messages: int = 256, lost: Callable[[float], None] = lambda _: None
    ) -> None:
        self._items: deque[AudioFrame | ClientMessage | Order] = deque()
        self._max_audio = max_audio
        self._max_messages = max_messages
        self._audio = 0.0
        self._messages = 0
        self._waiter: asyncio.Future[None] | None = None
        self._lost = lost
        self._given = 0
        self.closed = False

    def put_audio(self, frame: AudioFrame) -> None:
        """Add a frame; does nothing once closed."""
        if self.closed:
            return
        self._items.append(frame)
        self._audio += frame.duration
        while self._audio > self._max_audio:
            self._drop_oldest_audio()
        self._wake()

    def put_message(self, message: ClientMessage | Order) -> None:
        """Add a message; does nothing once closed."""
        if self.closed:
            return
        if self._messages >= self._max_messages:
            raise CapacityError(f"More than {self._max_messages} messages are waiting; send them more slowly.")
        self._items.append(message)
        self._messages += 1
        self._wake()

    @property
    def room(self) -> int:
        """Messages that it takes before somebody reads one."""
        return self._max_messages - self._messages

    def close(self) -> None:
        """Let the reader finish what is here, then end its iteration."""
        self.closed = True
        self._wake()

    def _drop_oldest_audio(self) -> None:
        for index, item in enumerate(self._items):
            if isinstance(item, AudioFrame):
                del self._items[index]
                self._audio -= item.duration
                self._lost(item.duration)
                return

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> AsyncIterator[AudioFrame | ClientMessage | Order]:
        return self

    async def __anext__(self) -> AudioFrame | ClientMessage | Order:
        self._given += 1
        if not self._items:
            self._given = 0
        elif self._given >= AT_ONCE:
            self._given = 0
            await asyncio.sleep(0)
        while not self._items:
            if self.closed:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        item = self._items.popleft()
        if isinstance(item, AudioFrame):
            self._audio -= item.duration
        else:
            self._messages -= 1
        return item
