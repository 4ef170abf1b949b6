"""What a language model sends for one reply: bounded in time and length, valid text, and an error where it is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley import clock
from parley.errors import NoReply
from parley.session.decide.deadline import ReplyDeadline
from parley.session.guard import GuardedStream
from parley.text.speech.normaliser import has_words
from parley.text.unicode import WholeDeltas
from parley.values import ChangeVoice, NothingToSay, ReplyOptions, Thinking, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley.errors import ParleyError
    from parley.interfaces import LanguageModel
    from parley.session.settings import LimitSettings
    from parley.values import ChatMessage, ToolInfo


class Deltas:
    """Hold it in ``async with aclosing(...)``."""

    def __init__(
        self,
        model: LanguageModel,
        history: Sequence[ChatMessage],
        limits: LimitSettings,
        tools: Sequence[ToolInfo] = (),
        options: ReplyOptions = ReplyOptions(),  # noqa: B008  (frozen)
    ) -> None:
        self.calls: list[ToolCall] = []
        """What was asked for so far."""
        self.usage: Usage | None = None
        """What the model counted, where it did."""
        more = () if options == ReplyOptions() else (options,)
        self._stream = GuardedStream("language model", lambda: model.reply(history, tools, *more))
        self._deadline = ReplyDeadline(model.deadlines, clock.now())
        self._limits = limits
        self._whole = WholeDeltas()
        self._length = 0
        self._needs_no_words = False

    def error(self, said: str, *, aloud: bool) -> ParleyError | None:
        """What ended it, where that was a failure.

        So is a reply without a word, unless it was meant to be. ``said``: all of its text; ``aloud``: of which somebody
        waits to hear a word, so that marks, emoji and blocks of code are none.
        """
        if self._stream.error is not None or self._needs_no_words:
            return self._stream.error
        if not said.strip():
            return NoReply("The language model's reply is empty.")
        return (
            NoReply("Nothing in the language model's reply can be spoken.") if aloud and not has_words(said) else None
        )

    async def next(self) -> str | ChangeVoice | None:
        """The next one; None at the end, and ``error`` says of what kind it was."""
        while self._length < self._limits.max_text:
            part = await self._stream.next(self._deadline.at(clock.now()))
            if part is None:
                return None
            if isinstance(part, Usage):
                self.usage = part
                continue
            self._deadline.sign_of_life(word=not isinstance(part, Thinking))
            self._needs_no_words = self._needs_no_words or isinstance(part, ChangeVoice | NothingToSay | ToolCall)
            if isinstance(part, ChangeVoice):
                return part
            if isinstance(part, ToolCall):
                self._length += len(part.arguments) + len(part.name)
                self.calls.append(part)
            if isinstance(part, str):
                self._length += len(part)
                return self._whole.add(part)
        return None

    def finish(self) -> str:
        """What a delta left behind that never became whole."""
        return self._whole.finish()

    async def aclose(self) -> None:
        """Nobody wants more of it."""
        await self._stream.aclose()
