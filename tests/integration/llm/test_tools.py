"""Tools with a chat endpoint that streams calls as real ones do, and an interruption in each state of a call.

What happened is judged by what the endpoint is told next.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.llm.test_openai import Endpoint, endpoint, send_delta, send_head

from parley.conversation.telling import NO_RESULT_YET
from parley.llm import LlmSettings, OpenAiSettings, create_language_model
from parley.messages import Interrupt, ReplyEnded, ReplyStarted, TextInput, ToolUpdate
from parley.session.decide import outcomes
from parley.testing.conversation import Conversation, conversation
from parley.tools import Toolbox, tool

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_tasks_left")]


async def send_calls(writer: asyncio.StreamWriter, *pieces: dict[str, Any]) -> None:
    for piece in pieces:
        event = {"choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]}
        writer.write(f"data: {json.dumps(event)}\n\n".encode())
        await writer.drain()


def begun(index: int, name: str, arguments: str = "") -> dict[str, Any]:
    return {"index": index, "id": f"call_{name}", "type": "function",
            "function": {"name": name, "arguments": arguments}}  # fmt: skip


def asked(name: str, arguments: str) -> dict[str, Any]:
    return {"id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": arguments}}


def more(index: int, arguments: str) -> dict[str, Any]:
    return {"index": index, "function": {"arguments": arguments}}


class House:
    """A tool that reads and one that writes, which work until they are let go."""

    def __init__(self) -> None:
        self.looked: list[str] = []
        self.booked: list[str] = []
        self.gate = asyncio.Event()
        self.cut = 0

        @tool(effect="read")
        async def look(city: str) -> str:
            """What the weather is."""
            self.looked.append(city)
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cut += 1
                raise
            return f"Sunny in {city}."

        @tool
        async def book(guests: int) -> str:
            """Book a table."""
            self.booked.append(str(guests))
            await self.gate.wait()
            return f"Booked for {guests}."

        self.box = Toolbox([look, book])


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)


def told(body: dict[str, Any]) -> list[tuple[str, str]]:
    return [(message["role"], message.get("content") or "") for message in body["messages"]]


def calls_are_answered(messages: Sequence[dict[str, Any]]) -> bool:
    """Each call is followed by its result, as strict endpoints want it."""
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            if not waiting or waiting.pop(0) != message["tool_call_id"]:
                return False
        elif waiting:
            return False
        else:
            waiting = [call["id"] for call in message.get("tool_calls", ())]
    return not waiting


async def test_parallel_calls_in_pieces_are_made_and_their_results_told() -> None:
    house = House()
    house.gate.set()

    async def behave(it: Endpoint, writer: asyncio.StreamWriter) -> None:
        await send_head(writer)
        if len(it.bodies) == 1:
            await send_delta(writer, "Let me see. ")
            await send_calls(writer, begun(0, "look"), more(0, '{"ci'), begun(1, "book"), more(0, 'ty": "Rome"}'),
                             more(1, '{"guests"'), more(1, ": 4}"))  # fmt: skip
        else:
            await send_delta(writer, "Sunny, and booked.")
        writer.write(b"data: [DONE]\n\n")
        writer.close()

    async with endpoint(behave) as it, talking(it, house) as talk:
        talk.say(TextInput("Hello"))
        await talk.heard_out()
        assert (house.looked, house.booked) == (["Rome"], ["4"])
        assert talk.of(ReplyEnded)[0].text == "Let me see. Sunny, and booked."
        offered = it.bodies[0]["tools"][0]["function"]
        assert (offered["name"], offered["description"]) == ("look", "What the weather is.")
        assert offered["parameters"]["properties"]["city"] == {"type": "string"}
        assert it.bodies[1]["messages"][-3:] == [
            {
                "role": "assistant",
                "content": "Let me see. ",
                "tool_calls": [asked("look", '{"city": "Rome"}'), asked("book", '{"guests": 4}')],
            },
            {"role": "tool", "tool_call_id": "call_look", "content": "Sunny in Rome."},
            {"role": "tool", "tool_call_id": "call_book", "content": "Booked for 4."},
        ]


async def test_broken_json_is_told_and_the_next_call_is_made() -> None:
    house = House()
    house.gate.set()

    async def behave(it: Endpoint, writer: asyncio.StreamWriter) -> None:
        await send_head(writer)
        if len(it.bodies) == 1:
            await send_calls(writer, begun(0, "book", '{"guests": '))
        elif len(it.bodies) == 2:
            await send_calls(writer, {**begun(0, "book", '{"guests": 2}'), "id": "again"})
        else:
            await send_delta(writer, "Booked.")
        writer.write(b"data: [DONE]\n\n")
        writer.close()

    async with endpoint(behave) as it, talking(it, house) as talk:
        talk.say(TextInput("Hello"))
        await talk.heard_out()
        assert "not valid JSON" in told(it.bodies[1])[-1][1]
        sent = it.bodies[1]["messages"][-2]["tool_calls"][0]["function"]["arguments"]
        assert json.loads(sent) == {"malformed": '{"guests": '}
        assert house.booked == ["2"]


def talking(it: Endpoint, house: House) -> Any:
    model = create_language_model(LlmSettings(engine="openai", openai=OpenAiSettings(base_url=it.base_url)))
    return _closing(conversation(language_model=model, tools=house.box, alone=False), model, house)  # type: ignore[arg-type]


class _closing:
    """A conversation, and what it was made of, closed behind it."""

    def __init__(self, talk: Any, model: Any, house: House) -> None:
        self._talk, self._model, self._house = talk, model, house

    async def __aenter__(self) -> Conversation:
        talk: Conversation = await self._talk.__aenter__()
        return talk

    async def __aexit__(self, *error: object) -> None:
        self._house.gate.set()
        await self._talk.__aexit__(*error)
        await self._model.aclose()
        await self._house.box.aclose()


STATES = ("asked in part", "at work", "answered", "being spoken", "spoken")


@pytest.mark.parametrize("name", ["look", "book"])
@pytest.mark.parametrize("state", STATES)
async def test_an_interruption_in_each_state_of_a_call_is_told_truly(state: str, name: str) -> None:
    house, reached = House(), asyncio.Event()
    whole = '{"city": "Rome"}' if name == "look" else '{"guests": 4}'

    async def behave(it: Endpoint, writer: asyncio.StreamWriter) -> None:
        await send_head(writer)
        if len(it.bodies) == 1:
            await send_calls(writer, begun(0, name), more(0, whole[:6]))
            if state == "asked in part":
                reached.set()
                await asyncio.get_running_loop().create_future()
            await send_calls(writer, more(0, whole[6:]))
        elif it.bodies[-1]["messages"][-1]["role"] == "tool":
            if state == "answered":
                reached.set()
                await asyncio.get_running_loop().create_future()
            await send_delta(writer, "It is done, and I could tell you a lot more about how that came to be. ")
        else:
            await send_delta(writer, "All right.")
        writer.write(b"data: [DONE]\n\n")
        writer.close()

    async with endpoint(behave) as it, talking(it, house) as talk:
        talk.say(TextInput("Please do it"))
        if state == "asked in part":
            await asyncio.wait_for(reached.wait(), 20)
        else:
            await until(lambda: house.looked + house.booked)
        if state not in ("asked in part", "at work"):
            house.gate.set()
        if state == "answered":
            await asyncio.wait_for(reached.wait(), 20)
        if state == "being spoken":
            await until(lambda: talk.of(ReplyStarted))
        if state == "spoken":
            await talk.heard_out()
        talk.say(Interrupt())
        before = len(it.bodies)
        talk.say(TextInput("What became of it"))
        await until(lambda: len(it.bodies) > before)
        messages = it.bodies[before]["messages"]
        assert calls_are_answered(messages)
        results = [message["content"] for message in messages if message["role"] == "tool"]
        done = "Sunny in Rome." if name == "look" else "Booked for 4."
        expected = {
            "asked in part": [],
            "at work": [outcomes.CUT if name == "look" else NO_RESULT_YET],
        }.get(state, [done])
        assert results == expected
        assert (house.cut, len(house.looked + house.booked)) == (
            int(state == "at work" and name == "look"),
            int(state != "asked in part"),
        )
        if (state, name) == ("at work", "book"):  # it goes on, and the next reply knows
            house.gate.set()
            await until(lambda: any(update.state == "done" for update in talk.of(ToolUpdate)))
            before = len(it.bodies)
            talk.say(TextInput("And now"))
            await until(lambda: len(it.bodies) > before)
            assert calls_are_answered(it.bodies[before]["messages"])
            assert "Booked for 4." in [text for role, text in told(it.bodies[before]) if role == "tool"]
        assert house.booked in ([], ["4"])


async def test_an_endpoint_that_dies_behind_a_call_is_apologised_for_and_the_result_is_kept() -> None:
    house = House()
    house.gate.set()

    async def behave(it: Endpoint, writer: asyncio.StreamWriter) -> None:
        if len(it.bodies) == 2:
            writer.close()
            return
        await send_head(writer)
        if len(it.bodies) == 1:
            await send_calls(writer, begun(0, "book", '{"guests": 4}'))
        else:
            await send_delta(writer, "Yes.")
        writer.write(b"data: [DONE]\n\n")
        writer.close()

    async with endpoint(behave) as it, talking(it, house) as talk:
        talk.say(TextInput("Book it"))
        await talk.heard_out()
        assert "cannot think" in talk.of(ReplyEnded)[0].text
        talk.say(TextInput("Did it work"))
        await talk.heard_out(2)
        assert ("tool", "Booked for 4.") in told(it.bodies[2])
        assert house.booked == ["4"]
