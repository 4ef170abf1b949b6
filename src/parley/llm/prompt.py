"""From a conversation to the messages that a chat endpoint is sent (pure).

Many chat templates want the instructions first, then the user, then both sides in turn. Nothing is left out to
get there: neighbours are joined, and what the agent said before anybody spoke stands with the instructions. Calls of
tools and their results are messages of their own where tools are offered; where none are, they are told in words.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from parley.values import ChatMessage, Image, ToolCall

UNSEEN = "(An image is shown here, which you can not see.)"

BRIEF = "Answer in one short sentence."
"""What a model is told whose answers take too long to be spoken."""


def arrange(
    history: Sequence[ChatMessage],
    *,
    instructions: str = "",
    newest: int = 0,
    system_role: str = "system",
    tools: bool = False,
    brief: bool = False,
    images: bool = True,
) -> list[dict[str, Any]]:
    """The messages in the protocol's own form.

    ``instructions`` count where the history has none of its own; ``newest`` bounds what was said (0: all), to which
    those before it are added with which it would begin with the agent. With the role "user" the instructions join the
    first turn. ``tools``: some are offered. ``brief``: a short answer is asked for. ``images``: the model looks at
    them; else it is told that there was one.
    """
    if not images:
        history = [unseen(message) if message.images else message for message in history]
    own = [message.text for message in history if message.role == "system" and message.text.strip()]
    told = [message for message in history if message.role != "system"]
    said = _joined(message for message in (told if tools else _in_words(told)) if _says_something(message))
    opening, turns = _opened(_newest(said, newest))
    asked = (*(own or [instructions]), *([BRIEF] if brief else []))
    before = [text for text in (*asked, *opening) if text.strip()]
    messages = [_plain(message) for message in turns]
    if not before:
        return messages
    system: dict[str, Any] = {"role": system_role, "content": "\n\n".join(before)}
    if system_role == "user" and messages:
        return [{**system, "content": _before(system["content"], messages[0]["content"])}, *messages[1:]]
    return [system, *messages]


def _before(text: str, content: Any) -> Any:
    """The text in front of a message's content, which may be a list of parts."""
    return f"{text}\n\n{content}" if isinstance(content, str) else [{"type": "text", "text": text}, *content]


def unseen(message: ChatMessage, sees: Callable[[Image], bool] = lambda _: False) -> ChatMessage:
    """The message with words in the place of the images that are not seen."""
    seen = tuple(image for image in message.images if sees(image))
    if len(seen) == len(message.images):
        return message
    return replace(message, images=seen, text=f"{message.text} {UNSEEN}".strip())


def _says_something(message: ChatMessage) -> bool:
    return bool(message.text.strip() or message.images or message.calls or message.role == "tool")


def _plain(message: ChatMessage) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
    if message.images:
        text = [{"type": "text", "text": message.text}] if message.text.strip() else []
        shown = [{"type": "image_url", "image_url": _image(image)} for image in message.images]
        return {"role": message.role, "content": [*text, *shown]}
    if not message.calls:
        return {"role": message.role, "content": message.text}
    calls = [
        {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": _object(call)}}
        for call in message.calls
    ]
    return {"role": message.role, "content": message.text, "tool_calls": calls}


def _image(image: Image) -> dict[str, str]:
    return {"url": image.url} if image.detail == "auto" else {"url": image.url, "detail": image.detail}


def _object(call: ToolCall) -> str:
    """Its arguments; templates read them as JSON, and some endpoints refuse what is none."""
    try:
        whole = isinstance(json.loads(call.arguments or "{}"), dict)
    except (ValueError, RecursionError):
        whole = False
    return (call.arguments or "{}") if whole else json.dumps({"malformed": call.arguments})


def _in_words(told: Iterable[ChatMessage]) -> Iterable[ChatMessage]:
    """The same without calls: what was asked of tools, and what they said, is told by the other side."""
    asked: dict[str, ToolCall] = {}
    for message in told:
        asked |= {call.call_id: call for call in message.calls}
        if message.role == "tool":
            call = asked.get(message.call_id)
            name = f"{call.name}({call.arguments})" if call is not None else "A tool"
            yield ChatMessage("user", f"[{name} answered: {message.text}]")
        elif message.text or message.images:
            yield ChatMessage(message.role, message.text, images=message.images)


def _joined(messages: Iterable[ChatMessage]) -> list[ChatMessage]:
    joined: list[ChatMessage] = []
    for message in messages:
        last = joined[-1] if joined else None
        if last is None or last.role != message.role or last.calls or message.role == "tool":
            joined.append(message)
        else:
            text = "\n".join(text for text in (last.text, message.text) if text)
            joined[-1] = ChatMessage(message.role, text, message.calls, images=(*last.images, *message.images))
    return joined


def _newest(said: list[ChatMessage], count: int) -> list[ChatMessage]:
    if not count or count >= len(said):
        return said
    start = len(said) - count
    while start and said[start].role != "user":
        start -= 1
    return said[start:]


def _opened(said: list[ChatMessage]) -> tuple[list[str], list[ChatMessage]]:
    """What the agent said, and was told by tools, before anybody spoke, as lines of the instructions; and the rest."""
    first = next((place for place, message in enumerate(said) if message.role == "user"), len(said))
    before = [
        f'You have opened the conversation yourself, with these words: "{message.text}"'
        if message.role == "assistant"
        else f"A tool has told you: {message.text}"
        for message in said[:first]
        if message.text
    ]
    return before, said[first:]
