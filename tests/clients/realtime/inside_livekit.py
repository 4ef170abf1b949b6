"""LiveKit's plugin for OpenAI against Parley's Realtime endpoint; run by tests/clients/test_realtime.py."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from livekit import rtc
from livekit.agents import llm
from livekit.plugins import openai
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
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.anyio


@llm.function_tool
async def weather(city: str) -> str:
    """How the weather is."""
    return f"sunny in {city}"


class Talk:
    """A session whose replies are read as an agent reads them."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.events: dict[str, list[Any]] = {}
        self.generations: list[Reply] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.microphone: Microphone = Microphone()
        names = ("input_speech_started", "input_audio_transcription_completed", "error", "session_reconnected")
        for name in names:
            session.on(name, self.events.setdefault(name, []).append)
        session.on("generation_created", self._reply)

    def _reply(self, event: llm.GenerationCreatedEvent) -> None:
        reply = Reply()
        self.generations.append(reply)
        self.tasks.append(asyncio.create_task(reply.read(event)))

    async def ask(self, text: str) -> Reply:
        """A typed turn, and the reply to it, which is on its way."""
        context = self.session.chat_ctx.copy()
        context.add_message(role="user", content=text)
        await self.session.update_chat_ctx(context)
        count = len(self.generations)
        async with asyncio.timeout(SOON):
            await self.session.generate_reply()
        return self.generations[count]

    async def push(self, pcm: bytes) -> None:
        """A piece of the microphone's sound."""
        self.session.push_audio(rtc.AudioFrame(pcm, RATE, 1, len(pcm) // 2))


class Reply:
    """What comes of one."""

    def __init__(self) -> None:
        self.text, self.samples, self.message_id = "", 0, ""
        self.calls: list[llm.FunctionCall] = []
        self.done = False

    @property
    def seconds(self) -> float:
        return self.samples / RATE

    async def read(self, event: llm.GenerationCreatedEvent) -> None:
        async for message in event.message_stream:
            self.message_id = message.message_id
            await asyncio.gather(self._words(message), self._sound(message))
        async for call in event.function_stream:
            self.calls.append(call)
        self.done = True

    async def _words(self, message: llm.MessageGeneration) -> None:
        async for piece in message.text_stream:
            self.text += piece

    async def _sound(self, message: llm.MessageGeneration) -> None:
        async for frame in message.audio_stream:
            self.samples += frame.samples_per_channel


@contextlib.contextmanager
def one_may_fail() -> Iterator[None]:
    """LiveKit reads the outcome of a response that failed nowhere, and the loop says so once it is forgotten."""
    loop = asyncio.get_running_loop()
    usual = loop.get_exception_handler()
    assert usual is not None

    def handle(it: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), llm.RealtimeError):
            usual(it, context)

    loop.set_exception_handler(handle)
    try:
        yield
    finally:
        gc.collect()
        loop.set_exception_handler(usual)


@contextlib.asynccontextmanager
async def talking(url: str = URL, **options: Any) -> AsyncIterator[Talk]:
    async with aiohttp.ClientSession() as http:
        model = openai.realtime.RealtimeModel(base_url=url, api_key=KEY, http_session=http, **options)
        session = model.session()
        talk = Talk(session)
        try:
            await session.update_instructions("Be brief.")
            await session.update_tools([weather])
            async with microphone(talk.push) as talk.microphone:
                yield talk
            assert talk.events["error"] == []
        finally:
            await session.aclose()
            await model.aclose()
            for task in talk.tasks:
                task.cancel()
            await asyncio.gather(*talk.tasks, return_exceptions=True)


async def test_a_typed_turn_is_answered_in_words_and_sound() -> None:
    async with talking() as talk:
        reply = await talk.ask("Good morning")
        await until(lambda: reply.done)
        assert reply.text.strip() == "You said: Good morning."
        assert reply.seconds > 0.5
    assert roles(asked()[-1]) == [("user", "Good morning")]


async def test_the_model_is_told_the_words_that_the_client_is_told() -> None:
    async with talking() as talk:
        await talk.microphone.say("question")
        await until(lambda: talk.generations and talk.generations[0].done)
        await until(lambda: any(event.is_final for event in talk.events["input_audio_transcription_completed"]))
        heard = talk.events["input_audio_transcription_completed"][-1].transcript.strip()
        assert talk.events["input_speech_started"]
    ((role, told),) = roles(asked()[-1])
    assert role == "user"
    assert alike(told, heard)


async def test_a_function_is_called_and_its_result_is_said() -> None:
    async with talking() as talk:
        reply = await talk.ask("Use the tool, please")
        await until(lambda: reply.done)
        (call,) = reply.calls
        assert (call.name, call.arguments) == ("weather", '{"city": "Rome"}')
        context = talk.session.chat_ctx.copy()
        context.items.append(
            llm.FunctionCallOutput(call_id=call.call_id, output="sunny in Rome", is_error=False, name=call.name)
        )
        await talk.session.update_chat_ctx(context)
        async with asyncio.timeout(SOON):
            await talk.session.generate_reply()
        await until(lambda: talk.generations[-1].done)
        assert talk.generations[-1].text.strip() == "The answer is sunny in Rome."
    assert [role for role, _ in roles(asked()[-1])] == ["user", "assistant", "tool"]


async def test_who_takes_the_floor_is_told_to_the_model_with_the_words_that_were_heard() -> None:
    async with talking() as talk:
        reply = await talk.ask("Tell me a story")
        await until(lambda: reply.seconds > 3.0)
        heard_until = int(1000 * reply.seconds)
        await talk.microphone.say("interruption")
        await until(lambda: talk.events["input_speech_started"])
        talk.session.truncate(message_id=reply.message_id, modalities=["audio"], audio_end_ms=heard_until)
        await until(lambda: len(talk.generations) == 2 and talk.generations[1].done)
        assert reply.done
    check_taken(roles(asked()[-1]), most=15)


async def test_a_reply_that_is_truncated_is_told_to_the_model_as_far_as_it_was_played() -> None:
    async with talking() as talk:
        reply = await talk.ask("Tell me a story")
        await until(lambda: reply.seconds > 3.0)
        talk.session.interrupt()
        talk.session.truncate(message_id=reply.message_id, modalities=["audio"], audio_end_ms=2_000)
        await until(lambda: reply.done)
        after = await talk.ask("Go on")
        await until(lambda: after.done)
    told = roles(asked()[-1])
    role, heard = told[1]
    assert role == "assistant"
    check_heard(heard, 3, 12)


async def test_a_nod_does_not_end_the_reply_and_the_model_is_told_all_of_it() -> None:
    async with talking() as talk:
        reply = await talk.ask(COUNT)
        await until(lambda: reply.seconds > 0.5)
        await talk.microphone.say("nod")
        await until(lambda: reply.done)
        assert reply.text.strip().endswith("thirteen.")
        assert talk.events["input_speech_started"] == []
        await until(lambda: len(talk.session.chat_ctx.items) == 2)
        after = await talk.ask("Good morning")
        await until(lambda: after.done)
    assert roles(asked()[-1]) == told_after_a_nod("Good morning")


async def test_a_model_that_fails_ends_the_reply_and_not_the_session() -> None:
    with one_may_fail():
        await fails_once()


async def fails_once() -> None:
    async with talking() as talk:
        failed = await talk.ask("Please fail")
        await until(lambda: talk.events["error"])
        (error,) = talk.events["error"]
        assert error.recoverable
        talk.events["error"].clear()
        await until(lambda: failed.done)
        assert failed.text.startswith("I am sorry")  # the person hears of it too
        reply = await talk.ask("Good morning")
        await until(lambda: reply.done)
        assert reply.text.strip() == "You said: Good morning."
    told = roles(asked()[-1])
    assert (told[0], told[-1]) == (("user", "Please fail"), ("user", "Good morning"))


async def test_after_a_connection_that_broke_the_client_makes_another_and_the_model_is_told_all_that_was_said() -> None:
    async with line() as cut, talking(cut.url) as talk:
        reply = await talk.ask("Good morning")
        await until(lambda: reply.done)
        await until(lambda: len(talk.session.chat_ctx.items) == 2)
        cut.cut()
        await until(lambda: talk.events["session_reconnected"])
        assert all(event.recoverable for event in talk.events["error"])
        talk.events["error"].clear()
        await until(lambda: len(talk.session.chat_ctx.items) == 2)
        reply = await talk.ask("And good night")
        await until(lambda: reply.done)
    said = [("user", "Good morning"), ("assistant", "You said: Good morning."), ("user", "And good night")]
    assert roles(asked()[-1]) == said


async def test_a_new_connection_goes_on_where_the_old_one_ended() -> None:
    async with talking(max_session_duration=2.0) as talk:
        reply = await talk.ask("Good morning")
        await until(lambda: reply.done)
        await until(lambda: talk.events["session_reconnected"])
        await until(lambda: len(talk.session.chat_ctx.items) == 2)
        before = len(asked())
        reply = await talk.ask("And good night")
        await until(lambda: reply.done)
    assert len(asked()) == before + 1
    said = [("user", "Good morning"), ("assistant", "You said: Good morning."), ("user", "And good night")]
    assert roles(asked()[-1]) == said
