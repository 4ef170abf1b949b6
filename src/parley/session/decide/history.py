"""What was said and heard, as a language model is told of it."""

from __future__ import annotations

from parley.values import ChatMessage

LONGEST = 20_000
"""Characters of one message. Turns that were never answered are joined to one, which must not grow for ever."""

LONGEST_IN_ALL = 100_000
"""Characters of all messages together: what a language model can be told, and what a session may keep."""


class History:
    """The conversation so far, oldest first, without words that nobody heard.

    Neighbouring messages of one side are joined, since most models want the roles to alternate; of a message that
    grows beyond ``LONGEST`` characters in this way the newest are kept. So are, of all messages, the newest that
    have ``LONGEST_IN_ALL`` characters together.
    """

    def __init__(self, messages: list[ChatMessage] | None = None, *, limit: int = 100) -> None:
        self._limit = limit
        self._messages = _newest(list(messages or [])[-limit:])

    def messages(self, system_prompt: str = "", *, turn: str = "") -> list[ChatMessage]:
        """The prompt, the last ``limit`` messages, and ``turn``: the participant's newest words."""
        recent = list(self._messages)
        if turn:
            recent = _newest(_joined(recent, ChatMessage("user", turn)))
        return [ChatMessage("system", system_prompt), *recent] if system_prompt else recent

    def add_participant(self, text: str) -> None:
        """The participant said this."""
        if text:
            self._add(ChatMessage("user", text))

    def add_agent(self, heard_text: str) -> None:
        """The participant heard this of a reply; nothing is added when they heard nothing."""
        if heard_text:
            self._add(ChatMessage("assistant", heard_text))

    def _add(self, message: ChatMessage) -> None:
        self._messages = _newest(_joined(self._messages, message)[-self._limit :])


def _newest(messages: list[ChatMessage]) -> list[ChatMessage]:
    """The last of them that fit; the very last one in any case."""
    length = 0
    for index in range(len(messages) - 1, -1, -1):
        length += len(messages[index].text)
        if length > LONGEST_IN_ALL:
            return messages[index + 1 :] or messages[-1:]
    return messages


def _joined(messages: list[ChatMessage], message: ChatMessage) -> list[ChatMessage]:
    if messages and messages[-1].role == message.role:
        text = f"{messages[-1].text} {message.text}"
        return [*messages[:-1], ChatMessage(message.role, text[-max(LONGEST, len(message.text)) :])]
    return [*messages, message]
