"""From the items of a conversation to the messages that a language model is told.

Every call is followed by a result, as strict templates want it: where none has come, the model is told so. A result
that came when the conversation had gone on stands where it came, as the answer to the same call asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from parley.conversation.items import Call, Item, Message, Result, Role
from parley.values import ChatMessage, Image, ToolCall

LONGEST = 20_000
"""Characters of one message. Turns that were never answered are joined to one, which must not grow for ever."""

LONGEST_IN_ALL = 100_000
"""Characters of all messages together: what a language model can be told, and what a session may keep."""

NO_RESULT_YET = "No result yet; it will be told when it comes. Do not ask for it again."
LATER = "-later"
"""Behind the name of a call whose result came when the conversation had gone on."""


def tell(items: Sequence[Item], system_prompt: str = "", *, turn: str = "") -> list[ChatMessage]:
    """The prompt, the conversation, and the participant's newest words, within ``LONGEST_IN_ALL`` characters."""
    told = _Told()
    for item in items:
        told.add(item)
    messages = told.finish()
    if turn:
        _join(messages, "user", turn)
        messages = messages[forgotten([_length(message) for message in messages]) :]
        while messages and messages[0].role == "tool":  # its call did not fit
            del messages[0]
    return [ChatMessage("system", system_prompt), *messages] if system_prompt else messages


class _Told:
    """The messages so far; calls wait for the results that follow them directly."""

    def __init__(self) -> None:
        self._messages: list[ChatMessage] = []
        self._asked: dict[str, ToolCall] = {}
        self._open: list[ToolCall] = []
        self._results: dict[str, str] = {}

    def add(self, item: Item) -> None:
        match item:
            case Call():
                if self._results:
                    self._close()
                call = ToolCall(item.call_id, item.name, item.arguments)
                self._asked[call.call_id] = call
                self._open.append(call)
            case Result():
                self._result(item)
            case Message() if item.text or item.images:
                self._close()
                _join(self._messages, item.role, item.text, item.images)

    def finish(self) -> list[ChatMessage]:
        self._close()
        return self._messages

    def _result(self, result: Result) -> None:
        if any(call.call_id == result.call_id for call in self._open):
            self._results[result.call_id] = result.output
        elif (call := self._asked.get(result.call_id)) is not None:
            self._close()
            later = replace(call, call_id=call.call_id + LATER)
            self._open, self._results = [later], {later.call_id: result.output}
            self._close()

    def _close(self) -> None:
        calls, results = self._open, self._results
        self._open, self._results = [], {}
        if calls:
            ask(self._messages, calls)
            self._messages += [
                ChatMessage("tool", results.get(call.call_id, NO_RESULT_YET), call_id=call.call_id) for call in calls
            ]


def ask(messages: list[ChatMessage], calls: Sequence[ToolCall]) -> None:
    """Add what the agent asks for, to what it has just said where it has."""
    last = messages[-1] if messages else None
    if last is not None and last.role == "assistant" and not last.calls:
        messages[-1] = replace(last, calls=tuple(calls))
    else:
        messages.append(ChatMessage("assistant", "", tuple(calls)))


def _join(messages: list[ChatMessage], role: Role, text: str, images: tuple[Image, ...] = ()) -> None:
    """Add it as a message, or to the last one where that is of the same side."""
    if messages and messages[-1].role == role and not messages[-1].calls:
        last = messages[-1]
        joined = f"{last.text} {text}" if last.text and text else last.text or text
        messages[-1] = ChatMessage(role, joined[-max(LONGEST, len(text)) :], images=(*last.images, *images))
    else:
        messages.append(ChatMessage(role, text, images=images))


def told_length(item: Item) -> int:
    """Characters of it that a language model is told."""
    match item:
        case Message():
            return len(item.text)
        case Call():
            return len(item.call_id) + len(item.name) + len(item.arguments)
        case Result():
            return len(item.call_id) + len(item.output)


def _length(message: ChatMessage) -> int:
    calls = sum(len(call.call_id) + len(call.name) + len(call.arguments) for call in message.calls)
    return len(message.text) + len(message.call_id) + calls


def forgotten(lengths: Sequence[int]) -> int:
    """How many of the oldest do not fit into ``LONGEST_IN_ALL``; the newest one does in any case."""
    total = 0
    for index in range(len(lengths) - 1, -1, -1):
        total += lengths[index]
        if total > LONGEST_IN_ALL:
            return min(index + 1, len(lengths) - 1)
    return 0
