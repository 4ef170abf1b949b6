"""A host and its conversations: limits, what is remembered, what is counted, and the end."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from parley.errors import CapacityError, NotFound, SessionFailed, Unauthorized
from parley.messages import EndSession, ReplyEnded, SessionEnded, SessionStarted, StartSession, TextInput, VoiceChanged
from parley.observability.metrics import Metrics
from parley.registry import AnnouncedModel, Announcement
from parley.registry.memory import MemoryRegistry
from parley.registry.snapshots import MemorySnapshots
from parley.routing.pool import PooledSynthesizer
from parley.routing.settings import RoutingSettings
from parley.server.asking import _ASKING, Asking
from parley.server.keys import digest_of
from parley.server.sessions import Parts, SessionHost, _Session
from parley.server.settings import ServerSettings
from parley.session.log import BudgetReacted
from parley.testing.fakes import FakeLanguageModel, FakeRecognizer, FakeSynthesizer, FakeVad
from parley.transports.memory import MemoryTransport
from parley.values import Voice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_tasks_left")]


class FakeLink(FakeSynthesizer):
    """The way to a worker that speaks in virtual time."""

    def __init__(self) -> None:
        super().__init__()
        self.open: set[str] = set()

    async def prepare(self, *, voice: Voice, session_id: str) -> None:
        self.open.add(session_id)

    async def end_session(self, session_id: str) -> None:
        self.open.discard(session_id)

    async def load_model(self, model_id: str) -> None: ...

    async def healthy(self) -> bool:
        return True


class House:
    """A host with one worker, and its participants."""

    def __init__(self, host: SessionHost, link: FakeLink) -> None:
        self.host = host
        self.link = link

    @asynccontextmanager
    async def talking(self, **start: Any) -> AsyncIterator[MemoryTransport]:
        """A participant; hangs up at the end of the block."""
        transport = MemoryTransport()
        task = asyncio.create_task(self.host.run_session(transport, StartSession(**start)))
        try:
            await transport.participant.arrived.wait()
            yield transport
            await transport.participant.send(EndSession())
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await transport.aclose()

    def metrics(self) -> str:
        return self.host.metrics.exposition().decode()


@asynccontextmanager
async def house(**settings: Any) -> AsyncIterator[House]:
    registry = MemoryRegistry()
    models = (AnnouncedModel("m", "fake", is_default=True),)
    await registry.announce(Announcement("w1", "127.0.0.1:1", models=models, resident_models=("m",)), lease=1e6)
    link = FakeLink()
    pool = PooledSynthesizer([registry], RoutingSettings(), lambda _: link)
    pool.start()
    await pool.fleet.known.wait()
    snapshots = MemorySnapshots(30)
    parts = Parts(FakeRecognizer(), FakeLanguageModel(), pool, snapshots=snapshots, make_vad=FakeVad)
    try:
        yield House(SessionHost(ServerSettings(**settings), parts, Metrics()), link)
    finally:
        await pool.aclose()
        await registry.aclose()


def of(transport: MemoryTransport, kind: type) -> list[Any]:
    return [message for message in transport.participant.messages if isinstance(message, kind)]


async def until_heard(transport: MemoryTransport) -> ReplyEnded:
    while not of(transport, ReplyEnded):
        transport.participant.arrived.clear()
        await transport.participant.arrived.wait()
    ended: ReplyEnded = of(transport, ReplyEnded)[-1]
    return ended


async def test_a_session_is_counted_and_frees_its_worker_when_it_is_over() -> None:
    async with house() as home:
        async with home.talking() as transport:
            await transport.participant.send(TextInput("hello"))
            assert (await until_heard(transport)).outcome == "finished"
            assert home.host.sessions == 1
            assert home.link.open
        assert home.host.sessions == 0
        assert home.link.open == set()
        text = home.metrics()
    assert 'parley_sessions_started_total{transport="memory"} 1.0' in text
    assert 'parley_replies_total{outcome="finished"} 1.0' in text
    assert "parley_frame_lateness_seconds_count 0.0" not in text


async def test_who_asks_for_no_voice_is_told_which_one_speaks() -> None:
    async with house() as home, home.talking() as transport:
        (started,) = of(transport, SessionStarted)
        assert started.voice == Voice("m")


async def test_one_session_too_many_is_refused_and_the_others_go_on() -> None:
    async with house(max_sessions=1) as home, home.talking() as transport:
        await transport.participant.send(TextInput("hello"))
        with pytest.raises(CapacityError):
            await home.host.run_session(MemoryTransport(), StartSession())
        assert (await until_heard(transport)).outcome == "finished"


async def test_a_session_in_which_nobody_says_anything_is_ended() -> None:
    async with house(session_idle=60) as home:
        transport = MemoryTransport()
        await home.host.run_session(transport, StartSession())
        assert of(transport, SessionEnded) == [SessionEnded("Nobody has said anything for a long time.")]
        assert 60 < asyncio.get_running_loop().time() < 70


async def test_who_guesses_the_name_of_a_conversation_is_told_nothing_of_it() -> None:
    async with house() as home, home.talking() as transport:
        await transport.participant.send(TextInput("hello"))
        await until_heard(transport)
        name = of(transport, SessionStarted)[0].session_id
        assert len(name) >= 22  # 128 bits
        for guess in (name[:-1], name.swapcase(), "", "*", f"{name}\x00"):
            async with home.talking(resume_session=guess) as stranger:
                (started,) = of(stranger, SessionStarted)
                assert not started.resumed
                assert started.session_id != name


async def test_a_client_that_comes_back_goes_on_with_what_was_said() -> None:
    async with house() as home:
        async with home.talking() as first:
            await first.participant.send(TextInput("hello"))
            await until_heard(first)
            started = first.participant.messages[0]
        async with home.talking(resume_session=started.session_id) as second:  # type: ignore[union-attr]
            await second.participant.send(TextInput("what did I say?"))
            await until_heard(second)
        model = home.host.parts.language_model
    assert isinstance(model, FakeLanguageModel)
    assert [message.text for message in model.asked[-1]] == ["hello", "You said: hello.", "what did I say?"]


async def test_where_answers_come_too_late_who_comes_back_is_let_in_and_nobody_new_is() -> None:
    async with house() as home, home.talking() as first:
        await first.participant.send(TextInput("hello"))
        await until_heard(first)
        session_id = first.participant.messages[0].session_id  # type: ignore[union-attr]
        refuses = BudgetReacted(0.0, "model", "refuse_sessions", on=True, why="overrun", took=2.0)
        home.host._running[session_id]._notices.log(refuses)
        for stranger in ("", "nobody-knows-this-one"):
            with pytest.raises(CapacityError, match="too late"):
                await home.host.run_session(MemoryTransport(), StartSession(resume_session=stranger))
        async with home.talking(resume_session=session_id) as again:
            assert of(again, SessionStarted)[0].resumed


async def test_draining_lets_conversations_finish_and_takes_nobody_new() -> None:
    async with house() as home, home.talking() as transport:
        await transport.participant.send(TextInput("hello"))
        drain = asyncio.create_task(home.host.drain(60))
        assert (await until_heard(transport)).outcome == "finished"
        assert home.host.troubles() == ["The server is stopping and takes no new conversations."]
        await transport.participant.send(EndSession())
        assert await drain


async def test_draining_ends_what_goes_on_for_too_long() -> None:
    async with house() as home:
        transport = MemoryTransport()
        task = asyncio.create_task(home.host.run_session(transport, StartSession()))
        await asyncio.sleep(1)
        assert not await home.host.drain(5)
        await task
        assert of(transport, SessionEnded) == [SessionEnded("The server stops.", resume=True)]


async def test_a_substitute_voice_is_told_after_the_session_has_started() -> None:
    async with house() as home, home.talking() as transport:
        session = next(iter(home.host.parts.voices._sessions.values()))
        assert session.observer is not None
        session.observer(Voice(model="other"), "m is being loaded")
        await transport.participant.send(TextInput("hello"))
        await until_heard(transport)
        assert of(transport, VoiceChanged) == [VoiceChanged(Voice(model="other"), "m is being loaded")]
        assert transport.participant.messages[0].type == "started"


class BrokenVad(FakeVad):
    """A detector with a bug."""

    def score(self, samples: object) -> Any:
        raise ZeroDivisionError("a bug")


async def test_a_session_that_fails_by_its_own_fault_is_counted_under_a_code_of_its_own() -> None:
    async with house() as home:
        home.host.parts = replace(home.host.parts, make_vad=BrokenVad)
        transport = MemoryTransport()
        task = asyncio.create_task(home.host.run_session(transport, StartSession()))
        await transport.participant.arrived.wait()
        await transport.participant.speak(bytes(640))
        with pytest.raises(SessionFailed, match="the server's log says why"):
            await task
        assert 'parley_sessions_failed_total{code="session_failed"} 1.0' in home.metrics()
        assert home.link.open == set()


async def test_who_comes_back_while_the_old_connection_hangs_goes_on_with_every_word() -> None:
    async with house(max_sessions=1) as home:
        old = MemoryTransport(reports=True)
        hanging = asyncio.create_task(home.host.run_session(old, StartSession(playout_reports=True)))
        await old.participant.arrived.wait()
        await old.participant.send(TextInput("hello"))
        await asyncio.sleep(0.7)  # in the middle of the answer, in virtual time
        session_id = old.participant.messages[0].session_id  # type: ignore[union-attr]
        async with home.talking(resume_session=session_id) as new:
            assert of(new, SessionStarted)[0].resumed
            await new.participant.send(TextInput("go on"))
            await until_heard(new)
        await hanging
        model = home.host.parts.language_model
        assert isinstance(model, FakeLanguageModel)
        (question, answer, more) = [message.text for message in model.asked[-1]]
        assert (question, more) == ("hello", "go on")
        assert answer
        assert "You said: hello.".startswith(answer)
        assert answer != "You said: hello."
        assert home.host.sessions == 0


async def test_who_stands_in_line_holds_no_place() -> None:
    async with house(max_sessions=1) as home:
        gone = asyncio.create_task(home.host.run_session(MemoryTransport(), StartSession()))
        await asyncio.sleep(0)
        assert (home.host.in_line, home.host.sessions) == (1, 0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert home.host.in_line == 0


def shows(host: SessionHost, key: str, *, tokens: bool = False) -> None:
    """From here on this task asks with that key."""
    _ASKING.set(Asking("192.0.2.7", "WebSocket /v1/session"))
    host.check_key(key, tokens=tokens)


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    """Two keys, and the settings with the file that holds them."""
    entries = [{"name": name, "sha256": digest_of(f"key of {name}"), "roles": ["talk"]} for name in ("one", "other")]
    (tmp_path / "keys.yaml").write_text(json.dumps({"keys": entries}))
    return {"keys": str(tmp_path / "keys.yaml")}


async def test_nobody_takes_over_a_conversation_of_another_key(keys: dict[str, str]) -> None:
    async with house(**keys) as home:
        shows(home.host, "key of one")
        async with home.talking() as first:
            await first.participant.send(TextInput("hello"))
            await until_heard(first)
            (started,) = of(first, SessionStarted)
            shows(home.host, "key of other")
            async with home.talking(resume_session=started.session_id) as stranger:
                assert not of(stranger, SessionStarted)[0].resumed
                assert home.host.sessions == 2
            assert not of(first, SessionEnded)


async def test_who_may_not_begin_ends_nobodys_conversation(keys: dict[str, str]) -> None:
    async with house(**keys) as home:
        shows(home.host, "key of one")
        token = await home.host.access.token(60)
        async with home.talking() as first:
            await first.participant.send(TextInput("hello"))
            await until_heard(first)
            (started,) = of(first, SessionStarted)
            shows(home.host, token, tokens=True)
            async with home.talking():
                pass
            with pytest.raises(Unauthorized, match="has opened a conversation already"):
                await home.host.run_session(MemoryTransport(), StartSession(resume_session=started.session_id))
            assert not of(first, SessionEnded)


async def test_a_token_whose_conversation_could_not_be_opened_opens_the_next_one(keys: dict[str, str]) -> None:
    async with house(**keys) as home:
        shows(home.host, "key of one")
        token = await home.host.access.token(60)
        shows(home.host, token, tokens=True)
        for _ in range(2):
            with pytest.raises(NotFound):
                await home.host.run_session(MemoryTransport(), StartSession(voice=Voice("no-such-model")))
        async with home.talking() as transport:
            assert of(transport, SessionStarted)


async def test_a_session_that_ends_as_an_errand_of_its_own_begins_leaves_nothing_unawaited() -> None:
    async with house() as home:
        session = _Session("s1", MemoryTransport(), home.host)
        session._look()  # renews what is remembered of it
        session._timer.cancel()
        for task in session._tasks:
            task.cancel()
        await asyncio.gather(*session._tasks, return_exceptions=True)
        assert not session._tasks  # pytest fails a test that leaves a coroutine behind which nobody awaited
