"""The example's MCP server, in a conversation: a note is taken once, and all notes are told."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.session.tool_bench import Caller

from parley.config import load_settings
from parley.messages import ReplyEnded, TextInput, ToolUpdate
from parley.testing.conversation import conversation
from parley.tools import create_tools
from parley.values import ChatMessage, ReplyPart, ToolCall

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_tasks_left")]
ROOT = Path(__file__).parents[3]


def obey(history: Sequence[ChatMessage]) -> Sequence[ReplyPart]:
    """Call what is asked for by name, and say what comes back."""
    last = history[-1]
    if last.role == "tool":
        return [last.text]
    name, _, arguments = last.text.partition(" ")
    return [ToolCall(f"c{len(history)}", name, arguments or "{}")]


async def test_the_example_takes_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    settings = load_settings([ROOT / "examples" / "mcp" / "orchestrator.yaml"], environ={})
    tools = create_tools(settings.tools, script=False)
    assert tools is not None
    await tools.start()
    try:
        async with conversation(language_model=Caller(obey), tools=tools, alone=False) as talk:  # type: ignore[arg-type]
            for number, text in enumerate(("bread", "milk"), 1):
                talk.say(TextInput("notes_take_note " + json.dumps({"text": text})))
                await talk.heard_out(number)
            talk.say(TextInput("notes_all_notes"))
            await talk.heard_out(3)
            assert [ended.text for ended in talk.of(ReplyEnded)] == ["Noted: bread", "Noted: milk", "bread\nmilk"]
            assert [update.state for update in talk.of(ToolUpdate)] == ["running", "done"] * 3
    finally:
        await tools.aclose()
