"""A tool of the server's that asks first: OpenAI's own client hears the question, and what it answers decides."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.api.realtime_client import Body, Mind, Reply, Talk, call, mind, talking, words
from tests.integration.api.realtime_common import thinking_with, typed
from tests.integration.tools.house import house as served

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.integration.people import Running

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(120)]
QUESTION = "Shall I switch the hall lamp on?"


@pytest.fixture(scope="module")
def thinking() -> Generator[Mind, None, None]:
    with mind() as it:
        yield it


@pytest.fixture(scope="module")
def parley(thinking: Mind, tmp_path_factory: pytest.TempPathFactory) -> Generator[Running, None, None]:
    with served() as url:
        tools = [{"name": "house", "url": url, "only": ["switch"], "tools": {"switch": {"confirm": True}}}]
        folder = tmp_path_factory.mktemp("confirm")
        with thinking_with(thinking, folder, f"tools.mcp={json.dumps(tools)}") as it:
            yield it


@pytest.fixture(autouse=True)
def _asking(thinking: Mind) -> None:
    """A model that calls whatever is said to it, and asks where it is told to."""

    def answer(body: Body) -> Reply:
        last = body["messages"][-1]
        if last["role"] != "tool":
            return [call(f"call_{len(body['messages'])}", "house_switch", lamp="hall")]
        return "It is done." if "true" in last["content"] else QUESTION

    thinking.forget()
    thinking.answer = answer


def results(thinking: Mind) -> list[str]:
    """What the model was told of its calls so far."""
    return [text for role, text in thinking.told() if role == "tool"]


def said(response: Any) -> str:
    return str(response.output[-1].content[0].transcript)


async def asked_first(talk: Talk, thinking: Mind) -> None:
    response = await talk.say("Light, please.")
    assert (response.status, said(response)) == ("completed", QUESTION)
    (told,) = results(thinking)
    assert "true" not in told
    assert not talk.of("response.function_call_arguments.done")  # the call is not the client's to make


async def test_a_yes_in_sound_lets_it_be_done_once(parley: Running, thinking: Mind) -> None:
    async with talking(parley.url, microphone=True) as talk:
        await asked_first(talk, thinking)
        talk.speak(words("Yes, please."))
        done = (await talk.until("response.done", 2)).response
        assert said(done) == "It is done."
        assert ['"hall": true' in told or '"hall":true' in told for told in results(thinking)] == [False, True]


async def test_a_no_leaves_it_undone(parley: Running, thinking: Mind) -> None:
    async with talking(parley.url) as talk:
        await asked_first(talk, thinking)
        assert said(await talk.say("No, leave it.")) == QUESTION
        assert not any("true" in told for told in results(thinking))


async def test_a_question_that_was_not_heard_is_asked_again(parley: Running, thinking: Mind) -> None:
    async with talking(parley.url, session={"output_modalities": ["audio"]}) as talk:
        await talk.send("conversation.item.create", item=typed("Light, please."))
        await talk.send("response.create")
        await talk.until("response.output_audio.delta")
        await talk.send("response.cancel")
        assert (await talk.until("response.done")).response.status == "cancelled"
        await talk.send(
            "conversation.item.truncate",
            item_id=talk.of("response.output_item.added")[0].item.id,
            content_index=0,
            audio_end_ms=0,
        )
        assert said(await talk.say("Yes, please.")) == QUESTION
        assert not any("true" in told for told in results(thinking))
