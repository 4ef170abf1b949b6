"""The same conversation over every transport: the same states, in the same order, for the same reasons."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from parley import clock
from parley.asr.instant import InstantRecognizer
from parley.audio.resample import microphone_resampler
from parley.bench import speech
from parley.llm.script import ScriptModel
from parley.messages import EndSession, Interrupt, ReplyEnded, StartSession, StateChanged, TextInput
from parley.rpc.client import GrpcSynthesizer
from parley.session.engine import SessionEngine
from parley.testing.engines import EngineCatalog
from parley.testing.links import livekit_link, memory_link, webrtc_link, websocket_link
from parley.testing.livekit_server import LiveKitServer
from parley.testing.transports import Link, until
from parley.vad import create_vad
from parley.worker.server import Worker
from parley.worker.settings import ModelSettings, WorkerSettings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def voice() -> AsyncIterator[GrpcSynthesizer]:
    worker = Worker(WorkerSettings(port=0, models=ModelSettings(default_model="tone")), EngineCatalog())
    await worker.start()
    client = GrpcSynthesizer(worker.address)
    yield client
    await client.aclose()
    await worker.aclose()


@asynccontextmanager
async def link_to(kind: str, tmp_path: Path) -> AsyncIterator[Link]:
    async with AsyncExitStack() as stack:
        if kind == "memory":
            yield await stack.enter_async_context(memory_link())
        elif kind == "websocket":
            yield await stack.enter_async_context(websocket_link())
        elif kind == "webrtc":
            yield await stack.enter_async_context(webrtc_link())
        else:
            server = await stack.enter_async_context(LiveKitServer(tmp_path))
            yield await stack.enter_async_context(livekit_link(server))


class Participant:
    """Says things, and waits for what comes of them."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._rate = link.transport.input_rate
        self._phrase: list[bytes] = []
        self.task = asyncio.create_task(self._microphone())

    async def _microphone(self) -> None:
        size = self._rate // 50
        due = clock.now()
        while True:
            await self._link.far.speak(self._phrase.pop(0) if self._phrase else bytes(2 * size))
            due += 0.02
            await asyncio.sleep(max(0.0, due - clock.now()))

    def says(self, words: str) -> None:
        samples = speech.say(words)
        if self._rate != speech.RATE:
            samples = samples[: samples.size // 3 * 3].reshape(-1, 3).mean(axis=1).astype(np.int16)
        size = self._rate // 50
        padded = np.concatenate([samples, np.zeros(-samples.size % size, np.int16)])
        self._phrase = [padded[at : at + size].tobytes() for at in range(0, padded.size, size)]

    async def types(self, words: str) -> None:
        await self._link.far.send(TextInput(words))

    @property
    def log(self) -> list[tuple[str, str, str]]:
        states = [message for message in self._link.far.messages if isinstance(message, StateChanged)]
        return [(state.participant, state.agent, state.event) for state in states]

    def outcomes(self) -> list[str]:
        return [message.outcome for message in self._link.far.messages if isinstance(message, ReplyEnded)]

    async def until_agent(self, state: str) -> None:
        await until(lambda: self.log and self.log[-1][1] == state, 20)


Script = Callable[[Participant, Link], Awaitable[None]]


async def converse(link: Link, voice: GrpcSynthesizer, script: Script, understood: str) -> list[tuple[str, str, str]]:
    """Let the script run with a real engine; the recogniser understands the same words whatever is said."""
    engine = SessionEngine(
        link.transport,
        StartSession(playout_reports=True, echo_cancelled=True),
        session_id="same",
        microphone=microphone_resampler(link.transport.input_rate),
        vad=create_vad(),
        recognizer=InstantRecognizer(understood),
        language_model=ScriptModel(),
        synthesizer=voice,
    )
    running = asyncio.create_task(engine.run())
    participant = Participant(link)
    try:
        await script(participant, link)
        await participant.until_agent("idle")
        await link.far.send(EndSession())
        async with asyncio.timeout(10):
            await running
        await participant.until_agent("terminated")
        return participant.log
    finally:
        participant.task.cancel()
        running.cancel()
        await asyncio.gather(participant.task, running, return_exceptions=True)


async def three_turns(participant: Participant, link: Link) -> None:
    """A typed turn that is answered to its end, one that is cut off by a button, one that is spoken."""
    await participant.types("hello")
    await until(lambda: participant.outcomes() == ["finished"], 30)
    await participant.until_agent("idle")
    await participant.types("tell me a story")
    await participant.until_agent("speaking")
    await asyncio.sleep(0.5)  # so that some of it has been heard
    await link.far.send(Interrupt())
    await until(lambda: participant.outcomes() == ["finished", "interrupted"], 20)
    participant.says("Hello there")
    await until(lambda: participant.outcomes() == ["finished", "interrupted", "finished"], 40)


async def a_nod(participant: Participant, link: Link) -> None:
    """Somebody says "mhm" while the agent speaks: it falls silent, and goes on to the end."""
    await participant.types("hello")
    await participant.until_agent("speaking")
    await asyncio.sleep(0.8)  # so that the nod falls into the middle of it
    participant.says("mhm")
    await until(lambda: participant.outcomes() == ["finished"], 30)


@pytest.mark.parametrize(
    ("script", "understood", "telling"),
    [
        (three_turns, "What time is it?", ("silent", "idle", "interrupted")),
        (a_nod, "mhm", ("speaking", "barged_in", "evidence_found")),
    ],
)
async def test_the_state_log_does_not_depend_on_the_transport(
    voice: GrpcSynthesizer, tmp_path: Path, script: Script, understood: str, telling: tuple[str, str, str]
) -> None:
    logs = {}
    for kind in ("memory", "websocket", "webrtc", *(["livekit"] if LiveKitServer.available() else [])):
        async with link_to(kind, tmp_path) as link:
            logs[kind] = await converse(link, voice, script, understood)
    reference = logs.pop("memory")
    assert telling in reference
    for kind, log in logs.items():
        assert log == reference, kind
