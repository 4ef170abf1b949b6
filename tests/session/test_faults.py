"""A fault of the session's own code ends that session loudly, wherever it arises, and never looks like an engine's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from parley import clock
from parley.conversation import History
from parley.errors import EngineError, InvalidTransition, NotFound, SessionFailed
from parley.messages import EndTurn, ErrorMessage, Interrupt, StartSession, TextInput
from parley.session.decide.floor_table import Event
from parley.session.floor import Floor
from parley.session.log import Decided, Failed, LogEntry, ReplyOver, Silent, Speculated, Stages, Transition, TurnClosed
from parley.session.outbox import Notices, Outbox
from parley.session.settings import LimitSettings, PlayoutSettings, SessionSettings
from parley.session.speaking.reply import Reply, ReplyParts
from parley.session.speaking.tools import ToolCalls
from parley.session.tasks import Faults, Tasks, Timers
from parley.testing.conversation import Conversation, conversation
from parley.testing.fakes import FakeLanguageModel, FakeRecognizer, FakeSynthesizer
from parley.transports.memory import MemoryTransport
from parley.values import ChangeVoice, Voice

pytestmark = pytest.mark.anyio

STORY = "A long time ago there was a king who had three daughters and no sons at all."
WHAT_TIME = [(0.7, "what time"), (1.1, "what time is it")]


def breaks(on: Callable[[LogEntry], bool]) -> Callable[[LogEntry], None]:
    """An observer's fault, at an entry of this kind."""

    def watch(entry: LogEntry) -> None:
        assert not on(entry), "a broken observer"

    return watch


async def ended_by_its_own_fault(talk: Conversation, caplog: pytest.LogCaptureFixture, cause: str) -> None:
    """The session is over, its log names the cause with a traceback, and no engine was blamed."""
    async with asyncio.timeout(30):
        with pytest.raises(SessionFailed):
            await talk.task
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert cause in str(record.exc_info[1])
    assert not [message for message in talk.of(ErrorMessage) if "recogniser" in message.message]
    assert not [message for message in talk.of(ErrorMessage) if "voice" in message.message]
    assert not [message for message in talk.of(ErrorMessage) if "language model" in message.message]


# --- around the engines -------------------------------------------------------------------


async def test_what_fails_after_the_recogniser_spoke_is_not_the_recogniser(caplog: pytest.LogCaptureFixture) -> None:
    turns = [[(0.4, "stop"), (0.9, "stop it")]]
    async with conversation(
        faulty=True, sounds=[(1.0, 2.5)], turns=turns, language_model=FakeLanguageModel(lambda _: STORY)
    ) as talk:
        talk.log.watch = breaks(lambda entry: isinstance(entry, Decided))
        talk.say(TextInput("tell me a story"))
        await ended_by_its_own_fault(talk, caplog, "a broken observer")


