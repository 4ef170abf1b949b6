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
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import pytest
from tests.integration.weights import fetched

from parley.bench.stack import free_port
from parley.errors import InvalidRequest
from parley.llm import LlmSettings, OpenAiSettings, create_language_model
from parley.messages import Interrupt, ReplyEnded, ReplyStarted, TextInput, ToolUpdate
from parley.session.decide import outcomes
from parley.testing.conversation import Conversation, conversation
from parley.testing.llama_server import running_llama
from parley.tools import Toolbox, tool

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

pytest.importorskip("xllamacpp", reason="llama.cpp's Python package is not installed")

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@dataclass
class Mind:
    """Where a model is asked, all that it was asked, and where its next answer stops until it is let go."""

    address: str = ""
    bodies: list[Any] = field(default_factory=list)
    stop: str = ""
    """``asked``: before the first word, ``arguments``: amid those of a call, ``told``: before it speaks of a result."""
    stopped: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)

    def stop_at(self, stop: str) -> None:
        self.stop = stop
        self.stopped.clear()
        self.go.clear()

    def reach(self, place: str) -> None:
        """Whoever answers is here; it goes on once it is let."""
        if self.stop == place:
            self.stop = ""
            self.stopped.set()
            self.go.wait(60)


_SOME = 4
"""Pieces of a call after which it is amid its arguments."""


@contextlib.contextmanager
def under_a_grammar(endpoint: str) -> Generator[Mind, None, None]:
    """An endpoint that lets ``endpoint`` write calls."""
    target, mind = urlsplit(endpoint), Mind()

    class Between(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            mind.bodies.append(json.loads(json.dumps(body)))
            mind.reach("told" if body["messages"][-1]["role"] == "tool" else "asked")
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
                if function is not None and number == _SOME:
                    mind.reach("arguments")
                self.wfile.write(line if function is None else _as_call(line, number, function["name"]))
                self.wfile.flush()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Between)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        mind.address = f"http://127.0.0.1:{server.server_port}{target.path}"
        yield mind
    finally:
        mind.go.set()
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
def mind(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Mind, None, None]:
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
async def test_a_real_model_calls_a_tool_and_speaks_of_its_result(mind: Mind, interrupted: bool) -> None:
    garden = Garden("write" if interrupted else "read")
    options = OpenAiSettings(base_url=mind.address, model="m", temperature=0, max_tokens=60)
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
        told = [message for message in mind.bodies[-1]["messages"] if message["role"] == "tool"]
        assert told[0]["content"] == "It is raining frogs in Rome." or interrupted
        assert "It is raining frogs in Rome." in [message["content"] for message in told]
        assert len(talk.of(ReplyEnded)[0].text.split()) > 2
    await model.aclose()
    await garden.box.aclose()


# --- an interruption in each state of a call ------------------------------------------------


@dataclass(frozen=True)
class Cut:
    """When the participant cuts in, and what is true of the call then, and afterwards."""

    contract: dict[str, Any]
    when: Callable[[Conversation, Weather], bool]
    states: list[str]
    """Of the first call, as the client was told."""
    calls: int
    """How often the tool was really begun until the next turn was answered."""
    told: str
    """What the model is told of the first call then; empty where it never called."""
    fails: bool = False
    stop: str = ""
    """Where the model stops until then."""


class Weather(Garden):
    """The same, under any contract."""

    def __init__(self, *, fails: bool, contract: dict[str, Any]) -> None:
        super().__init__("read")
        gate, asked = self.gate, self.asked

        @tool(timeout=30, **contract)
        async def weather(city: Literal["Rome", "Paris", "Oslo"]) -> str:
            """What the weather is in a city."""
            asked.append(city)
            await gate.wait()
            if fails:
                raise InvalidRequest("The sky is closed.")
            return f"It is raining frogs in {city}."

        self.box = Toolbox([weather])


def states(talk: Conversation) -> list[str]:
    updates = talk.of(ToolUpdate)
    return [update.state for update in updates if update.call_id == updates[0].call_id and update.turn == 1]


def at_work(talk: Conversation, weather: Weather) -> bool:
    return bool(weather.asked)


def over(talk: Conversation, weather: Weather) -> bool:
    """It has come to an end, and the reply that tells of it sounds."""
    weather.gate.set()
    return bool(talk.of(ReplyStarted)) and bool(states(talk)) and states(talk)[-1] in ("done", "failed", "unconfirmed")


FROGS = "It is raining frogs in Rome."
CUTS = {
    "asked": Cut({"effect": "read"}, lambda talk, weather: True, [], 1, "", stop="asked"),
    "written": Cut({"effect": "read"}, lambda talk, weather: True, [], 1, "", stop="arguments"),
    "running, reads": Cut({"effect": "read"}, at_work, ["running", "cancelled"], 2, outcomes.CUT),
    "running, writes": Cut({"effect": "write"}, at_work, ["running", "left", "done"], 2, FROGS),
    "done, told": Cut({"effect": "read"}, lambda talk, weather: True, ["running", "done"], 2, FROGS, stop="told"),
    "left": Cut({"background": True}, at_work, ["left", "done"], 2, FROGS),
    "done": Cut({"effect": "read"}, over, ["running", "done"], 2, FROGS),
    "failed": Cut({"effect": "read"}, over, ["running", "failed"], 2, "The sky is closed.", fails=True),
    "unconfirmed": Cut({"confirm": True}, over, ["unconfirmed"], 0, outcomes.ASK_FIRST),
}


@pytest.mark.parametrize("state", CUTS)
async def test_an_interruption_in_each_state_of_a_call_leaves_the_truth(mind: Mind, state: str) -> None:
    cut = CUTS[state]
    weather = Weather(fails=cut.fails, contract=cut.contract)
    options = OpenAiSettings(base_url=mind.address, model="m", temperature=0, max_tokens=30)
    model = create_language_model(LlmSettings(engine="openai", openai=options))
    sent, bodies = len(mind.bodies), mind.bodies
    mind.stop_at(cut.stop)
    async with conversation(language_model=model, tools=weather.box, alone=False) as talk:  # type: ignore[arg-type]
        if cut.stop == "told":
            weather.gate.set()
        talk.say(TextInput("What is the weather in Rome?"))
        await until(lambda: len(bodies) > sent and cut.when(talk, weather) and (not cut.stop or mind.stopped.is_set()))
        talk.say(Interrupt())
        await until(lambda: any(event == "interrupted" for event, _ in talk.states()))
        mind.go.set()
        await until(lambda: not talk.of(ReplyStarted) or talk.of(ReplyEnded))
        weather.gate.set()
        await until(lambda: not cut.states or states(talk) == cut.states)
        before = len(bodies)
        talk.say(TextInput("yes, and what is it in Paris?"))
        await until(lambda: any(end.outcome == "finished" for end in talk.of(ReplyEnded)))
        await until(lambda: len(bodies) > before + 1 and len(weather.asked) >= cut.calls)
        told = [message for message in bodies[-1]["messages"] if message["role"] == "tool"]
        assert states(talk) == cut.states if cut.states else not weather.asked[1:]
        assert len(weather.asked) == cut.calls
        assert told[0]["content"] == (cut.told or told[0]["content"])
        assert len(told) >= (2 if cut.told else 1)
    await model.aclose()
    await weather.box.aclose()
