"""OpenAI's client for Python against Parley's Realtime endpoint and audio routes; run by test_realtime.py."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import subprocess
import sys
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai
import pytest
from tests.clients.talk import (
    COUNT,
    KEY,
    RATE,
    SOON,
    URL,
    Microphone,
    alike,
    asked,
    check_heard,
    check_taken,
    line,
    microphone,
    roles,
    told_after_a_nod,
    until,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio
EXAMPLES = Path(__file__).parents[3] / "examples"
QUESTION = "What is the weather like today?"
WRITTEN = "conversation.item.input_audio_transcription.completed"
LISTENING = {"type": "realtime", "audio": {"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}}}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"type": "function", "name": "weather", "description": "How the weather is.", "parameters": CITY}


class Talk:
    """A connection whose events are kept."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.events: list[Any] = []
        self.microphone = Microphone()

    def of(self, kind: str) -> list[Any]:
        return [event for event in self.events if event.type == kind]

    @property
    def seconds(self) -> float:
        """Of sound so far."""
        return sum(len(base64.b64decode(event.delta)) for event in self.of("response.output_audio.delta")) / 2 / RATE

    async def listen(self) -> None:
        async for event in self.connection:
            self.events.append(event)

    async def push(self, pcm: bytes) -> None:
        """A piece of the microphone's sound."""
        await self.connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())

    async def tell(self, role: str, text: str) -> None:
        """An entry of the conversation."""
        content = [{"type": "input_text" if role == "user" else "output_text", "text": text}]
        await self.connection.conversation.item.create(item={"type": "message", "role": role, "content": content})

    async def begin(self, text: str) -> None:
        """A typed turn."""
        await self.tell("user", text)
        await self.connection.response.create()

    async def done(self, count: int) -> Any:
        """The so-manieth response, complete."""
        await until(lambda: len(self.of("response.done")) >= count)
        return self.of("response.done")[count - 1].response

    async def ask(self, text: str) -> Any:
        """A typed turn, and the response to it."""
        before = len(self.of("response.done"))
        await self.begin(text)
        return await self.done(before + 1)


@contextlib.asynccontextmanager
async def talking(url: str = URL, **options: Any) -> AsyncIterator[Talk]:
    async with (
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY) as client,
        client.realtime.connect(model="gpt-realtime", **options) as connection,
    ):
        talk = Talk(connection)
        listening = asyncio.create_task(talk.listen())
        try:
            await until(lambda: talk.of("session.created"))
            yield talk
            assert talk.of("error") == []
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


@contextlib.asynccontextmanager
async def speaking() -> AsyncIterator[Talk]:
    """The same with an open microphone."""
    async with talking() as talk, microphone(talk.push) as talk.microphone:
        yield talk


def said(response: Any) -> str:
    return str(response.output[-1].content[0].transcript).strip()


async def test_the_model_is_told_the_words_that_the_client_is_told() -> None:
    async with speaking() as talk:
        await talk.connection.session.update(session=LISTENING)
        await talk.microphone.say("question")
        await until(lambda: talk.of(WRITTEN))
        assert (await talk.done(1)).status == "completed"
        heard = talk.of(WRITTEN)[0].transcript
    ((role, told),) = roles(asked()[-1])
    assert role == "user"
    assert alike(told, heard)


async def test_who_takes_the_floor_is_told_to_the_model_with_the_words_that_were_heard() -> None:
    async with speaking() as talk:
        await talk.begin("Tell me a story")
        await until(lambda: talk.seconds > 3.0)
        await talk.microphone.say("interruption")
        await talk.done(2)
        assert talk.of("response.done")[0].response.status_details.reason == "turn_detected"
        assert len(talk.of("input_audio_buffer.speech_started")) == 1
    check_taken(roles(asked()[-1]))


async def test_a_nod_does_not_end_the_reply_and_the_model_is_told_all_of_it() -> None:
    async with speaking() as talk:
        await talk.begin(COUNT)
        await until(lambda: talk.seconds > 0.5)
        await talk.microphone.say("nod")
        assert (await talk.done(1)).status == "completed"
        assert talk.of("input_audio_buffer.speech_started") == []
        await talk.ask("Good morning")
    assert roles(asked()[-1]) == told_after_a_nod("Good morning")