async def test_an_impossible_transition_is_not_survived_as_if_it_were_an_engine_s(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with conversation(faulty=True, sounds=[(0.5, 1.5)], turns=[WHAT_TIME]) as talk:

        def watch(entry: LogEntry) -> None:
            if isinstance(entry, Speculated):  # logged where the recogniser's final transcript is taken
                talk.engine._on(Event.REPLY_KEPT)

        talk.log.watch = watch
        await ended_by_its_own_fault(talk, caplog, "reply_kept cannot happen")


async def test_an_observer_that_fails_at_a_reply_s_beginning_is_not_the_voice(caplog: pytest.LogCaptureFixture) -> None:
    async with conversation(faulty=True) as talk:
        talk.log.watch = breaks(lambda entry: isinstance(entry, Transition) and entry.event == "reply_ready")
        talk.say(TextInput("hello"))
        await ended_by_its_own_fault(talk, caplog, "a broken observer")


async def test_an_observer_that_fails_at_a_frame_is_not_the_voice(caplog: pytest.LogCaptureFixture) -> None:
    async with conversation(faulty=True) as talk:

        def frame_sent(_: float) -> None:
            raise AssertionError("a broken observer")

        talk.log.frame_sent = frame_sent  # type: ignore[method-assign]
        talk.say(TextInput("hello"))
        await ended_by_its_own_fault(talk, caplog, "a broken observer")


@dataclass
class BrokenOwner:
    """A reply's owner with a fault in one of its methods."""

    broken: str
    told: list[str] = field(default_factory=list)

    def _hear(self, name: str) -> None:
        self.told.append(name)
        if name == self.broken:
            raise NotFound("even a fault that looks like a refusal")

    async def reply_ready(self, reply: Reply) -> None:
        self._hear("reply_ready")
        reply.announce()

    def reply_text(self, *_: Any) -> None:
        self._hear("reply_text")

    def reply_frame(self, *_: Any) -> None:
        self._hear("reply_frame")

    def reply_finished(self, _: Reply) -> None:
        self._hear("reply_finished")

    def reply_failed(self, *_: Any) -> None:
        self._hear("reply_failed")

    def reply_troubled(self, *_: Any) -> None:
        self._hear("reply_troubled")

    def voice_ordered(self, _: Voice) -> None:
        self._hear("voice_ordered")


ENGINES: dict[str, tuple[FakeLanguageModel, FakeSynthesizer]] = {
    "reply_ready": (FakeLanguageModel(), FakeSynthesizer()),
    "reply_text": (FakeLanguageModel(), FakeSynthesizer()),
    "reply_frame": (FakeLanguageModel(), FakeSynthesizer()),
    "reply_finished": (FakeLanguageModel(), FakeSynthesizer()),
    "reply_failed": (FakeLanguageModel(), FakeSynthesizer(error=EngineError("gone"))),
    "reply_troubled": (FakeLanguageModel(error=EngineError("gone")), FakeSynthesizer()),
    "voice_ordered": (FakeLanguageModel(lambda _: ["One.", ChangeVoice(Voice("other"))]), FakeSynthesizer()),
}


@pytest.mark.parametrize("method", ENGINES)
async def test_a_reply_s_owner_that_fails_is_heard_and_blamed_on_no_engine(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[SessionFailed] = []
    tasks, owner = Tasks("s1", Faults(heard.append)), BrokenOwner(method)
    model, voice = ENGINES[method]
    settings, notices = SessionSettings(), Notices(Outbox(MemoryTransport()), Silent())
    tools = ToolCalls(None, "s1", Floor(Voice()), History(), notices, tasks.spawn, settings.tools, news=lambda: None)
    parts = ReplyParts("s1", MemoryTransport(), voice, model, tools, settings, tasks.spawn)
    async with asyncio.TaskGroup() as group:
        tasks.open(group)
        reply = Reply(
            parts, owner, "u1", turn=1, turn_text="hello", to_speech=False, voice=Voice(), stages=Stages(clock.now())
        )
        reply.start([])
        reply.adopt()
        async with asyncio.timeout(30):
            while not heard:
                await asyncio.sleep(0.02)
        tasks.cancel()
    assert owner.told.count(method) == 1
    assert owner.told[-1] in (method, "reply_frame")
    assert "NotFound" in caplog.text


# --- timers -------------------------------------------------------------------------------


class ForgetfulHistory(History):
    """Cannot be read."""

    def messages(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("a broken history")


def _closed(reason: str) -> Callable[[LogEntry], bool]:
    return lambda entry: isinstance(entry, TurnClosed) and entry.reason == reason


async def test_a_fault_in_the_timer_that_ends_a_turn_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    async with conversation(faulty=True, sounds=[(0.5, 1.5)], turns=[WHAT_TIME]) as talk:
        talk.log.watch = breaks(_closed("silence"))
        await ended_by_its_own_fault(talk, caplog, "a broken observer")


async def test_a_fault_in_the_timer_that_begins_a_guess_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    history = ForgetfulHistory(limit=5)
    start = StartSession(settings={"endpointing.min_delay": 1.0})
    async with conversation(faulty=True, sounds=[(0.5, 1.2)], turns=[WHAT_TIME], start=start, listen_until=9) as talk:
        talk.engine.history.messages = history.messages  # type: ignore[method-assign]
        await ended_by_its_own_fault(talk, caplog, "a broken history")


async def test_a_fault_in_the_timer_that_judges_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    model = FakeLanguageModel(lambda _: STORY)
    async with conversation(faulty=True, sounds=[(1.0, 1.2)], listen_until=1.18, language_model=model) as talk:
        talk.log.watch = breaks(lambda entry: isinstance(entry, Decided))
        talk.say(TextInput("tell me a story"))
        await ended_by_its_own_fault(talk, caplog, "a broken observer")


async def test_a_fault_in_the_timer_that_settles_a_cut_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    settings = SessionSettings(playout=PlayoutSettings(report_timeout=0.1))
    async with conversation(faulty=True, reports=True, delay=0.4, settings=settings) as talk:
        talk.log.watch = breaks(lambda entry: isinstance(entry, ReplyOver))
        talk.say(TextInput("hello"))
        await talk.until(0.6)
        talk.say(Interrupt())
        await ended_by_its_own_fault(talk, caplog, "a broken observer")


async def test_a_fault_in_the_timer_that_looks_for_what_hangs_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    settings = SessionSettings(limits=LimitSettings(max_turn=2.0))
    async with conversation(faulty=True, sounds=[(0.5, 9.0)], turns=[WHAT_TIME], settings=settings) as talk:
        talk.log.watch = breaks(_closed("limit"))
        await ended_by_its_own_fault(talk, caplog, "a broken observer")


async def test_a_timer_that_fails_is_heard_whatever_it_is_for(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[SessionFailed] = []
    timers = Timers(Faults(heard.append))

    def fail() -> None:
        raise InvalidTransition("never")

    timers.set("any", clock.now() + 1, fail)
    await asyncio.sleep(2)
    assert len(heard) == 1
    assert "InvalidTransition" in caplog.text


# --- whatever else calls us ---------------------------------------------------------------


async def test_a_fault_in_what_a_client_asked_for_ends_the_session(caplog: pytest.LogCaptureFixture) -> None:
    async with conversation(faulty=True, sounds=[(0.5, 3.0)], turns=[WHAT_TIME]) as talk:
        talk.log.watch = breaks(_closed("message"))
        await talk.until(2.0)
        talk.say(EndTurn())
        await ended_by_its_own_fault(talk, caplog, "a broken observer")


async def test_a_fault_at_the_goodbye_is_heard_too(caplog: pytest.LogCaptureFixture) -> None:
    async with conversation(faulty=True) as talk:
        talk.log.watch = breaks(lambda entry: isinstance(entry, Transition) and entry.event == "session_ended")
        await talk.until(0.1)
        talk.engine.end("Enough.")
        await ended_by_its_own_fault(talk, caplog, "a broken observer")


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), AssertionError("a bug"), InvalidTransition("a bug")])
async def test_whatever_an_engine_raises_is_told_and_survived(error: Exception) -> None:
    broken: Sequence[Any] = (
        {"recognizer": FakeRecognizer(error=error)},  # type: ignore[arg-type]
        {"language_model": FakeLanguageModel(error=error)},  # type: ignore[arg-type]
        {"synthesizer": FakeSynthesizer(error=error)},  # type: ignore[arg-type]
    )
    for engines in broken:
        at = clock.now()
        async with conversation(sounds=[(at + 0.5, at + 1.0)], **engines) as talk:
            await talk.until(at + 2.0)
            talk.say(TextInput("hello"))
            await talk.until(at + 4.0)
            (failed,) = {(entry.code, entry.message) for entry in talk.logged(Failed)}
            assert failed[0] == "internal"
            assert "failed; the server's log says why" in failed[1]
            assert not talk.task.done()
