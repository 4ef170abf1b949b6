"""Orchestrators that share a port: whoever comes by another connection finds what any of them keeps.

Each request here has a connection of its own, and the system deals them out: of twelve, some reach another process.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from tests.integration.api.realtime_call import calling

from parley.client.session import SessionClient
from parley.client.webrtc import WebRtcClient
from parley.errors import Unauthorized
from parley.messages import StartSession

from .conftest import Fleet
from .stack import Orchestrator, Orchestrators

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]
KEY = "a-key-of-the-test"
TRIES = 12
HEADERS = {"Authorization": f"Bearer {KEY}"}
ODD = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": '"another"', **HEADERS}


@pytest.fixture
async def together(fleet: Fleet, tmp_path: Path) -> Orchestrator:
    await fleet.start("alpha")
    options = (f"server.api_key={KEY}", "webrtc.enabled=true", "webrtc.loopback=true", "mcp.enabled=true")
    arguments = [part for option in options for part in ("--set", option)]
    return await Orchestrators(fleet, tmp_path).start("--processes", "2", *arguments)


def base(together: Orchestrator) -> str:
    return f"http://127.0.0.1:{together.port}"


async def asked(method: str, url: str, headers: dict[str, str] = HEADERS, **more: Any) -> httpx2.Response:
    """Over a connection of its own."""
    async with httpx2.AsyncClient(timeout=20) as http:
        return await http.request(method, url, headers=headers, **more)


async def test_a_session_by_webrtc_is_changed_and_ended_whoever_is_asked(together: Orchestrator) -> None:
    async with WebRtcClient(base(together), api_key=KEY) as client:
        statuses = [(await asked("PATCH", client.location, ODD, content=b"")).status_code for _ in range(TRIES)]
        assert statuses == [412] * TRIES  # it is found: the candidates are of no ICE session that it had
        strangers = [(await asked("PATCH", client.location, {}, content=b"")).status_code for _ in range(TRIES)]
        assert strangers == [401] * TRIES
        for _ in range(4):
            await client.restart_ice()
    async with asyncio.timeout(10):
        while (gone := await asked("DELETE", client.location)).status_code != 404:
            await asyncio.sleep(0.05)
    assert gone.json()["message"] == "There is no such session, or it is over; POST a new offer."


async def test_a_browsers_key_is_good_everywhere_and_its_call_is_hung_up_whoever_is_asked(
    together: Orchestrator,
) -> None:
    url = base(together)
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY) as client:
        made = await client.realtime.client_secrets.create(session={"type": "realtime", "instructions": "Be brief."})
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=made.value) as client:
        for _ in range(TRIES):
            async with client.realtime.connect(model="gpt-realtime") as connection:
                created: Any = await connection.recv()
                assert (created.type, created.session.instructions) == ("session.created", "Be brief.")
    for _ in range(4):
        async with calling(url, made.value) as caller:
            hung_up = await asked("POST", f"{url}{caller.location}/hangup")
            assert hung_up.status_code == 200
            async with asyncio.timeout(10):
                await caller.over.wait()


async def test_a_token_opens_one_conversation_whoever_is_asked(together: Orchestrator) -> None:
    made = [await asked("POST", f"{base(together)}/v1/tokens") for _ in range(4)]
    for token in (each.json()["token"] for each in made):
        async with SessionClient(base(together), api_key=token) as client:
            before = client.started.session_id
            for _ in range(TRIES):
                with pytest.raises(Unauthorized, match="has opened a conversation already"):
                    async with SessionClient(base(together), api_key=token):
                        pass
        async with SessionClient(base(together), StartSession(resume_session=before), api_key=token):
            pass


async def test_a_session_of_an_mcp_client_goes_on_whoever_is_asked(together: Orchestrator) -> None:
    await use_mcp(together, "auto")
    await use_mcp(together, "legacy")


async def use_mcp(together: Orchestrator, mode: Any) -> None:
    progress: list[float] = []

    async def heard(seconds: float, *_: Any) -> None:
        progress.append(seconds)

    limits = httpx2.Limits(max_keepalive_connections=0)
    async with (
        httpx2.AsyncClient(headers=HEADERS, timeout=60, limits=limits) as http,
        Client(streamable_http_client(f"{base(together)}/mcp", http_client=http), mode=mode) as client,
    ):
        for _ in range(TRIES):
            assert (await client.call_tool("models", {})).structured_content["voices"]
        text = "one two three four five six seven eight nine ten"
        said = await client.call_tool("say", {"text": text}, progress_callback=heard)
        assert not said.is_error, said.content[0].text
    assert progress


async def test_what_a_process_kept_that_ended_is_not_there(together: Orchestrator) -> None:
    async with WebRtcClient(base(together), api_key=KEY) as client:
        for child in together.children():
            child.kill()
        async with asyncio.timeout(60):
            while True:
                try:
                    gone = await asked("PATCH", client.location, ODD, content=b"")
                except httpx2.TransportError:
                    await asyncio.sleep(0.1)
                else:
                    break
        assert gone.status_code == 404
