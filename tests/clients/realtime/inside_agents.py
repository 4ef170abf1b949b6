"""OpenAI's Agents SDK for Python against Parley's Realtime endpoint; run by tests/clients/test_realtime.py."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeModelSendInterrupt, RealtimeRunner
from tests.clients.talk import (
    COUNT,
    KEY,
    URL,
    Microphone,
    alike,
    asked,
    check_heard,
    check_taken,
    line,
    microphone,
    realtime,
    roles,
    told_after_a_nod,
    until,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agents.realtime import RealtimeSession

WRITTEN = "conversation.item.input_audio_transcription.completed"

pytestmark = pytest.mark.anyio


@function_tool
def weather(city: str) -> str:
    """How the weather is."""
    return f"sunny in {city}"


booked: list[str] = []


@function_tool(needs_approval=True)
def book(city: str) -> str:
    """Book a room."""
    booked.append(city)
    return f"a room in {city}"


class Talk:
    """A session whose events are kept."""

    def __init__(self, session: RealtimeSession) -> None:
        self.session = session
        self.events: list[Any] = []
        self.microphone: Microphone = Microphone()
        self.broken: Exception | None = None

    async def listen(self) -> None:
        try:
            async for event in self.session:
                self.events.append(event)
        except Exception as error:  # whichever the SDK raises
            self.broken = error

    def of(self, kind: str) -> list[Any]:
        return [event for event in self.events if event.type == kind]

    def raw(self, kind: str) -> list[dict[str, Any]]:
        """Events of the server, as they came."""
        raw = [event.data.data for event in self.of("raw_model_event") if event.data.type == "raw_server_event"]
        return [event for event in raw if event["type"] == kind]

    def audio(self) -> float:
        """Seconds of sound so far."""
        return sum(len(event.audio.data) for event in self.of("audio")) / 48_000


@contextlib.asynccontextmanager
async def talking(url: str = URL, tool: Any = weather) -> AsyncIterator[Talk]:
    agent = RealtimeAgent(name="Assistant", instructions="Be brief.", tools=[tool])
    session = await RealtimeRunner(agent).run(model_config={"api_key": KEY, "url": realtime(url=url)})
    async with session:
        talk = Talk(session)
        listening = asyncio.create_task(talk.listen())
        try:
            async with microphone(session.send_audio) as talk.microphone:
                yield talk
            assert talk.of("error") == []
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def test_a_typed_turn_is_answered_in_words_and_sound() -> None:
    async with talking() as talk:
        await talk.session.send_message("Good morning")
        await until(lambda: talk.raw("response.done"))
        (done,) = talk.raw("response.done")
        assert done["response"]["status"] == "completed"
        assert done["response"]["output"][0]["content"][0]["transcript"].strip() == "You said: Good morning."
        assert talk.audio() > 0.5
    assert roles(asked()[-1]) == [("user", "Good morning")]
    assert "Be brief." in str(asked()[-1]["messages"][0])


async def test_the_model_is_told_the_words_that_the_client_is_told() -> None:
    async with talking() as talk:
        await talk.microphone.say("question")
        await until(lambda: talk.raw("response.done") and talk.raw(WRITTEN))
        heard = talk.raw(WRITTEN)[0]["transcript"].strip()
    ((role, told),) = roles(asked()[-1])
    assert role == "user"
    assert alike(told, heard)


async def test_a_function_is_called_and_its_result_is_said() -> None:
    async with talking() as talk:
        await talk.session.send_message("Use the tool, please")
        await until(lambda: len(talk.raw("response.done")) == 2)
        assert [event.tool.name for event in talk.of("tool_end")] == ["weather"]
        said = talk.raw("response.done")[-1]["response"]["output"][0]["content"][0]["transcript"]
    assert said.strip() == "The answer is sunny in Rome."
    assert [role for role, _ in roles(asked()[-1])] == ["user", "assistant", "tool"]


@pytest.mark.parametrize("approve", [True, False])
async def test_a_tool_that_needs_approval_waits_for_it(approve: bool) -> None:
    booked.clear()
    async with talking(tool=book) as talk:
        await talk.session.send_message("Use the tool, please")
        await until(lambda: talk.of("tool_approval_required") and talk.raw("response.done"))
        (request,) = talk.of("tool_approval_required")
        assert (request.tool.name, booked, talk.of("tool_end")) == ("book", [], [])
        await (talk.session.approve_tool_call if approve else talk.session.reject_tool_call)(request.call_id)
        await until(lambda: len(talk.raw("response.done")) == 2)
        said = talk.raw("response.done")[-1]["response"]["output"][0]["content"][0]["transcript"].strip()
    assert booked == (["Rome"] if approve else [])
    *_, (role, told) = roles(asked()[-1])
    assert (role, told == "a room in Rome") == ("tool", approve)
    assert said == f"The answer is {told}."


async def test_who_takes_the_floor_is_told_to_the_model_with_the_words_that_were_heard() -> None:
    async with talking() as talk:
        await talk.session.send_message("Tell me a story")
        await until(lambda: talk.audio() > 1.0)
        await asyncio.sleep(2.5)  # as long as somebody listens
        await talk.microphone.say("interruption")
        await until(lambda: talk.of("audio_interrupted"))
        await until(lambda: len(talk.raw("response.done")) >= 2)
    check_taken(roles(asked()[-1]))


async def test_a_nod_does_not_end_the_reply_and_the_model_is_told_all_of_it() -> None:
    async with talking() as talk:
        await talk.session.send_message(COUNT)
        await until(lambda: talk.audio() > 0.5)
        await talk.microphone.say("nod")
        await until(lambda: talk.raw("response.done"))
        assert talk.raw("response.done")[0]["response"]["status"] == "completed"
        assert talk.of("audio_interrupted") == []
        await talk.session.send_message("Good morning")
        await until(lambda: len(talk.raw("response.done")) == 2)
    assert roles(asked()[-1]) == told_after_a_nod("Good morning")


async def test_a_reply_that_is_truncated_by_the_program_is_told_to_the_model_as_far_as_it_was_played() -> None:
    async with talking() as talk:
        await talk.session.send_message("Tell me a story")
        await until(lambda: talk.audio() > 3.0)
        await talk.session.model.send_event(RealtimeModelSendInterrupt(force_response_cancel=True))
        await until(lambda: talk.raw("response.done"))
        await talk.session.send_message("Go on")
        await until(lambda: len(talk.raw("response.done")) == 2)
    (_, _), (role, heard), *_ = roles(asked()[-1])
    assert role == "assistant"
    check_heard(heard, 3, 30)


async def test_after_a_connection_that_broke_the_program_is_told_and_another_one_serves() -> None:
    async with line() as cut:
        async with talking(cut.url) as talk:
            await talk.session.send_message("Tell me a story")
            await until(lambda: talk.audio() > 0.5)
            cut.cut()
            await until(lambda: talk.broken is not None)
        async with talking(cut.url) as talk:
            await talk.session.send_message("Good morning")
            await until(lambda: talk.raw("response.done"))
    assert roles(asked()[-1]) == [("user", "Good morning")]


async def test_a_model_that_fails_ends_the_response_and_not_the_session() -> None:
    async with talking() as talk:
        await talk.session.send_message("Please fail")
        await until(lambda: talk.raw("response.done"))
        assert talk.raw("response.done")[0]["response"]["status"] == "failed"
        await talk.session.send_message("Good morning")
        await until(lambda: len(talk.raw("response.done")) == 2)
        assert talk.raw("response.done")[1]["response"]["status"] == "completed"
    told = roles(asked()[-1])
    assert (told[0], told[-1]) == (("user", "Please fail"), ("user", "Good morning"))


def test_the_example_writes_what_is_said() -> None:
    example = Path(__file__).parents[3] / "examples" / "openai_realtime" / "agents_sdk.py"
    environ = {**os.environ, "PARLEY_URL": URL, "PARLEY_API_KEY": KEY}
    command = [sys.executable, str(example), "Good morning"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=200, check=False)
    assert done.stdout.strip() == "You said: Good morning.", done.stderr
