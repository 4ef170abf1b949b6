"""A real small language model calls tools: llama.cpp writes the arguments under a grammar, token by token.

The model is too small to know that it wants a tool, and its template has no words for one; so whoever stands between
asks it for the arguments of the first tool that is offered, as a server does that is told ``tool_choice: required``,
and passes them on as they are generated. What the model says then is its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import pytest
from tests.integration.weights import fetched

from parley.bench.stack import free_port
from parley.llm import LlmSettings, OpenAiSettings, create_language_model
from parley.messages import Interrupt, ReplyEnded, TextInput, ToolUpdate
from parley.testing.conversation import conversation
from parley.testing.llama_server import running_llama
from parley.tools import Toolbox, tool

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

pytest.importorskip("xllamacpp", reason="llama.cpp's Python package is not installed")

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@contextlib.contextmanager
def under_a_grammar(endpoint: str) -> Generator[tuple[str, list[Any]], None, None]:
    """An endpoint that lets ``endpoint`` write calls, and all bodies that it was sent."""
    target, bodies = urlsplit(endpoint), list[Any]()

    class Between(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            bodies.append(json.loads(json.dumps(body)))
            offered = body.pop("tools", None)
            function = offered[0]["function"] if offered and body["messages"][-1]["role"] == "user" else None
            body["messages"] = [_plain(message) for message in body["messages"]]
            if function is not None:
                schema = {"name": function["name"], "schema": function["parameters"]}
                body["response_format"] = {"type": "json_schema", "json_schema": schema}
            connection = http.client.HTTPConnection(target.netloc, timeout=60)
            with contextlib.closing(connection), contextlib.suppress(OSError):  # who asked may hang up
                connection.request("POST", self.path, json.dumps(body), {"Content-Type": "application/json"})
                self._pass_on(connection.getresponse(), function)

        def _pass_on(self, answer: http.client.HTTPResponse, function: Any) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            for number, line in enumerate(answer):
                self.wfile.write(line if function is None else _as_call(line, number, function["name"]))
                self.wfile.flush()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Between)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{target.path}", bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    """Calls and results in words that the template has."""
    if message["role"] == "tool":
        return {"role": "user", "content": f"The tool says: {message['content']} Tell me that."}
    calls = ", ".join(call["function"]["name"] for call in message.get("tool_calls", ()))
    return {"role": message["role"], "content": message["content"] or f"I call {calls}."}


def _as_call(line: bytes, number: int, name: str) -> bytes:
    if not line.startswith(b"data: {"):
        return line
    event = json.loads(line[6:])
    for choice in event["choices"]:
        piece: dict[str, Any] = {"index": 0, "function": {"arguments": choice["delta"].pop("content", None) or ""}}
        if number == 0:
            piece |= {"id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}
        choice["delta"] = {"tool_calls": [piece]}
    return b"data: " + json.dumps(event).encode() + b"\n"


@pytest.fixture(scope="module")
def weights() -> Path:
    return fetched("smollm2-135m") / "llm" / "smollm2-135m" / "model.gguf"


@pytest.fixture(scope="module")
def mind(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[str, list[Any]], None, None]:
    log = tmp_path_factory.mktemp("llama") / "llama.log"
    with running_llama(weights, free_port(), log) as address, under_a_grammar(address) as grammar:
        yield grammar


class Garden:
    """Reports the weather, when it is let."""

    def __init__(self, effect: Literal["read", "write"]) -> None:
        self.asked: list[str] = []
        self.gate = asyncio.Event()

        @tool(effect=effect, timeout=30)
        async def weather(city: Literal["Rome", "Paris", "Oslo"]) -> str:
            """What the weather is in a city."""
            self.asked.append(city)
            await self.gate.wait()
            return f"It is raining frogs in {city}."

        self.box = Toolbox([weather])


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("interrupted", [False, True], ids=["heard out", "interrupted at work"])
async def test_a_real_model_calls_a_tool_and_speaks_of_its_result(
    mind: tuple[str, list[Any]], interrupted: bool
) -> None:
    address, bodies = mind
    garden = Garden("write" if interrupted else "read")
    options = OpenAiSettings(base_url=address, model="m", temperature=0, max_tokens=60)
    model = create_language_model(LlmSettings(engine="openai", openai=options))
    async with conversation(language_model=model, tools=garden.box, alone=False) as talk:  # type: ignore[arg-type]
        talk.say(TextInput("What is the weather in Rome?"))
        await until(lambda: garden.asked)
        assert garden.asked == ["Rome"]
        if interrupted:
            talk.say(Interrupt())
            await until(lambda: any(update.state == "left" for update in talk.of(ToolUpdate)))
        garden.gate.set()
        await until(lambda: any(update.state == "done" for update in talk.of(ToolUpdate)))
        if interrupted:
            talk.say(TextInput("And what is it in Paris?"))
            await until(lambda: len(garden.asked) == 2)
        await until(lambda: talk.of(ReplyEnded))
        told = [message for message in bodies[-1]["messages"] if message["role"] == "tool"]
        assert told[0]["content"] == "It is raining frogs in Rome." or interrupted
        assert "It is raining frogs in Rome." in [message["content"] for message in told]
        assert len(talk.of(ReplyEnded)[0].text.split()) > 2
    await model.aclose()
    await garden.box.aclose()
