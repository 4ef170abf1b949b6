"""The example's tools, in a conversation: read, done once, asked for first, and told when it is over."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.session.tool_bench import Caller

from parley.messages import ReplyEnded, TextInput
from parley.session.decide import outcomes
from parley.testing.conversation import conversation
from parley.testing.virtual_time import run_virtual
from parley.tools import ToolSettings, create_tools
from parley.values import ChatMessage, ReplyPart, ToolCall

EXAMPLE = Path(__file__).parents[3] / "examples" / "tools"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    yield
    sys.modules.pop("my_house", None)


def obey(history: Sequence[ChatMessage]) -> Sequence[ReplyPart]:
    """Call what is asked for by name, and say what comes back."""
    last = history[-1]
    if last.role == "tool":
        return ["Shall I?" if last.text == outcomes.ASK_FIRST else last.text]
    words = next(m.text for m in reversed(history) if m.role == "user" and not m.text.startswith("yes")).split(" ", 1)
    arguments = words[1] if len(words) > 1 else "{}"
    return [ToolCall(f"c{len(history)}", words[0], arguments)]


def test_the_house_does_what_it_is_told_and_asks_where_it_must() -> None:
    async def talk_about_it() -> list[str]:
        tools = create_tools(ToolSettings(python=("my_house",)), script=False)
        async with conversation(language_model=Caller(obey), tools=tools) as talk:  # type: ignore[arg-type]
            asked = (
                "switch_lamp " + json.dumps({"room": "kitchen", "on": True}), "lamp_states", "open_door", "yes please",
                "wash " + json.dumps({"minutes": 1}),
            )  # fmt: skip
            for number, text in enumerate(asked, 1):
                talk.say(TextInput(text))
                await talk.heard_out(number)
            await talk.heard_out(len(asked) + 1)
            return [ended.text for ended in talk.of(ReplyEnded)]

    assert run_virtual(talk_about_it()) == [
        "The lamp in the kitchen is on now.",
        '{"kitchen":true,"bedroom":false}',
        "Shall I?",
        "The front door is open.",
        outcomes.BEGUN,
        "The laundry is done.",
    ]
