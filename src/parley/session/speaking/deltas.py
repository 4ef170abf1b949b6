"""What a language model sends for one reply: bounded in time and length, and valid text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley import clock
from parley.session.guard import GuardedStream
from parley.text.unicode import WholeDeltas
from parley.values import ChangeVoice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley.errors import ParleyError
    from parley.interfaces import LanguageModel
    from parley.session.settings import LimitSettings
    from parley.values import ChatMessage


class Deltas:
    """Hold it in ``async with aclosing(...)``."""

    def __init__(self, model: LanguageModel, history: Sequence[ChatMessage], limits: LimitSettings) -> None:
        self._stream = GuardedStream("language model", lambda: model.reply(history))
        self._limits = limits
        self._whole = WholeDeltas()
        self._length = 0

    @property
    def error(self) -> ParleyError | None:
        """What ended it, where that was a failure."""
        return self._stream.error

    async def next(self) -> str | ChangeVoice | None:
        """The next one; None at the end, and ``error`` says of what kind it was."""
        if self._length >= self._limits.max_text:
            return None
        delta = await self._stream.next(clock.now() + self._limits.llm_timeout)
        if delta is None or isinstance(delta, ChangeVoice):
            return delta
        self._length += len(delta)
        return self._whole.add(delta)

    def finish(self) -> str:
        """What a delta left behind that never became whole."""
        return self._whole.finish()

    async def aclose(self) -> None:
        """Nobody wants more of it."""
        await self._stream.aclose()
