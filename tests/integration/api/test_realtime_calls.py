"""Calls over WebRTC on loopback: what is heard, what is told of it, and what the model is told next."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from typing import TYPE_CHECKING

import httpx
import pytest
import websockets
from tests.integration.api.realtime_call import calling
from tests.integration.api.realtime_client import Mind, alike, call, mind
from tests.integration.api.realtime_common import KEY, LONG, WEATHER, thinking_with

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.integration.people import Running

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(120)]
SHORT = "One two three four five six seven eight nine."


@pytest.fixture(scope="module")
def thinking() -> Generator[Mind, None, None]:
    with mind() as it:
        yield it


@pytest.fixture(scope="module")
def parley(thinking: Mind, tmp_path_factory: pytest.TempPathFactory) -> Generator[Running, None, None]:
    with thinking_with(thinking, tmp_path_factory.mktemp("calls"), f"server.api_key={KEY}") as it:
        yield it


@pytest.fixture(autouse=True)
def _forgetful(thinking: Mind) -> None:
    thinking.forget()


def transcript(done: dict[str, object]) -> str:
    response: object = done["response"]
    assert isinstance(response, dict)
    return str(response["output"][0]["content"][0]["transcript"])


async def test_a_spoken_turn_is_answered_by_the_track_and_told_by_the_channel(parley: Running, thinking: Mind) -> None:
    session = {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    async with calling(parley.url, KEY, session) as caller:
        caller.speak("What is the weather like today?")
        stopped = await caller.until("output_audio_buffer.stopped")
        caller.check_order(
            "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed", "response.created", "response.content_part.added",
            "output_audio_buffer.started", "response.done", "output_audio_buffer.stopped",
        )  # fmt: skip
        (done,) = caller.of("response.done")
        assert (done["response"]["status"], transcript(done)) == ("completed", "Yes, of course.")
        assert (
            {stopped["response_id"]}
            == {done["response"]["id"]}
            == {event["response_id"] for event in caller.of("output_audio_buffer.started")}
        )
        assert not caller.of("response.output_audio.delta")
        assert 0.4 < len(caller.heard.audible()) / 50 < 3
        words = await caller.until("conversation.item.input_audio_transcription.completed")
        ((role, told),) = thinking.told()
        assert role == "user"
        assert alike(told, words["transcript"])


async def test_who_takes_the_floor_is_told_what_was_heard_and_so_is_the_model(parley: Running, thinking: Mind) -> None:
    thinking.answer = lambda body: LONG if len(body["messages"]) == 1 else "Fine."
    async with calling(parley.url, KEY) as caller:
        caller.type("Count.")
        await caller.sounds(1.5)
        caller.speak("Stop, please stop now.")
        cut = await caller.until("conversation.item.truncated")
        (done,) = caller.of("response.done")
        assert done["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        caller.check_order("output_audio_buffer.started", "output_audio_buffer.cleared", "conversation.item.truncated")
        silent_since = caller.heard.audible()[-1]
        assert silent_since <= caller.times[caller.index("output_audio_buffer.cleared")] + 0.06
        caller.ask("conversation.item.retrieve", item_id=cut["item_id"])
        kept = (await caller.until("conversation.item.retrieved"))["item"]["content"][0]["transcript"]
        assert LONG.startswith(kept)
        await caller.until("response.done", 2)
        told = dict(thinking.told())
        assert told["assistant"] == kept
        assert 2 <= len(kept.split()) < 12
        # What the client says it has heard can only be less than what is known here.
        caller.ask("conversation.item.truncate", item_id=cut["item_id"], content_index=0, audio_end_ms=400)
        await caller.until("conversation.item.truncated", 2)
        caller.type("And?")
        await caller.until("response.done", 3)
        shorter = next(text for role, text in thinking.told() if role == "assistant")
        assert kept.startswith(shorter)
        assert len(shorter) < len(kept)


async def test_a_nod_holds_the_reply_for_a_moment_and_loses_nothing_of_it(parley: Running, thinking: Mind) -> None:
    thinking.answer = lambda _: SHORT
    async with calling(parley.url, KEY) as caller:
        caller.type("Count.")
        await caller.until("output_audio_buffer.stopped", within=60)
        undisturbed = len(caller.heard.audible())
        caller.type("Count again.")
        await caller.until("output_audio_buffer.started", 2)
        caller.speak("uh huh")
        await caller.until("output_audio_buffer.stopped", 2, within=60)
        assert [done["response"]["status"] for done in caller.of("response.done")] == ["completed", "completed"]
        assert not caller.of("input_audio_buffer.speech_started")
        assert not caller.of("output_audio_buffer.cleared")
        again = len(caller.heard.audible()) - undisturbed
        assert abs(again - undisturbed) <= 0.04 * undisturbed
        assert [text for _, text in thinking.told()] == ["Count.", SHORT, "Count again."]


async def test_a_function_is_called_and_its_result_is_said(parley: Running, thinking: Mind) -> None:
    thinking.answer = lambda body: (
        "It is sunny." if body["messages"][-1]["role"] == "tool" else [call("call_1", "weather", city="Rome")]
    )
    async with calling(parley.url, KEY, {"type": "realtime", "tools": [WEATHER]}) as caller:
        caller.type("How is the weather in Rome?")
        asked = await caller.until("response.function_call_arguments.done")
        assert (asked["name"], asked["arguments"]) == ("weather", '{"city": "Rome"}')
        await caller.until("response.done")
        output = {"type": "function_call_output", "call_id": asked["call_id"], "output": "sunny"}
        caller.ask("conversation.item.create", item=output)
        caller.ask("response.create")
        assert transcript(await caller.until("response.done", 2)) == "It is sunny."
        assert [role for role, _ in thinking.told()] == ["user", "assistant", "tool"]


async def test_what_goes_wrong_is_told_and_the_call_goes_on(parley: Running, thinking: Mind) -> None:
    async with calling(parley.url, KEY) as caller:
        caller.ask("input_audio_buffer.append", audio="AAAA", event_id="mine")
        told = (await caller.until("error"))["error"]
        assert (told["code"], told["event_id"]) == ("invalid_event_for_transport", "mine")
        caller.ask("output_audio_buffer.clear")  # nothing is being said: no mistake
        thinking.status = 500
        caller.type("Hello")
        assert (await caller.until("response.done"))["response"]["status"] == "failed"
        thinking.status, thinking.answer = 200, lambda _: LONG
        caller.type("Hello?")
        await caller.until("output_audio_buffer.started", 2 if caller.of("output_audio_buffer.started") else 1)
        caller.ask("output_audio_buffer.clear")
        done = (await caller.until("response.done", 2))["response"]
        assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
        await caller.until("output_audio_buffer.cleared")
        assert len(caller.of("error")) == 1


async def test_an_image_is_shown_to_the_model_as_large_as_a_message_may_be(parley: Running, thinking: Mind) -> None:
    async with calling(parley.url, KEY) as caller:

        def show(size: int) -> str:
            image = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + random.randbytes(size)).decode()
            content = [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": image}]
            caller.ask("conversation.item.create", item={"type": "message", "role": "user", "content": content})
            return image

        image = show(196_000)
        caller.ask("response.create")
        assert (await caller.until("response.done"))["response"]["status"] == "completed"
        shown = thinking.bodies[-1]["messages"][-1]["content"]
        assert [part["type"] for part in shown] == ["text", "image_url"]
        assert shown[1]["image_url"]["url"] == image
        with pytest.raises(ValueError, match="262144"):  # what the answer said, in the client's own words
            show(197_000)
        caller.ignore_limit()
        show(197_000)
        told = (await caller.until("error"))["error"]
        assert (told["type"], "262144" in told["message"]) == ("invalid_request_error", True)
        caller.type("Hello?")
        assert (await caller.until("response.done", 2))["response"]["status"] == "completed"


async def test_a_second_data_channel_is_closed_with_a_word_and_the_call_goes_on(
    parley: Running, thinking: Mind
) -> None:
    async with calling(parley.url, KEY) as caller:
        for number, label in enumerate(("oai-events", "another"), 1):
            closed = asyncio.Event()
            caller.channel(label).on("close", closed.set)
            told = (await caller.until("error", number))["error"]
            assert ("closed" in told["message"], told["type"]) == (True, "invalid_request_error")
            async with asyncio.timeout(10):
                await closed.wait()
        caller.type("Hello")
        assert transcript(await caller.until("response.done")) == "Yes, of course."


async def test_a_new_offer_is_a_new_call_and_the_old_one_goes_on(parley: Running, thinking: Mind) -> None:
    async with calling(parley.url, KEY) as old, calling(parley.url, KEY) as new:
        assert old.location != new.location
        for caller in (old, new):
            caller.type("Hello")
            await caller.until("response.done")
            assert thinking.told() == [("user", "Hello")]
        async with httpx.AsyncClient(base_url=parley.url, headers={"Authorization": f"Bearer {KEY}"}) as http:
            again = await http.post(f"{old.location}/accept", json={"type": "realtime"})
            assert (again.status_code, "nothing else" in again.json()["error"]["message"]) == (404, True)
            watching = f"{parley.url}/v1/realtime?call_id={old.location.rpartition('/')[2]}".replace("http", "ws", 1)
        async with websockets.connect(watching, additional_headers={"Authorization": f"Bearer {KEY}"}) as watcher:
            assert "no second connection" in json.loads(await watcher.recv())["error"]["message"]


async def test_a_browsers_own_key_calls_and_the_call_is_hung_up(parley: Running, thinking: Mind) -> None:
    async with httpx.AsyncClient(base_url=parley.url) as http:
        prepared = {"session": {"type": "realtime", "instructions": "Be kind."}}
        made = await http.post("/v1/realtime/client_secrets", json=prepared, headers={"Authorization": f"Bearer {KEY}"})
        key = made.json()["value"]
        async with calling(parley.url, key) as caller:
            caller.type("Hello")
            await caller.until("response.done")
            assert thinking.told() == [("system", "Be kind."), ("user", "Hello")]
            over = await http.post(f"{caller.location}/hangup", headers={"Authorization": f"Bearer {key}"})
            assert over.status_code == 200
            async with asyncio.timeout(10):
                await caller.over.wait()
