"""What an OpenAI-compatible endpoint's objects say, delta by delta (pure).

Endpoints leave out, empty and add fields as they like: whatever is missing or null says nothing.
"""

from __future__ import annotations

from typing import Any

from parley.errors import NoReply
from parley.llm.calls import CallPieces
from parley.llm.reasoning import Spoken
from parley.values import Thinking, ToolCall, Usage

_REASONING = ("reasoning_content", "reasoning", "reasoning_details", "thinking")
"""Where endpoints put what is not said; each is somebody's name for it."""


class EndpointFailed(Exception):
    """The endpoint told of an error in place of a reply, or in the middle of one."""

    def __init__(self, said: str, kind: str) -> None:
        super().__init__(kind)
        self.said = said
        """Its own words; they may repeat parts of the prompt."""
        self.kind = kind
        """Its name for the error, where it has one."""


class Answer:
    """One reply: give it the objects, it gives back what may be said and signs of life."""

    def __init__(self, *, inside_reasoning: bool = False, tools: bool = False) -> None:
        """``tools``: some were offered, and may be asked for."""
        self.spoken = Spoken(inside=inside_reasoning)
        self.finish_reason = ""
        self._said = False
        self._tools = tools
        self._calls = CallPieces()
        self._thought = False
        self._used: Any = None
        self._strange: bool | None = None
        """True while nothing but objects of another kind came."""

    def add(self, event: object) -> list[str | Thinking]:
        """One object: a chunk of a stream, or a whole completion. Raises EndpointFailed, and ValueError for neither."""
        if not isinstance(event, dict):
            raise ValueError("not an object")
        if event.get("error") or event.get("object") == "error":
            raise _failure(event.get("error") or event)
        choices = event.get("choices") or []
        if not isinstance(choices, list):
            raise ValueError("choices is not a list")
        self._strange = "choices" not in event and self._strange is not False
        self._used = event.get("usage") or self._used
        parts: list[str | Thinking] = []
        for choice in choices[:1]:  # only one was asked for
            parts += self._choice(choice)
        return parts

    def finish(self) -> list[str | ToolCall]:
        """Nothing more comes: what is left to be said, and the tools that are asked for.

        Raises NoReply when it is nothing, or where a filter cut it off.

        Raises ValueError when no object belonged to a chat completion.
        """
        if self._strange:
            raise ValueError("no chat completion")
        rest = self._heard(self.spoken.finish())
        if self.finish_reason == "content_filter":
            raise NoReply("The language model's provider has stopped the reply by its content filter.")
        calls = self._calls.finish() if self._tools else []
        if not self._said and not rest and not calls:
            raise NoReply(self._why_nothing())
        return [*rest, *calls]

    def usage(self) -> Usage | None:
        """What the endpoint says was used, and whether the reply was cut; None where it says neither."""
        used = self._used if isinstance(self._used, dict) else {}
        cut = self.finish_reason == "length"
        if not used and not cut:
            return None
        details = used.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, dict) else 0
        return Usage(_count(used.get("prompt_tokens")), _count(used.get("completion_tokens")), _count(cached), cut)

    def _choice(self, choice: Any) -> list[str | Thinking]:
        if not isinstance(choice, dict):
            raise ValueError("a choice is not an object")
        self.finish_reason = str(choice.get("finish_reason") or self.finish_reason)
        body = choice.get("delta") or choice.get("message") or {}
        if not isinstance(body, dict):
            raise ValueError("a delta is not an object")
        parts: list[str | Thinking] = []
        if any(body.get(name) for name in _REASONING):
            parts += self._think()
        if body.get("tool_calls"):
            self._calls.add(body["tool_calls"])
            parts.append(Thinking())
        if body.get("function_call"):
            self._calls.add_function(body["function_call"])
            parts.append(Thinking())
        for text in (body.get("content"), body.get("refusal")):
            parts += self._content(text)
        return parts

    def _content(self, content: Any) -> list[str | Thinking]:
        """Text, or a list of pieces, some of which may be reasoning."""
        if not content:
            return []
        if isinstance(content, str):
            said = self._heard(self.spoken.add(content))
            return [*said] or self._think(self.spoken.thinking)
        if not isinstance(content, list):
            raise ValueError("content is neither text nor a list")
        parts: list[str | Thinking] = []
        for piece in content:
            text = piece.get("text") if isinstance(piece, dict) and piece.get("type") == "text" else piece
            parts += self._content(text) if isinstance(text, str) else self._think()
        return parts

    def _heard(self, text: str) -> list[str]:
        self._said = self._said or bool(text.strip())
        return [text] if text else []

    def _think(self, thought: bool = True) -> list[str | Thinking]:
        self._thought = self._thought or thought
        return [Thinking()]

    def _why_nothing(self) -> str:
        if self._calls:
            return "The language model asked for a tool, of which there is none here, and said nothing."
        if self.finish_reason == "length":
            return "The language model used up the length of its reply (llm.openai.max_tokens) without a word."
        if self._thought:
            return "The language model thought and said nothing."
        return "The language model's reply is empty."


def _count(number: Any) -> int:
    return number if isinstance(number, int) and not isinstance(number, bool) and number > 0 else 0


def _failure(error: Any) -> EndpointFailed:
    """An endpoint's own account; some give an object, some a sentence."""
    if not isinstance(error, dict):
        return EndpointFailed(str(error), "")
    said = error.get("message")
    kind = error.get("code") or error.get("type") or ""
    return EndpointFailed(str(said or ""), str(kind))
