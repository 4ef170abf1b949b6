"""Pipecat's service for OpenAI's Realtime API against Parley; run by tests/clients/test_realtime.py."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from pipecat.adapters.schemas.function_schema import FunctionSchema
from pipecat.adapters.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMRunFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.realtime.events import (
    AudioConfiguration,
    AudioInput,
    InputAudioTranscription,
    ResponseCancelEvent,
)
from pipecat.services.openai.realtime.events import SessionProperties as Properties
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.workers.runner import WorkerRunner
from tests.clients.talk import (
    COUNT,
    KEY,
    RATE,
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
QUESTION = "What is the weather like today?"
WEATHER = FunctionSchema("weather", "How the weather is.", {"city": {"type": "string"}}, ["city"])


class Tape(FrameProcessor):
    """In place of a loudspeaker."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.frames.append(frame)
        await self.push_frame(frame, direction)

    def of(self, kind: type[Any]) -> list[Any]:
        return [frame for frame in self.frames if isinstance(frame, kind)]

    @property
    def seconds(self) -> float:
        return sum(len(frame.audio) / 2 / frame.sample_rate for frame in self.of(TTSAudioRawFrame))

    @property
    def text(self) -> str:
        return " ".join("".join(frame.text for frame in self.of(TTSTextFrame)).split())


class Talk:
    """A running pipeline."""

    def __init__(self, llm: OpenAIRealtimeLLMService, worker: PipelineWorker, context: LLMContext, tape: Tape) -> None:
        self.llm, self.worker, self.context, self.tape = llm, worker, context, tape
        self.microphone = Microphone()
        self.errors: list[str] = []
        """What the pipeline was told."""

    async def ask(self, text: str) -> None:
        """The first typed turn."""
        self.context.add_message({"role": "user", "content": text})
        await self.worker.queue_frame(LLMRunFrame())

    async def replies(self, count: int) -> None:
        """Wait until so many are complete, and say that they were heard, as an output transport does."""
        await until(lambda: len(self.tape.of(LLMFullResponseEndFrame)) >= count)
        await self.worker.queue_frame(BotStoppedSpeakingFrame())


@contextlib.asynccontextmanager
async def talking(url: str = URL) -> AsyncIterator[Talk]:
    listening = AudioConfiguration(input=AudioInput(transcription=InputAudioTranscription()))
    properties = Properties(instructions="Be brief.", audio=listening)
    llm = OpenAIRealtimeLLMService(
        api_key=KEY,
        base_url=f"{url.replace('http', 'ws', 1)}/v1/realtime",
        settings=OpenAIRealtimeLLMService.Settings(session_properties=properties),
    )

    async def weather(params: Any) -> None:
        await params.result_callback(f"sunny in {params.arguments['city']}")

    llm.register_function("weather", weather)
    context = LLMContext(tools=ToolsSchema(standard_tools=[WEATHER]))
    pair = LLMContextAggregatorPair(context, realtime_service_mode=True)
    tape = Tape()
    params = PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE)
    worker = PipelineWorker(Pipeline([pair.user(), llm, tape, pair.assistant()]), params=params)
    runner = WorkerRunner()
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    talk = Talk(llm, worker, context, tape)

    @worker.event_handler("on_pipeline_error")
    async def failed(_: PipelineWorker, error: ErrorFrame) -> None:
        talk.errors.append(error.error)

    async def send(pcm: bytes) -> None:
        await worker.queue_frame(InputAudioRawFrame(pcm, RATE, 1))

    try:
        async with microphone(send) as talk.microphone:
            yield talk
        assert talk.errors == []
    finally:
        await worker.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_typed_turn_is_answered_in_words_and_sound() -> None:
    async with talking() as talk:
        await talk.ask("Good morning")
        await talk.replies(1)
        assert talk.tape.text == "You said: Good morning."
        assert talk.tape.seconds > 0.5
    assert roles(asked()[-1]) == [("user", "Good morning")]


def said(talk: Talk) -> list[str]:
    """What the client knows that its user said after the first message."""
    messages = talk.context.get_messages()[1:]
    return [message["content"] for message in messages if message["role"] == "user"]


