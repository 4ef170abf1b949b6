"""What was said and heard, as a language model is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from parley.values import ChatMessage

LONGEST = 20_000
"""Characters of one message. Turns that were never answered are joined to one, which must not grow for ever."""

LONGEST_IN_ALL = 100_000
"""Characters of all messages together: what a language model can be told, and what a session may keep."""

Role = Literal["system", "user", "assistant"]


@dataclass(slots=True, eq=False)
class Words:
    """What was said at one place of the conversation; it may become better known later (:meth:`History.amend`)."""

    text: str


@dataclass(slots=True)
class _Side:
    """One side's words, until the other side has its say."""

    role: Role
    said: list[Words]

    @property
    def text(self) -> str:
        return " ".join(words.text for words in self.said if words.text)

    def shorten(self) -> None:
        """Keep the newest ``LONGEST`` characters; the last words whole in any case."""
        over = len(self.text) - max(LONGEST, len(self.said[-1].text))
        while over > 0:
            first = self.said[0]
            if len(first.text) >= over:
                first.text = first.text[over:].lstrip()
                return
            over -= len(first.text) + 1
            del self.said[0]


class History:
    """The conversation so far, oldest first, without words that nobody heard.

    Neighbouring messages of one side are joined, since most models want the roles to alternate; of a message that
    grows beyond ``LONGEST`` characters in this way the newest are kept. So are, of all messages, the newest that
    have ``LONGEST_IN_ALL`` characters together.
    """

    def __init__(self, messages: list[ChatMessage] | None = None, *, limit: int = 100) -> None:
        self._limit = limit
        self._sides = [_Side(message.role, [Words(message.text)]) for message in messages or []]
        self._forget_oldest()

    def messages(self, system_prompt: str = "", *, turn: str = "") -> list[ChatMessage]:
        """The prompt, the last ``limit`` messages, and ``turn``: the participant's newest words."""
        recent: list[ChatMessage] = []
        for side in self._sides:
            _join(recent, side.role, side.text)
        if turn:
            _join(recent, "user", turn)
            recent = recent[_forgotten([len(message.text) for message in recent]) :]
        return [ChatMessage("system", system_prompt), *recent] if system_prompt else recent

    def add_participant(self, text: str) -> Words:
        """The participant said this; where nothing was said, nothing is added."""
        return self._add("user", text) if text else Words("")

    def add_agent(self, heard_text: str) -> Words:
        """The participant heard this of a reply; nothing is added when they heard nothing."""
        return self._add("assistant", heard_text) if heard_text else Words("")

    def keep_place(self, role: Role) -> Words:
        """Something was said here that is not known yet: :meth:`amend` says what, or that it was nothing."""
        return self._add(role, "")

    def amend(self, words: Words, text: str) -> None:
        """It is known better now what was said there; empty for nothing."""
        words.text = text
        for side in self._sides:
            if words in side.said:
                if text:
                    side.shorten()
                else:
                    side.said.remove(words)
        self._forget_oldest()

    def _add(self, role: Role, text: str) -> Words:
        words = Words(text)
        if self._sides and self._sides[-1].role == role:
            self._sides[-1].said.append(words)
            self._sides[-1].shorten()
        else:
            self._sides.append(_Side(role, [words]))
        self._forget_oldest()
        return words

    def _forget_oldest(self) -> None:
        self._sides = [side for side in self._sides[-self._limit :] if side.said]
        del self._sides[: _forgotten([len(side.text) for side in self._sides])]


def _join(messages: list[ChatMessage], role: Role, text: str) -> None:
    """Add it as a message, or to the last one where that is of the same side."""
    if not text:
        return
    if messages and messages[-1].role == role:
        joined = f"{messages[-1].text} {text}"
        messages[-1] = ChatMessage(role, joined[-max(LONGEST, len(text)) :])
    else:
        messages.append(ChatMessage(role, text))


def _forgotten(lengths: Sequence[int]) -> int:
    """How many of the oldest do not fit; the newest one does in any case."""
    total = 0
    for index in range(len(lengths) - 1, -1, -1):
        total += lengths[index]
        if total > LONGEST_IN_ALL:
            return min(index + 1, len(lengths) - 1)
    return 0
