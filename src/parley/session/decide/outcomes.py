"""What a model is told of calls that have no answer of their own (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley.values import ToolInfo

BEGUN = "It has begun and runs on; the result will be told when it is there. Say that you are on it."
ASK_FIRST = (
    "Not done: the participant has to agree first. Ask them now, and name what will be done. When they have agreed, "
    "call the tool again with the same arguments."
)
NEVER_BEGUN = "Not done: the participant went on before it was begun."
CUT = "Cancelled before there was a result, because the participant went on."
ENDED = "The conversation ended before there was a result. It is not known whether it was done."
NO_ANSWER = "No result came. It is not known whether it was done."
PERHAPS_DONE = " It is not known whether it was done; do not simply call it again."
TOO_MANY = "Not done: this answer has called too many tools. Answer with what there is."
TOO_MANY_AT_ONCE = "Not done: too many calls are at work already. Try again when some of them are done."
NO_MORE = "The language model asked for tools again and again and never answered."


def no_such_tool(name: str, offered: Sequence[ToolInfo]) -> str:
    """Its name, and those that there are."""
    known = ", ".join(tool.name for tool in offered)
    return f'There is no tool "{name[:64]}"; there are {known}.' if known else f'There is no tool "{name[:64]}".'


def bounded(output: str, limit: int) -> str:
    """The first ``limit`` characters, and how much is missing."""
    if len(output) <= limit:
        return output or "(no output)"
    return f"{output[:limit]} (cut off: {limit} of {len(output)} characters)"
