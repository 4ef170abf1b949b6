"""A whole session with fakes around the real engine, for scripts that read as a timeline."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from parley import clock
from parley.conversation import History
from parley.errors import SessionFailed
from parley.interfaces import EchoGuard, EndOfTurnModel, InterruptionModel, Tools
from parley.messages import ClientMessage, ReplyEnded, ServerMessage, StartSession, StateChanged
from parley.orders import Guest, Manner, Notice, Order
from parley.session.engine import SessionEngine
from parley.session.log import LogEntry
from parley.session.pressure import Relief
from parley.session.settings import SessionSettings
from parley.testing.fakes import (
    FakeLanguageModel,
    FakeRecognizer,
    FakeSynthesizer,
    FakeVad,
    PassThroughMicrophone,
    microphone,
)
from parley.transports.memory import MemoryTransport
from parley.values import Voice

M = TypeVar("M", bound=ServerMessage)
E = TypeVar("E", bound=LogEntry)
N = TypeVar("N", bound=Notice)

_PATIENCE = 120.0


@dataclass
class Recorder:
    """An observer that remembers."""

    entries: list[LogEntry] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)
    watch: Callable[[LogEntry], None] | None = None
    """Called with each entry, at the moment of the decision."""

    def logged(self, entry: LogEntry) -> None:
        self.entries.append(entry)
        if self.watch is not None:
            self.watch(entry)

    def frame_sent(self, lateness: float) -> None:
        self.lateness.append(lateness)


@dataclass
class Conversation:
    """A participant, an engine, and what they said. Times are seconds since the session began."""

    engine: SessionEngine
    transport: MemoryTransport
    language_model: FakeLanguageModel
    recognizer: FakeRecognizer
    synthesizer: FakeSynthesizer
    log: Recorder
    task: asyncio.Task[None]
    told: list[tuple[float, Notice]] = field(default_factory=list)
    """What was said of the conversation's entries, and when; where there is a ``manner``."""

    def noted(self, kind: type[N]) -> list[N]:
        """All notices of a kind, in order."""
        return [notice for _, notice in self.told if isinstance(notice, kind)]

    @property
    def participant(self) -> Any:
        """The other end of the transport."""
        return self.transport.participant

    def say(self, message: ClientMessage | Order) -> None:
        """The client sends a message."""
        self.participant.put(message)

    async def until(self, at: float) -> None:
        """Let time pass."""
        await asyncio.sleep(max(0.0, at - clock.now()))

    def of(self, kind: type[M]) -> list[M]:
        """All messages of a kind, in order."""
        return [message for message in self.participant.messages if isinstance(message, kind)]

    def time_of(self, message: ServerMessage) -> float:
        """When this message arrived."""
        index = next(i for i, known in enumerate(self.participant.messages) if known is message)
        return float(self.participant.times[index])

    def states(self) -> list[tuple[str, str]]:
        """Agent states with the events that led there."""
        return [(message.event, message.agent) for message in self.of(StateChanged)]

    async def heard_out(self, utterances: int = 1) -> None:
        """Wait until so many replies have ended."""
        async with asyncio.timeout(_PATIENCE):
            while len(self.of(ReplyEnded)) < utterances:
                self.participant.arrived.clear()
                await self.participant.arrived.wait()

    def logged(self, kind: type[E]) -> list[E]:
        """All log entries of a kind, in order."""
        return [entry for entry in self.log.entries if isinstance(entry, kind)]

    @property
    def history(self) -> list[tuple[str, str]]:
        """Role and text."""
        return [(message.role, message.text) for message in self.engine.history.messages()]


@asynccontextmanager
async def conversation(
    *,
    sounds: Sequence[tuple[float, ...]] = (),
    muted: Sequence[tuple[float, float]] = (),
    turns: Sequence[Sequence[tuple[float, str]]] = (),
    listen_until: float | None = None,
    start: StartSession | None = None,
    settings: SessionSettings | None = None,
    language_model: FakeLanguageModel | None = None,
    recognizer: FakeRecognizer | None = None,
    synthesizer: FakeSynthesizer | None = None,
    echo: EchoGuard | None = None,
    end_of_turn: EndOfTurnModel | None = None,
    interruption: InterruptionModel | None = None,
    tools: Tools | None = None,
    history: History | None = None,
    manner: Manner | None = None,
    reports: bool = False,
    delay: float = 0.0,
    alone: bool = True,
    faulty: bool = False,
    relief: Relief | None = None,
    voice: Voice | None = None,
) -> AsyncIterator[Conversation]:
    """Hold a conversation at time 0; with a ``manner``, one whose client knows it entry by entry.

    ``sounds`` are stretches of speech (from, to, how loud), ``turns`` what the recogniser hears. The microphone is
    on while there are sounds, plus two seconds (or until ``listen_until``), but not while it is ``muted``. At the
    end the participant leaves, every task must be gone (not asked unless it is ``alone`` on the loop), and the
    session must not have met a fault of its own (unless it is ``faulty`` on purpose).
    """
    transport = MemoryTransport(reports=reports, delay=delay)
    notices: list[tuple[float, Notice]] = []
    numbers = itertools.count(1)

    async def told(notice: Notice) -> None:
        notices.append((clock.now(), notice))

    if manner is not None and history is None:
        history = History(name=lambda: f"item_{next(numbers)}", keep_empty=True)
    log = Recorder()
    model = language_model or FakeLanguageModel()
    ears = recognizer or FakeRecognizer(turns=list(turns))
    speaker = synthesizer or FakeSynthesizer()
    begin = start or StartSession(playout_reports=reports)
    engine = SessionEngine(
        transport,
        begin if voice is None else replace(begin, voice=voice),
        session_id="s1",
        microphone=PassThroughMicrophone(),
        vad=FakeVad(),
        recognizer=ears,
        language_model=model,
        synthesizer=speaker,
        settings=settings or SessionSettings(),
        observer=log,
        echo=echo,
        end_of_turn=end_of_turn,
        interruption=interruption,
        tools=tools,
        history=history,
        guest=Guest(manner, told, lambda: f"item_{next(numbers)}") if manner is not None else None,
        relief=relief,
    )
    others = asyncio.all_tasks()
    task = asyncio.create_task(engine.run())
    last = listen_until if listen_until is not None else max((sound[1] + 2 for sound in sounds), default=0.0)
    talking = asyncio.create_task(microphone(transport.participant.speak, *sounds, until=last, muted=muted))
    try:
        yield Conversation(engine, transport, model, ears, speaker, log, task, notices)
    finally:
        talking.cancel()
        await transport.participant.hang_up()
        ends = await asyncio.gather(task, talking, return_exceptions=True)
    left = asyncio.all_tasks() - others
    assert not left or not alone, f"tasks left behind: {left}"
    for end in ends:
        if isinstance(end, SessionFailed) and not faulty:
            raise end