async def test_the_model_is_told_the_words_that_the_client_is_told() -> None:
    async with talking() as talk:
        await talk.ask("Good morning")
        await talk.replies(1)
        await talk.microphone.say("question")
        await talk.replies(2)
        await until(lambda: len(said(talk)) >= 1)
        heard = said(talk)[0]
    role, told = roles(asked()[-1])[-1]
    assert role == "user"
    assert alike(told, heard)


async def test_a_function_is_called_and_its_result_is_said() -> None:
    async with talking() as talk:
        await talk.ask("Use the tool, please")
        await until(lambda: "sunny in Rome" in talk.tape.text)
    assert [role for role, _ in roles(asked()[-1])] == ["user", "assistant", "tool"]


async def test_who_takes_the_floor_is_told_to_the_model_with_the_words_that_were_heard() -> None:
    async with talking() as talk:
        await talk.ask("Tell me a story")
        await until(lambda: talk.tape.seconds > 3.0)
        await talk.microphone.say("interruption")
        await until(lambda: talk.tape.of(InterruptionFrame))
        await talk.replies(2)
    check_taken(roles(asked()[-1]))


async def test_a_reply_that_is_truncated_by_the_program_is_told_to_the_model_as_far_as_it_was_played() -> None:
    async with talking() as talk:
        await talk.ask("Tell me a story")
        await until(lambda: talk.tape.seconds > 3.0)
        await talk.llm.send_client_event(ResponseCancelEvent())
        await talk.worker.queue_frame(InterruptionFrame())
        # An interruption drops what waits in the pipeline: what is said before it has gone through may be lost.
        await until(lambda: talk.tape.of(InterruptionFrame))
        await talk.replies(1)
        await talk.microphone.say("question")
        await until(lambda: len(roles(asked()[-1])) > 1)  # what was cancelled may be told as ended twice
    _, (role, heard), *_ = roles(asked()[-1])
    assert role == "assistant"
    check_heard(heard, 4, 20)


async def test_a_nod_does_not_end_the_reply_and_the_model_is_told_all_of_it() -> None:
    async with talking() as talk:
        await talk.ask(COUNT)
        await until(lambda: talk.tape.seconds > 0.5)
        await talk.microphone.say("nod")
        await talk.replies(1)
        assert talk.tape.text.endswith("thirteen.")
        assert talk.tape.of(InterruptionFrame) == []
        await talk.microphone.say("question")
        await talk.replies(2)
    told = roles(asked()[-1])
    assert told == told_after_a_nod(told[-1][1])


async def test_a_model_that_fails_ends_the_reply_and_not_the_session() -> None:
    async with talking() as talk:
        await talk.ask("Please fail")
        await until(lambda: talk.errors)
        (error,) = talk.errors
        assert "language model" in error
        talk.errors.clear()
        before = len(asked())
        await talk.microphone.say("question")
        await until(lambda: len(asked()) > before)
        await until(lambda: "You said" in talk.tape.text)
    told = roles(asked()[-1])
    assert told[0] == ("user", "Please fail")
    assert alike(told[-1][1], QUESTION)


async def test_after_a_connection_that_broke_the_model_is_told_all_that_was_said() -> None:
    async with line() as cut, talking(cut.url) as talk:
        await talk.ask("Good morning")
        await talk.replies(1)
        await until(lambda: len(talk.context.get_messages()) == 2)
        cut.cut()
        await until(lambda: talk.errors)
        talk.context.add_message({"role": "user", "content": "And good night"})
        await talk.llm.reset_conversation()
        talk.errors.clear()
        heard = talk.tape.seconds
        await talk.llm._create_response()  # as Pipecat's own example of a conversation that goes on does
        await until(lambda: talk.tape.seconds > heard + 0.5)
    ((role, told),) = roles(asked()[-1])  # Pipecat packs a conversation from before into one message
    assert role == "user"
    places = [told.index(said) for said in ("Good morning", "You said: Good morning.", "And good night")]
    assert places == sorted(places)
