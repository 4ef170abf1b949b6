"""MCP servers that a client names: their tools are listed, approved and called, and the answer is said unasked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.integration.api.realtime_call import calling
from tests.integration.api.realtime_client import Body, Mind, Reply, Talk, call, mind, talking
from tests.integration.api.realtime_common import thinking_with, typed
from tests.integration.tools.house import free_port
from tests.integration.tools.house import house as served
from tests.integration.tools.slow_house import SlowHouse, slow_house

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.integration.people import Running

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(120)]
TEXT = {"type": "realtime", "output_modalities": ["text"]}


@pytest.fixture(scope="module")
def house() -> Generator[str, None, None]:
    """The address of an MCP server of the stock library."""
    with served() as url:
        yield url


@pytest.fixture(scope="module")
def nobody() -> str:
    """An address that is allowed, and where nobody is."""
    return f"http://127.0.0.1:{free_port()}/mcp"


@pytest.fixture(scope="module")
def slow() -> Generator[SlowHouse, None, None]:
    """One that never answers when its session is to end."""
    with slow_house() as it:
        yield it


@pytest.fixture(scope="module")
def thinking() -> Generator[Mind, None, None]:
    with mind() as it:
        yield it


@pytest.fixture(scope="module")
def parley(
    thinking: Mind, house: str, nobody: str, slow: SlowHouse, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Running, None, None]:
    allowed = f'api.realtime.mcp_servers=["{house}", "{nobody}", "{slow.url}"]'
    with thinking_with(thinking, tmp_path_factory.mktemp("mcp"), allowed) as it:
        yield it


@pytest.fixture(autouse=True)
def _forgetful(thinking: Mind) -> None:
    thinking.forget()


def calls_once(name: str, **arguments: Any) -> Any:
    """A model that calls this and says what came of it."""

    def answer(body: Body) -> Reply:
        last = body["messages"][-1]
        if last["role"] == "tool":
            return f"It says: {last['content']}"
        return [call("call_1", name, **arguments)]

    return answer


async def named(talk: Talk, url: str, **more: Any) -> None:
    server = {"type": "mcp", "server_label": "house", "server_url": url, **more}
    await talk.send("session.update", session={"type": "realtime", "tools": [server]})


async def test_a_tool_is_listed_and_called_and_the_answer_is_said(parley: Running, thinking: Mind, house: str) -> None:
    thinking.answer = calls_once("house_header")
    async with talking(parley.url, session=TEXT) as talk:
        await named(talk, house, require_approval="never", authorization="$HOME", allowed_tools=["header", "lamps"])
        await talk.until("mcp_list_tools.completed")
        (listed,) = (event.item for event in talk.of("conversation.item.done"))
        assert sorted(tool.name for tool in listed.tools) == ["header", "lamps"]
        await talk.send("conversation.item.retrieve", item_id=listed.id)
        assert (await talk.until("conversation.item.retrieved")).item.type == "mcp_list_tools"
        response = await talk.say("What is my key?")
        talk.check_order(
            "session.updated", "mcp_list_tools.in_progress", "mcp_list_tools.completed",
            "response.mcp_call_arguments.done", "response.mcp_call.in_progress", "response.mcp_call.completed",
            "response.output_text.delta", "response.done",
        )  # fmt: skip
        made, said = response.output
        assert (made.type, made.name, made.server_label, made.output) == ("mcp_call", "header", "house", "Bearer $HOME")
        assert said.content[0].text == "It says: Bearer $HOME"
        assert "$HOME" not in str(talk.of("session.updated"))
        assert not talk.of("error")
        # Without its server a session has none of its tools.
        await talk.send("session.update", session={"type": "realtime", "tools": []})
        await talk.until("session.updated", 3)
        thinking.answer = lambda body: f"There are {len(body.get('tools') or [])} tools."
        assert (await talk.say("Which are there?")).output[0].content[0].text == "There are 0 tools."


async def test_a_call_waits_until_the_client_approves_or_denies_it(parley: Running, thinking: Mind, house: str) -> None:
    thinking.answer = calls_once("house_switch", lamp="hall")
    async with talking(parley.url, session=TEXT) as talk:
        await named(talk, house)
        await talk.until("mcp_list_tools.completed")
        for number, approve in ((1, True), (2, False)):
            await talk.send("conversation.item.create", item=typed("Light!"))
            await talk.send("response.create")
            await talk.until("response.mcp_call_arguments.done", number)
            request = await approval(talk, number)
            assert (request.name, request.arguments) == ("switch", '{"lamp": "hall"}')
            answer = {"type": "mcp_approval_response", "approval_request_id": request.id, "approve": approve}
            await talk.send("conversation.item.create", previous_item_id=request.id, item=answer)
            response = (await talk.until("response.done", number)).response
            told = thinking.told()[-1]
            assert told[0] == "tool"
            assert ("true" in told[1], "not approved" in told[1]) == (approve, not approve)
            assert (response.output[0].error is None) == approve
        assert len(talk.of("response.mcp_call.in_progress")) == 1
        # The same answer again: nobody waits for it.
        await talk.send("conversation.item.create", item=answer)
        assert "No call waits" in (await talk.until("error")).error.message


async def test_what_is_approved_after_its_response_was_cut_off_is_told(
    parley: Running, thinking: Mind, house: str
) -> None:
    thinking.answer = calls_once("house_switch", lamp="hall")
    async with talking(parley.url, session=TEXT) as talk:
        await named(talk, house)
        await talk.until("mcp_list_tools.completed")
        await talk.send("conversation.item.create", item=typed("Light!"))
        await talk.send("response.create")
        request = await approval(talk, 1)
        await talk.send("response.cancel")
        assert (await talk.until("response.done")).response.status == "cancelled"
        answer = {"type": "mcp_approval_response", "approval_request_id": request.id, "approve": True}
        await talk.send("conversation.item.create", item=answer)
        said = (await talk.until("response.done", 2)).response
        assert said.status == "completed"
        assert "true" in thinking.told()[-1][1]


async def approval(talk: Talk, number: int) -> Any:
    """The so-manieth request for approval."""
    while True:
        found = [event.item for event in talk.of("conversation.item.done") if event.item.type == "mcp_approval_request"]
        if len(found) >= number:
            return found[number - 1]
        await talk.until("conversation.item.done", len(talk.of("conversation.item.done")) + 1)


async def test_who_hangs_up_does_not_wait_for_a_server_that_does_not_answer_any_more(
    parley: Running, slow: SlowHouse
) -> None:
    tools = [{"type": "mcp", "server_label": "slow", "server_url": slow.url}]
    slow.asked_to_end.clear()
    slow.given_up.clear()
    async with calling(parley.url, "any", {"type": "realtime", "tools": tools}) as caller:
        await caller.until("mcp_list_tools.completed")
        async with httpx.AsyncClient(base_url=parley.url) as http:
            assert (await http.post(f"{caller.location}/hangup")).status_code == 200
        async with asyncio.timeout(30):
            await caller.over.wait()
            assert not slow.given_up.is_set()
            assert await asyncio.to_thread(slow.asked_to_end.wait, 30)
            assert await asyncio.to_thread(slow.given_up.wait, 30)  # somebody still sees to it, and not for ever


async def test_only_servers_that_the_settings_name_are_asked(parley: Running, house: str, nobody: str) -> None:
    async with talking(parley.url) as talk:
        await named(talk, house.replace("/mcp", "/other"))
        error = (await talk.until("error")).error
        assert (error.code, error.param) == ("mcp_server_not_allowed", "session.tools")
        await named(talk, nobody)
        await talk.until("mcp_list_tools.failed")
        response = await talk.say("Hello")
        assert response.status == "completed"
