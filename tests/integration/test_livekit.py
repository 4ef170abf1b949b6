"""A real LiveKit server sends jobs to the orchestrator: dispatch, stock clients, tokens, drain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import jwt
import pytest
from livekit import rtc
from starlette.applications import Starlette

from parley.audio.frame import WordMark
from parley.errors import ConfigError, Unauthorized
from parley.interfaces import Transport
from parley.messages import (
    ReplyEnded,
    ReplyStarted,
    ReplyText,
    ReplyWords,
    SessionStarted,
    StartSession,
    StateChanged,
    TextInput,
    TranscriptUpdate,
)
from parley.server.livekit import LiveKitEndpoint, LiveKitWorker, participant_token
from parley.server.livekit_asked import Asked
from parley.testing.livekit_server import LiveKitServer
from parley.transports.bounds import ClientBounds
from parley.transports.codec import decode_server, encode
from parley.transports.livekit_settings import LiveKitSettings
from parley.values import Role

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not LiveKitServer.available(), reason="livekit-server is not installed"),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Host:
    """Answers typed text with a reply of two words, as the engine would tell it."""

    def __init__(self) -> None:
        self.bounds = ClientBounds()
        self.starts: list[StartSession] = []
        self.active = 0
        self.origin_checked = ""

    def check_origin(self, origin: str, host: str) -> None:
        self.origin_checked = host

    def check_key(self, key: str, role: Role = Role.TALK, *, tokens: bool = False) -> None:
        if key != "secret":
            raise Unauthorized("The key is wrong.")

    async def run_session(self, transport: Transport, start: StartSession) -> None:
        self.starts.append(start)
        self.active += 1
        try:
            await transport.send_message(SessionStarted("s1"))
            async for item in transport:
                if isinstance(item, TextInput):
                    await self._reply(transport, item.text)
        finally:
            self.active -= 1

    async def _reply(self, transport: Transport, text: str) -> None:
        await transport.send_message(TranscriptUpdate(1, text, final=True))
        await transport.send_message(StateChanged("silent", "speaking"))
        await transport.send_message(ReplyStarted("u1", 1))
        await transport.send_message(ReplyText("u1", "Hello there, you."))
        await transport.send_message(ReplyWords("u1", (WordMark(0, 5, 0, 9_600), WordMark(6, 12, 9_600, 19_200))))
        await transport.send_message(ReplyEnded("u1", "interrupted", "Hello there, you.", "Hello there,", 19_200))


class StockClient:
    """A participant who has never heard of Parley."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.streams: list[tuple[str, str, dict[str, str]]] = []
        self.messages: list[object] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.room.register_text_stream_handler("lk.transcription", self._on_stream)
        self.room.on("data_received", self._on_data)

    def _on_data(self, packet: rtc.DataPacket) -> None:
        if packet.topic == "parley":
            self.messages.append(decode_server(packet.data.decode()))

    def _on_stream(self, reader: rtc.TextStreamReader, identity: str) -> None:
        async def read() -> None:
            text = await reader.read_all()
            self.streams.append((identity, text, dict(reader.info.attributes or {})))

        task = asyncio.create_task(read())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def agent_state(self) -> str:
        states = [p.attributes.get("lk.agent.state", "") for p in self.room.remote_participants.values()]
        return states[0] if states else ""


async def until(condition: Callable[[], object], patience: float = 15.0) -> None:
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def orchestrator(folder: Path) -> AsyncIterator[tuple[LiveKitSettings, Host, LiveKitWorker]]:
    async with LiveKitServer(folder) as server:
        settings = LiveKitSettings(url=server.url, api_key=server.api_key, api_secret=server.api_secret, drain=3)
        host = Host()
        worker = LiveKitWorker(host, settings, load=lambda: host.active / 2)
        await worker.start()
        try:
            async with asyncio.timeout(15):
                await worker.registered()
            yield settings, host, worker
        finally:
            await worker.aclose()


@asynccontextmanager
async def joined(settings: LiveKitSettings, room: str, *, ours: bool = False) -> AsyncIterator[StockClient]:
    client = StockClient()
    await client.room.connect(
        settings.url, participant_token(settings, room, f"someone-{room}", None if ours else Asked())
    )
    try:
        yield client
    finally:
        await client.room.disconnect()


async def test_a_room_gets_its_agent_and_stock_components_see_state_and_transcripts(tmp_path: Path) -> None:
    async with orchestrator(tmp_path) as (settings, host, _):
        async with joined(settings, "a") as client:
            await until(lambda: client.agent_state == "listening")
            await client.room.local_participant.send_text("good morning", topic="lk.chat")
            await until(lambda: len(client.streams) == 2)
            said, spoken = sorted(client.streams, key=lambda stream: stream[1] != "good morning")
            assert said[0] == "someone-a"
            assert said[1] == "good morning"
            assert said[2]["lk.transcription_final"] == "true"
            assert spoken[0].startswith("agent-")
            assert spoken[1] == "Hello there,"
            assert spoken[2]["lk.segment_id"] == "u1"
            assert host.starts == [StartSession()]
        await until(lambda: host.active == 0)


