"""OpenAI's own client for Python holds conversations; what the model is told next says whether they were right."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import sys
import urllib.request
import wave
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai
import pytest
from tests.integration.api.realtime_client import Mind, alike, call, mind, talking, words
from tests.integration.api.realtime_common import KEY, LONG, WEATHER, thinking_with, typed

if TYPE_CHECKING:
    from tests.integration.people import Running

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(120)]
EXAMPLE = Path(__file__).parents[3] / "examples" / "openai_realtime" / "main.py"
COMPLETED = "conversation.item.input_audio_transcription.completed"
TRANSCRIPT = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}


@pytest.fixture(scope="module")
def thinking() -> Generator[Mind, None, None]:
    with mind() as it:
        yield it


@pytest.fixture(scope="module")
def parley(thinking: Mind, tmp_path_factory: pytest.TempPathFactory) -> Generator[Running, None, None]:
    with thinking_with(thinking, tmp_path_factory.mktemp("realtime"), f"server.api_key={KEY}") as it:
        yield it


@pytest.fixture(autouse=True)
def _forgetful(thinking: Mind) -> None:
    thinking.forget()


def connected(parley: Running, **more: Any) -> Any:
    return talking(parley.url, KEY, **more)


def transcript(response: Any) -> str:
    return response.output[0].content[0].transcript


async def test_a_typed_turn_comes_in_the_order_that_clients_rely_on(parley: Running, thinking: Mind) -> None:
    async with connected(parley) as talk:
        response = await talk.say("Hello")
        seen = list(dict.fromkeys(talk.types()))
        assert seen == [
            "session.created",
            "conversation.item.added",
            "conversation.item.done",
            "response.created",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_audio_transcript.delta",
            "response.output_audio.delta",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.done",
        ]
        assert response.status == "completed"
        assert transcript(response) == "Yes, of course."
        assert (response.usage.input_tokens, response.usage.output_token_details.text_tokens) == (21, 7)
        assert 0.3 * 48_000 < len(talk.heard(response.id)) < 4 * 48_000
        assert thinking.told() == [("user", "Hello")]
        user, agent = (event.item for event in talk.of("conversation.item.added"))
        assert talk.of("conversation.item.added")[1].previous_item_id == user.id
        assert agent.status == "in_progress"


async def test_a_spoken_turn_is_heard_written_down_and_answered(parley: Running, thinking: Mind) -> None:
    async with connected(parley, microphone=True, session=TRANSCRIPT) as talk:
        talk.speak(words("What is the weather like today?"))
        done = await talk.until("response.done")
        assert done.response.status == "completed"
        talk.check_order(
            "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped", "input_audio_buffer.committed",
            "conversation.item.added", "response.created",
        )  # fmt: skip
        completed = await talk.until("conversation.item.input_audio_transcription.completed")
        assert "weather" in completed.transcript
        assert completed.item_id == talk.of("input_audio_buffer.committed")[0].item_id
        ((role, told),) = thinking.told()
        assert role == "user"
        assert alike(told, completed.transcript)
        pieces = talk.of("conversation.item.input_audio_transcription.delta")
        assert completed.transcript.startswith("".join(piece.delta for piece in pieces)[:10])


async def test_an_interruption_ends_the_reply_and_the_model_is_told_what_was_heard(
    parley: Running, thinking: Mind
) -> None:
    thinking.answer = lambda body: LONG if len(body["messages"]) == 1 else "Fine."
    async with connected(parley, microphone=True) as talk:
        await talk.send("conversation.item.create", item=typed("Count."))
        await talk.send("response.create")
        await talk.until("response.output_audio.delta", 40)
        talk.speak(words("Stop, please stop now."))
        await talk.until("input_audio_buffer.speech_started")
        cut = (await talk.until("response.done")).response
        assert (cut.status, cut.status_details.reason) == ("cancelled", "turn_detected")
        assert cut.output[0].status == "incomplete"
        last = max(place for place, kind in enumerate(talk.types()) if kind == "response.output_audio.delta")
        await talk.until("response.done", 2)
        first_of_second = talk.index("response.created", 1)
        assert talk.index("response.done") < first_of_second or last > first_of_second
        told = dict(thinking.told())
        assert LONG.startswith(told["assistant"])
        assert 0 < len(told["assistant"]) < len(LONG)


async def test_a_nod_does_not_cut_the_reply_and_leaves_no_sample_of_it_out(parley: Running, thinking: Mind) -> None:
    thinking.answer = lambda _: LONG
    async with connected(parley, microphone=True, session=TRANSCRIPT) as talk:
        await talk.send("response.create")
        await talk.until("response.output_audio.delta", 40)
        talk.speak(words("Yes."))
        response = (await talk.until("response.done")).response
        assert response.status == "completed"
        assert not talk.of("input_audio_buffer.speech_started")
        assert transcript(response) == LONG
        undisturbed = await talk.say("Once more")
        assert talk.heard(undisturbed.id) == talk.heard(response.id)


async def test_a_truncated_reply_is_what_the_model_remembers(parley: Running, thinking: Mind) -> None:
    thinking.answer = lambda _: LONG
    async with connected(parley) as talk:
        response = await talk.say("Count")
        item_id = response.output[0].id
        whole = len(talk.heard(response.id)) / 48  # milliseconds
        await talk.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=int(whole / 2))
        assert (await talk.until("conversation.item.truncated")).audio_end_ms == int(whole / 2)
        await talk.send("conversation.item.retrieve", item_id=item_id)
        kept = (await talk.until("conversation.item.retrieved")).item.content[0].transcript
        await talk.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=60_000)
        error = (await talk.until("error")).error
        assert error.code == "invalid_value"
        assert "is already shorter than 60000ms" in error.message
        await talk.say("And?")
        said = [text for role, text in thinking.told() if role == "assistant"]
        assert said == [kept]
        assert LONG.startswith(kept)
        assert 6 <= len(re.findall(r"\w+", kept)) <= 11


async def test_a_function_is_called_and_its_result_is_told(parley: Running, thinking: Mind) -> None:
    thinking.answer = lambda body: "It is sunny." if "tool" in str(body["messages"]) else [
        call("call_1", "weather", city="Rome")
    ]  # fmt: skip
    async with connected(parley, session={"tools": [WEATHER]}) as talk:
        response = await talk.say("How is the weather in Rome?")
        (asked,) = response.output
        assert (asked.type, asked.name, asked.status) == ("function_call", "weather", "completed")
        assert talk.of("response.function_call_arguments.done")[0].arguments == '{"city": "Rome"}'
        assert thinking.bodies[0]["tools"][0]["function"]["name"] == "weather"
        await asyncio.sleep(0.5)  # nothing follows by itself
        assert len(thinking.bodies) == 1
        item = {"type": "function_call_output", "call_id": asked.call_id, "output": "sunny"}
        await talk.send("conversation.item.create", item=item)
        await talk.send("response.create")
        answer = (await talk.until("response.done", 2)).response
        assert transcript(answer) == "It is sunny."
        assert [role for role, _ in thinking.told()] == ["user", "assistant", "tool"]
        assert thinking.told()[-1] == ("tool", "sunny")


async def test_who_comes_back_tells_what_was_said_and_nothing_is_answered_twice(
    parley: Running, thinking: Mind
) -> None:
    async with connected(parley) as talk:
        before = "root"
        for index, (role, kind, text) in enumerate(
            (("user", "input_text", "I am Ada."), ("assistant", "output_text", "Hello Ada."))
        ):
            item = {"id": f"old_{index}", "type": "message", "role": role, "content": [{"type": kind, "text": text}]}
            await talk.send("conversation.item.create", item=item, previous_item_id=before)
            before = f"old_{index}"
        await talk.until("conversation.item.done", 2)
        again = {"id": "old_0", "type": "message", "role": "user", "content": []}
        await talk.send("conversation.item.create", item=again, event_id="mine")
        error = (await talk.until("error")).error
        assert (error.code, error.event_id) == ("item_create_duplicate_item_id", "mine")
        assert not thinking.bodies
        await talk.say("Who am I?")
        assert thinking.told() == [("user", "I am Ada."), ("assistant", "Hello Ada."), ("user", "Who am I?")]


async def test_turns_that_the_client_ends_itself(parley: Running, thinking: Mind) -> None:
    session = {"audio": {"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}}}
    async with connected(parley, session=session) as talk:
        await talk.send("input_audio_buffer.commit", event_id="empty")
        assert (await talk.until("error")).error.code == "input_audio_buffer_commit_empty"
        sound = words("What is the weather like today?")
        for start in range(0, len(sound), 9_600):  # much faster than it was spoken
            audio = base64.b64encode(sound[start : start + 9_600]).decode()
            await talk.send("input_audio_buffer.append", audio=audio)
        await talk.send("input_audio_buffer.commit")
        await talk.send("response.create")
        await talk.until("response.done")
        completed = await talk.until("conversation.item.input_audio_transcription.completed")
        assert "weather" in completed.transcript
        ((role, told),) = thinking.told()
        assert role == "user"
        assert alike(told, completed.transcript)
        assert not talk.of("input_audio_buffer.speech_started")


async def test_text_only_and_beside_the_conversation(parley: Running, thinking: Mind) -> None:
    async with connected(parley, session={"output_modalities": ["text"]}) as talk:
        response = await talk.say("Hello")
        assert response.output[0].content[0].text == "Yes, of course."
        assert not talk.of("response.output_audio.delta")
        aside = {
            "conversation": "none",
            "metadata": {"topic": "name"},
            "instructions": "Name it.",
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "A talk"}]}],
        }
        await talk.send("response.create", response=aside)
        other = (await talk.until("response.done", 2)).response
        assert (other.conversation_id, other.metadata) == (None, {"topic": "name"})
        assert thinking.told() == [("system", "Name it."), ("user", "A talk")]
        await talk.say("And?")
        assert thinking.told() == [("user", "Hello"), ("assistant", "Yes, of course."), ("user", "And?")]


async def test_a_spoken_turn_is_answered_in_writing_where_that_is_wanted(parley: Running, thinking: Mind) -> None:
    session = {"output_modalities": ["text"], **TRANSCRIPT}
    async with connected(parley, microphone=True, session=session) as talk:
        talk.speak(words("What is the weather like today?"))
        response = (await talk.until("response.done")).response
        assert response.output[0].content[0].text == "Yes, of course."
        assert not talk.of("response.output_audio.delta")
        assert thinking.told() == [("user", talk.of(COMPLETED)[0].transcript)]


async def test_where_nothing_may_interrupt_the_reply_goes_on_and_the_turn_is_answered_after_it(
    parley: Running, thinking: Mind
) -> None:
    thinking.answer = lambda body: LONG if len(body["messages"]) == 1 else "Fine."
    turns = {"type": "server_vad", "interrupt_response": False}
    session = {"audio": {"input": {"turn_detection": turns, "transcription": {"model": "whisper-1"}}}}
    async with connected(parley, microphone=True, session=session) as talk:
        await talk.send("conversation.item.create", item=typed("Count."))
        await talk.send("response.create")
        await talk.until("response.output_audio.delta", 20)
        talk.speak(words("What is the weather like today?"))
        first = (await talk.until("response.done")).response
        assert (first.status, transcript(first)) == ("completed", LONG)
        assert talk.index("input_audio_buffer.speech_started") < talk.index("response.done")
        second = (await talk.until("response.done", 2)).response
        assert transcript(second) == "Fine."
        assert thinking.told()[-1] == ("user", talk.of(COMPLETED)[0].transcript)


async def test_turns_are_written_down_and_answered_when_that_is_asked_for(parley: Running, thinking: Mind) -> None:
    turns = {"type": "server_vad", "create_response": False}
    session = {"audio": {"input": {"turn_detection": turns, "transcription": {"model": "whisper-1"}}}}
    async with connected(parley, microphone=True, session=session) as talk:
        talk.speak(words("What is the weather like today?"))
        await talk.until("input_audio_buffer.committed")
        assert not thinking.bodies
        await talk.send("response.create")  # at once, whether or not the words are known yet
        assert (await talk.until("response.done")).response.status == "completed"
        assert thinking.told() == [("user", (await talk.until(COMPLETED)).transcript)]


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
async def test_a_telephone_talks_and_hears(parley: Running, thinking: Mind, kind: str) -> None:
    sound = {"format": {"type": kind}}
    async with connected(parley, session={"audio": {"input": sound, "output": sound}}) as talk:
        response = await talk.say("Hello")
        assert 0.3 * 8_000 < len(talk.heard(response.id)) < 4 * 8_000


async def test_recordings_are_written_down_where_nobody_answers(parley: Running, thinking: Mind) -> None:
    async with connected(parley, model="gpt-4o-mini-transcribe", extra_query={"intent": "transcription"}) as talk:
        assert talk.of("session.created")[0].session.type == "transcription"
        sound = words("What is the weather like today?") + bytes(2 * 24_000)
        await talk.send("input_audio_buffer.append", audio=base64.b64encode(sound).decode())
        completed = await talk.until("conversation.item.input_audio_transcription.completed")
        assert "weather" in completed.transcript
        assert completed.usage.type == "duration"
        assert not thinking.bodies


async def test_a_prompt_helps_to_hear_what_is_said_from_its_update_on(parley: Running) -> None:
    said = "Open the blue umbrella"

    def transcription(prompt: str) -> dict[str, Any]:
        return {
            "type": "transcription",
            "audio": {"input": {"transcription": {"model": "whisper-1", "prompt": prompt}}},
        }

    async with connected(parley, model="gpt-4o-mini-transcribe", extra_query={"intent": "transcription"}) as talk:
        for count, prompt in enumerate(("", f"Parley, {said.lower()}", ""), start=1):
            await talk.send("session.update", session=transcription(prompt))
            sound = base64.b64encode(words(said) + bytes(2 * 24_000)).decode()
            await talk.send("input_audio_buffer.append", audio=sound)
            await talk.until(COMPLETED, count)
        heard = [completed.transcript.lower().strip(". ") == said.lower() for completed in talk.of(COMPLETED)]
        assert heard == [False, True, False], [completed.transcript for completed in talk.of(COMPLETED)]


async def test_a_model_that_fails_is_a_failed_response_and_no_error(parley: Running, thinking: Mind) -> None:
    thinking.status = 500
    async with connected(parley) as talk:
        response = await talk.say("Hello")
        assert response.status == "failed"
        assert response.status_details.error.code == "unavailable"
        assert not talk.of("error")


async def test_what_is_wrong_is_said_and_the_session_lives_on(parley: Running) -> None:
    async with connected(parley) as talk:
        await talk.send("session.update", session={"type": "realtime", "voice": "alloy"}, event_id="e1")
        first = (await talk.until("error")).error
        assert (first.code, first.param, first.event_id) == ("unknown_parameter", "session.voice", "e1")
        await talk.send("response.cancel", event_id="e2")
        second = (await talk.until("error", 2)).error
        assert (second.code, second.event_id) == ("response_cancel_not_active", "e2")
        assert second.message.startswith("Cancellation failed")
        await talk.send("no.such.event", event_id="e3")
        assert (await talk.until("error", 3)).error.event_id == "e3"
        assert (await talk.say("Still there?")).status == "completed"


async def test_one_reply_may_have_a_voice_of_its_own_if_there_is_one(parley: Running) -> None:
    asking = urllib.request.Request(f"{parley.url}/v1/audio/voices", headers={"Authorization": f"Bearer {KEY}"})
    with urllib.request.urlopen(asking) as answer:
        voice = json.load(answer)["voices"][-1]["id"]
    async with connected(parley) as talk:
        await talk.send("response.create", response={"audio": {"output": {"voice": "no-such-voice"}}}, event_id="v")
        error = (await talk.until("error")).error
        assert (error.code, error.event_id) == ("invalid_value", "v")
        await talk.send("response.create", response={"audio": {"output": {"voice": voice}}})
        done = (await talk.until("response.done")).response
        assert (done.status, done.audio.output.voice) == ("completed", voice)


async def test_an_image_is_shown_to_the_model(parley: Running, thinking: Mind) -> None:
    url = f"data:image/png;base64,{base64.b64encode(bytes.fromhex('89504e47') + bytes(200_000)).decode()}"
    async with connected(parley, session={"output_modalities": ["text"]}) as talk:
        content = [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": url}]
        await talk.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        added = (await talk.until("conversation.item.added")).item
        assert [part.type for part in added.content] == ["input_text", "input_image"]
        await talk.send("response.create")
        await talk.until("response.done")
        assert thinking.bodies[-1]["messages"][-1]["content"] == [
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": url}},
        ]
        content = [{"type": "input_image", "image_url": "https://elsewhere.example/cat.png"}]
        await talk.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        assert "data URI" in (await talk.until("error")).error.message


async def test_a_wrong_key_and_an_unknown_model_are_refused(parley: Running) -> None:
    for key, model, code in (("wrong", "gpt-realtime", "unauthorized"), (KEY, "no-such-model", "not_found")):
        async with (
            openai.AsyncOpenAI(base_url=f"{parley.url}/v1", api_key=key) as client,
            client.realtime.connect(model=model) as connection,
        ):
            event = await connection.recv()
            assert event.type == "error"
            assert event.error.code == code


async def test_a_client_secret_opens_a_session_that_was_prepared(parley: Running, thinking: Mind) -> None:
    async with openai.AsyncOpenAI(base_url=f"{parley.url}/v1", api_key=KEY) as client:
        made = await client.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 60},
            session={"type": "realtime", "instructions": "Be brief."},
        )
    assert made.value.startswith("ek_")
    async with talking(parley.url, made.value) as talk:
        assert talk.of("session.created")[0].session.instructions == "Be brief."
        await talk.say("Hello")
        assert thinking.told()[0] == ("system", "Be brief.")
    async with (
        openai.AsyncOpenAI(base_url=f"{parley.url}/v1", api_key="ek_another") as client,
        client.realtime.connect(model="gpt-realtime") as connection,
    ):
        assert (await connection.recv()).error.code == "unauthorized"


async def test_the_beta_shape_is_answered_as_openai_answers_it(parley: Running) -> None:
    async with (
        openai.AsyncOpenAI(base_url=f"{parley.url}/v1", api_key=KEY) as client,
        client.realtime.connect(model="gpt-realtime", extra_headers={"OpenAI-Beta": "realtime=v1"}) as connection,
    ):
        assert (await connection.recv()).error.code == "beta_api_shape_disabled"


async def test_the_example_reads_an_answer_and_keeps_its_sound(parley: Running, tmp_path: Path) -> None:
    environment = {**os.environ, "PARLEY_URL": parley.url, "PARLEY_API_KEY": KEY}
    sound = tmp_path / "answer.wav"
    run = await asyncio.create_subprocess_exec(
        sys.executable, EXAMPLE, "Hello", sound, env=environment, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await run.communicate()
    assert said.decode().strip() == "Yes, of course."
    with wave.open(str(sound)) as file:
        assert 0.3 < file.getnframes() / file.getframerate() < 4


def test_the_log_has_nothing_that_was_said(parley: Running) -> None:
    assert "weather" not in Path(parley.log).read_text()