async def test_a_reply_that_is_truncated_is_told_to_the_model_as_far_as_it_was_played() -> None:
    async with talking() as talk:
        await talk.begin("Tell me a story")
        await until(lambda: talk.seconds > 3.0)
        item = talk.of("response.output_item.added")[0].item.id
        await talk.connection.response.cancel()
        await talk.connection.conversation.item.truncate(item_id=item, content_index=0, audio_end_ms=2_000)
        await until(lambda: talk.of("conversation.item.truncated"))
        await talk.done(1)
        await talk.ask("Go on")
    _, (role, heard), _ = roles(asked()[-1])
    assert role == "assistant"
    check_heard(heard, 3, 12)


async def test_a_function_is_called_and_its_result_is_said() -> None:
    async with talking() as talk:
        await talk.connection.session.update(session={"type": "realtime", "tools": [WEATHER]})
        (call,) = (await talk.ask("Use the tool, please")).output
        assert (call.name, call.arguments) == ("weather", '{"city": "Rome"}')
        item = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny in Rome"}
        await talk.connection.conversation.item.create(item=item)
        await talk.connection.response.create()
        assert said(await talk.done(2)) == "The answer is sunny in Rome."
    assert [role for role, _ in roles(asked()[-1])] == ["user", "assistant", "tool"]
    assert roles(asked()[-1])[-1] == ("tool", "sunny in Rome")


async def test_a_model_that_fails_ends_the_response_what_is_wrong_is_said_and_the_session_lives_on() -> None:
    async with talking() as talk:
        await talk.connection.response.cancel(event_id="mine")
        await until(lambda: talk.of("error"))
        error = talk.of("error")[0].error
        assert (error.code, error.event_id) == ("response_cancel_not_active", "mine")
        talk.events.clear()
        assert (await talk.ask("Please fail")).status == "failed"
        assert (await talk.ask("Good morning")).status == "completed"
    told = roles(asked()[-1])
    assert (told[0], told[-1]) == (("user", "Please fail"), ("user", "Good morning"))


async def test_after_a_connection_that_broke_the_client_makes_another_and_tells_the_model_again() -> None:
    conversation = [("user", "Good morning"), ("assistant", "You said: Good morning."), ("user", "And good night")]
    async with line() as cut, talking(cut.url, on_reconnecting=lambda _: None) as talk:
        await talk.ask("Good morning")
        cut.cut()
        await until(lambda: len(talk.of("session.created")) == 2)
        for role, text in conversation[:2]:
            await talk.tell(role, text)
        assert (await talk.ask("And good night")).status == "completed"
    assert roles(asked()[-1]) == conversation


async def test_a_wrong_key_is_told_as_an_error() -> None:
    async with (
        openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key="wrong") as client,
        client.realtime.connect(model="gpt-realtime") as connection,
    ):
        async with asyncio.timeout(SOON):
            event = await connection.recv()
    assert event.type == "error"
    assert event.error.code == "unauthorized"


def run(*arguments: str, key: str = KEY, fails: bool = False) -> str:
    """What an example says; ``fails``: of what is wrong."""
    environ = {**os.environ, "PARLEY_URL": URL, "PARLEY_API_KEY": key}
    command = [sys.executable, str(EXAMPLES / arguments[0]), *arguments[1:]]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=200, check=False)
    assert (done.returncode != 0) is fails, done.stderr
    return (done.stderr if fails else done.stdout).strip()


def test_the_example_of_a_conversation_reads_the_answer_and_keeps_its_sound(tmp_path: Path) -> None:
    sound = tmp_path / "answer.wav"
    assert run("openai_realtime/main.py", "Good morning", str(sound)) == "You said: Good morning."
    with wave.open(str(sound)) as file:
        assert 0.5 < file.getnframes() / file.getframerate() < 5


def test_the_example_of_voice_and_ears_writes_down_what_it_said(tmp_path: Path) -> None:
    sound = tmp_path / "question.mp3"
    assert alike(run("openai_audio/main.py", QUESTION, str(sound)), QUESTION, 0.6)
    assert sound.stat().st_size > 5_000


def test_the_example_of_a_spoken_question_says_what_was_understood_and_answered() -> None:
    heard, said = run("openai_realtime/ask_aloud.py", os.environ["PARLEY_TEST_FOLDER"] + "/question.wav").splitlines()
    assert alike(heard.removeprefix("You: "), QUESTION, 0.6)
    assert said.startswith("Agent: You said: ")


def test_examples_say_in_a_sentence_what_is_wrong(tmp_path: Path) -> None:
    said = run("openai_realtime/main.py", "Good morning", str(tmp_path / "answer.wav"), key="wrong", fails=True)
    assert "key" in said
    assert "Traceback" not in said
    for example in ("openai_realtime/main.py", "openai_realtime/ask_aloud.py", "openai_audio/main.py"):
        assert f"python examples/{example} " in run(example, fails=True)
