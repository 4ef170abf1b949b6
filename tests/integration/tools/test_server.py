"""Tools in a running Parley: a settings file, a real voice, a tool that takes longer than a worker is used to wait."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.people import running, talking

from parley.messages import ReplyEnded, ToolUpdate

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

pytestmark = pytest.mark.anyio

TAKES = 11.0
"""Seconds: longer than any wait inside a worker or a pool."""
MODULE = f'''
import asyncio

from parley.tools import tool


@tool(timeout=30, filler_after=1.0)
async def bake(what: str) -> str:
    """Bake something."""
    await asyncio.sleep({TAKES})
    return f"The {{what}} is ready."
'''


class Baker(BaseHTTPRequestHandler):
    """A chat endpoint that has something baked, and says what became of it."""

    def do_POST(self) -> None:
        messages = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"]
        last: dict[str, Any] = messages[-1]
        call = {"index": 0, "id": "c1", "function": {"name": "bake", "arguments": json.dumps({"what": "bread"})}}
        said = {"content": f"Here you are. {last['content']}"}
        deltas = [said] if last["role"] == "tool" else [{"content": "I will bake it. "}, {"tool_calls": [call]}]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for delta in deltas:
            self.wfile.write(b"data: " + json.dumps({"choices": [{"delta": delta}]}).encode() + b"\n\n")

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def endpoint() -> Generator[str, None, None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Baker)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_long_call_is_bridged_by_voice_and_its_result_is_spoken_in_the_same_breath(
    tmp_path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bakery.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with running(tmp_path, "--llm", f"{endpoint}#m", "--set", "tools.python=bakery") as parley:
        async with talking(parley) as participant:
            await participant.type("Bake a bread")
            await participant.next(ToolUpdate, name="bake", state="running")
            await participant.next(ToolUpdate, 60, name="bake", state="done")
            ended = await participant.next(ReplyEnded, 60)
            assert ended.outcome == "finished"
            assert ended.text.startswith("I will bake it. One moment please")
            assert ended.heard_text.endswith("Here you are. The bread is ready.")


async def test_the_built_in_script_has_a_timer_that_speaks_by_itself(tmp_path: Path) -> None:
    with running(tmp_path) as parley:
        async with talking(parley) as participant:
            await participant.type("set a timer for five seconds")
            first = await participant.next(ReplyEnded, 30)
            assert "five seconds" in first.text
            second = await participant.next(ReplyEnded, 30)
            assert second.heard_text == "The timer of five seconds is over."