async def test_a_parley_client_starts_the_session_itself(tmp_path: Path) -> None:
    async with orchestrator(tmp_path) as (settings, host, _), joined(settings, "b", ours=True) as client:
        start = StartSession(language="de", playout_reports=True)
        await until(lambda: client.room.remote_participants)
        await client.room.local_participant.publish_data(encode(start), topic="parley")
        await until(lambda: SessionStarted("s1") in client.messages)
        assert host.starts == [start]


async def test_two_rooms_are_two_sessions_and_a_full_worker_gets_no_third(tmp_path: Path) -> None:
    async with (
        orchestrator(tmp_path) as (settings, host, worker),
        joined(settings, "one") as first,
        joined(settings, "two") as second,
    ):
        await until(lambda: first.agent_state and second.agent_state)
        assert worker.sessions == 2
        await asyncio.sleep(3)  # the load is reported every 2.5 seconds
        async with joined(settings, "three") as third:
            await asyncio.sleep(1)  # nobody comes: only time can show it
            assert not third.room.remote_participants
        assert host.active == 2


async def test_a_draining_worker_finishes_its_sessions(tmp_path: Path) -> None:
    async with orchestrator(tmp_path) as (settings, host, worker):
        async with joined(settings, "d") as client:
            await until(lambda: client.agent_state)
            draining = asyncio.create_task(worker.drain())
            await asyncio.sleep(0.5)  # a drain that ended sessions would do it at once
            assert host.active == 1
            assert not draining.done()
        await draining
        assert host.active == 0


async def test_a_token_opens_one_fresh_room_for_a_short_while() -> None:
    settings = LiveKitSettings(url="ws://127.0.0.1:1", api_key="k", api_secret="s" * 32, token_ttl=60)
    app = Starlette(routes=LiveKitEndpoint(Host(), settings).routes)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://parley") as http:
        assert (await http.post("/v1/livekit/token")).status_code == 401
        headers = {"Authorization": "Bearer secret"}
        first = (await http.post("/v1/livekit/token", headers=headers)).json()
        second = (await http.post("/v1/livekit/token?client=stock", headers=headers)).json()
        body = {
            "room_name": "mine",
            "participant_name": "Ada",
            "participant_attributes": {"plan": "free"},
            "room_config": {"agents": [{"agent_name": "parley"}]},
        }
        third = await http.post("/v1/livekit/token", headers=headers, json=body)
        body["room_config"] = {"agents": [{"agent_name": "somebody else"}]}
        refused = await http.post("/v1/livekit/token", headers=headers, json=body)
    claims = jwt.decode(first["token"], "s" * 32, algorithms=["HS256"])
    assert first["room"] != second["room"]
    assert claims["video"]["room"] == first["room"]
    assert claims["video"]["canPublishSources"] == ["microphone"]
    assert not claims["video"].get("roomAdmin")
    assert claims["exp"] - claims["nbf"] <= 60 + 60
    assert claims["roomConfig"]["agents"] == [{"agentName": "parley"}]
    assert claims["attributes"] == {"parley.client": "1"}
    assert "attributes" not in jwt.decode(second["token"], "s" * 32, algorithms=["HS256"])
    assert (third.status_code, refused.status_code) == (201, 404)
    answer = third.json()
    assert answer["server_url"] == answer["serverUrl"] == settings.url
    assert answer["participant_token"] == answer["participantToken"]
    assert answer["participantName"] == "Ada"
    asked = jwt.decode(answer["participant_token"], "s" * 32, algorithms=["HS256"])
    assert (asked["name"], asked["attributes"]) == ("Ada", {"plan": "free"})
    assert asked["video"]["room"] == answer["roomName"] != "mine"


async def test_no_token_is_given_while_no_agent_would_come() -> None:
    settings = LiveKitSettings(url="ws://127.0.0.1:1", api_key="k", api_secret="s" * 32)
    app = Starlette(routes=LiveKitEndpoint(Host(), settings, ready=lambda: False).routes)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://parley") as http:
        answer = await http.post("/v1/livekit/token", headers={"Authorization": "Bearer secret"})
    assert answer.status_code == 503
    assert "LiveKit server is away" in answer.json()["message"]


async def test_the_worker_takes_jobs_again_when_the_livekit_server_is_back(tmp_path: Path) -> None:
    async with LiveKitServer(tmp_path) as server:
        settings = LiveKitSettings(url=server.url, api_key=server.api_key, api_secret=server.api_secret, drain=3)
        worker = LiveKitWorker(Host(), settings, load=lambda: 0.0)
        await worker.start()
        try:
            await until(lambda: worker.ready)
            await server.stop()
            await until(lambda: not worker.ready)
            await server.start()
            await until(lambda: worker.ready)
            async with joined(settings, "again") as client:
                await until(lambda: client.agent_state)
        finally:
            await worker.aclose()


async def test_a_server_without_its_key_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(ConfigError, match="api_key"):
        LiveKitEndpoint(Host(), LiveKitSettings(url="ws://127.0.0.1:7880"))
