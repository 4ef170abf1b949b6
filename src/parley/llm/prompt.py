"""From a conversation to the messages that a chat endpoint is sent (pure).

Many chat templates want the instructions first, then the user, then both sides in turn. Nothing is left out to
get there: neighbours are joined, and what the agent said before anybody spoke stands with the instructions.
"""

from __future__ import annotations

from collections.abc import Sequence

from parley.values import ChatMessage


def arrange(
    history: Sequence[ChatMessage], *, instructions: str = "", newest: int = 0, system_role: str = "system"
) -> list[dict[str, str]]:
    """The messages in the protocol's own form.

    ``instructions`` count where the history has none of its own; ``newest`` bounds what was said (0: all), to which
    one more is added where it would begin with the agent. With the role "user" the instructions join the first turn.
    """
    own = [message.text for message in history if message.role == "system" and message.text.strip()]
    said = _joined([message for message in history if message.role != "system" and message.text.strip()])
    opening, turns = _opened(_newest(said, newest))
    told = [text for text in (*(own or [instructions]), *opening) if text.strip()]
    messages = [{"role": message.role, "content": message.text} for message in turns]
    if not told:
        return messages
    system = {"role": system_role, "content": "\n\n".join(told)}
    if system_role == "user" and messages:
        return [{**system, "content": f"{system['content']}\n\n{messages[0]['content']}"}, *messages[1:]]
    return [system, *messages]


def _joined(messages: list[ChatMessage]) -> list[ChatMessage]:
    joined: list[ChatMessage] = []
    for message in messages:
        if joined and joined[-1].role == message.role:
            joined[-1] = ChatMessage(message.role, f"{joined[-1].text}\n{message.text}")
        else:
            joined.append(message)
    return joined


def _newest(said: list[ChatMessage], count: int) -> list[ChatMessage]:
    if not count or count >= len(said):
        return said
    start = len(said) - count
    return said[start - 1 :] if said[start].role == "assistant" else said[start:]


def _opened(said: list[ChatMessage]) -> tuple[list[str], list[ChatMessage]]:
    """What the agent said before anybody spoke, as a line of the instructions; and the rest."""
    if not said or said[0].role != "assistant":
        return [], said
    return [f'You have opened the conversation yourself, with these words: "{said[0].text}"'], said[1:]
