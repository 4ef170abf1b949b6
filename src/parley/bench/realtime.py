"""What OpenAI's Realtime interface costs beside Parley's own protocol: the first sound, and an interruption.

First audio: a typed turn through the script and the instant tone voice, over either protocol, on one server. The clock
stops when the first sound has been received.

Interruption: from the moment at which the frame with the first speech sample is sent to the arrival of the last sound
of the reply, in noise (``snr``, 20 dB) that never stops. The client cannot be paused, so what it was sent before is
still heard: at most ``api.realtime.lead`` (0.15 s) more. ``speech_started`` comes when the floor is taken.

Side by side (``--sessions``, 50): that many sessions of one server, each with an open microphone and a story that is
told. A piece of sound is late by what a player that has no buffer, and started with the first one, waits for it.

``--set``: snr (dB), seconds (measured for each number of sessions, 10), noise (dB of their rooms, -65).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from parley import clock
from parley.bench import speech
from parley.bench.barge_in import SENTENCES
from parley.bench.concurrency import measured
from parley.bench.first_audio import measure
from parley.bench.load import NOISE_DB, LoadRequest
from parley.bench.probe import STORY, Mouth, at_rate
from parley.bench.report import BenchOptions, Goal, LoadMeter, Row, row
from parley.bench.stack import running_parley
from parley.errors import ParleyError, TimedOut, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import numpy as np
    from numpy.typing import NDArray

    from parley.bench.stack import RunningParley

TRIALS = 60
SESSIONS = (50,)
TOO_LATE = 0.010
"""Seconds behind a player without a buffer."""
RATE = 24_000
SIDE_BY_SIDE = 5
PATIENCE = 3.0
"""Seconds after which an interruption counts as missed."""
_TURN = "Tell me a story."
_PATH = "/v1/realtime?model=gpt-realtime"


@dataclass
class Client:
    """One connection, with the time at which each event came."""

    socket: Any
    events: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, kind: str, **fields: Any) -> None:
        """One event."""
        try:
            await self.socket.send(json.dumps({"type": kind, **fields}))
        except ConnectionClosed:
            raise UnavailableError("The server has closed the connection.") from None

    async def send_microphone(self, pcm: bytes) -> None:
        """The next frame, for ``probe.Mouth``."""
        await self.send("input_audio_buffer.append", audio=base64.b64encode(pcm).decode())

    async def read(self) -> None:
        """Until the server has gone."""
        with contextlib.suppress(ConnectionClosed):
            async for message in self.socket:
                self.events.append((clock.now(), json.loads(message)))
                self.news.set()

    def times(self, kind: str, since: int = 0) -> list[float]:
        """When events of this type came."""
        return [at for at, event in self.events[since:] if event["type"] == kind]

    async def until(self, kind: str, since: int = 0, within: float = 30.0) -> float:
        """When the first of this type came. Raises TimedOut."""
        try:
            async with asyncio.timeout(within):
                while not self.times(kind, since):
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            raise TimedOut(f"No {kind} came within {within:g} seconds.") from None
        return self.times(kind, since)[0]

    async def ask(self, text: str) -> None:
        """A typed turn."""
        content = [{"type": "input_text", "text": text}]
        await self.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        await self.send("response.create")


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Client, None]:
    """A session over the Realtime interface of the server whose session endpoint is ``url``."""
    address = url.rsplit("/v1/", 1)[0]
    async with connect(address + _PATH, compression=None, max_size=None) as socket:
        client = Client(socket)
        reader = asyncio.create_task(client.read())
        try:
            await client.until("session.created")
            yield client
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)


def run(options: BenchOptions) -> list[Row]:
    said = [at_rate(speech.say(text, who), RATE) for text in SENTENCES for who in speech.speakers()]
    with running_parley(options, worker="tone") as parley:
        meter = LoadMeter()
        trials = options.trials or TRIALS
        own = asyncio.run(measure(parley.url, trials, _TURN, typed=True, seed=options.seed))
        theirs = asyncio.run(_first_audio(parley.url, trials))
        rows = [
            row("first audio, Parley's own protocol", "ms", own, load=meter.read()),
            row("first audio, Realtime", "ms", theirs, load=meter.read()),
        ]
        meter = LoadMeter()
        tally = asyncio.run(_interruptions(parley.url, options, said))
        interrupted = meter.read()
        beside = [made for count in options.sessions or SESSIONS for made in _side_by_side(parley, options, count)]
    noticed = len(tally.last_sound) / max(1, len(tally.last_sound) + tally.missed)
    return [
        *rows,
        row("onset sent to last sound received", "ms", tally.last_sound, goal=Goal(35, 95), load=interrupted),
        row("onset sent to speech_started", "ms", tally.told),
        row("interruptions noticed in 3 s", "of trials", [noticed]),
        row("trials that failed", "trials", [len(tally.failed)]),
        *beside,
    ]


def _side_by_side(parley: RunningParley, options: BenchOptions, count: int) -> list[Row]:
    """So many sessions at a time."""
    meter = LoadMeter()
    seconds, noise_db = options.number("seconds", 10), options.number("noise", NOISE_DB)
    url = f"{parley.url.rsplit('/v1/', 1)[0]}{_PATH}"
    request = LoadRequest(url, count, seconds, _TURN, noise_db, realtime=True)
    window = asyncio.run(measured(parley, request))
    params, cores = {"sessions": count}, window["cores"].get("orchestrator")
    late = [by > 1000 * TOO_LATE for by in window["late"]]
    rows = [
        row("sound late", "ms", window["late"], goal=Goal(p95=10), params=params, load=meter.read()),
        row("sound late by more than 10 ms", "of pieces", [sum(late) / max(1, len(late))], params=params),
        row("participants' own frames late", "ms", window["microphone_late"], params=params),
        row("sessions in trouble", "sessions", [len(window["errors"]) + window["silent_sessions"]], params=params),
    ]
    if cores is not None:
        rows.append(row("CPU of the server", "core s per session s", [cores / count], params=params))
    return rows


async def _first_audio(url: str, trials: int) -> list[float]:
    times = []
    async with connected(url) as client:
        for trial in range(trials + 5):
            since = len(client.events)
            began = clock.now()
            await client.ask(_TURN)
            heard_at = await client.until("response.output_audio.delta", since)
            await asyncio.sleep(0.3)
            await client.send("response.cancel")
            await client.until("response.done", since)
            await asyncio.sleep(0.03)
            if trial >= 5:  # the first ones open channels and warm caches
                times.append(1000 * (heard_at - began))
    return times


@dataclass(slots=True)
class _Tally:
    """What the trials gave, in milliseconds."""

    last_sound: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)
    missed: int = 0
    failed: list[str] = field(default_factory=list)


async def _interruptions(url: str, options: BenchOptions, said: list[NDArray[np.int16]]) -> _Tally:
    tally, random_ = _Tally(), random.Random(options.seed)
    order = random_.sample(range(len(said)), len(said))
    trials = iter(range(options.trials or TRIALS))

    async def participant(index: int) -> None:
        await asyncio.sleep(0.1 * index)
        for trial in trials:
            samples = said[order[trial % len(order)]]
            try:
                await _interrupt(url, options, samples, 0.8 + random_.random(), tally, options.seed + trial)
            except (ParleyError, TimeoutError) as error:
                tally.failed.append(str(error) or "timed out")

    await asyncio.gather(*(participant(index) for index in range(SIDE_BY_SIDE)))
    if not tally.last_sound and tally.failed:
        raise ParleyError(f"No trial succeeded: {tally.failed[0]}")
    return tally


async def _interrupt(
    url: str, options: BenchOptions, samples: NDArray[np.int16], delay: float, tally: _Tally, seed: int
) -> None:
    noise_db = speech.SPEECH_LEVEL_DB - options.number("snr", 20)
    async with connected(url) as client:
        mouth = Mouth(client, rate=RATE, frame_seconds=0.010, noise_db=noise_db, seed=seed)
        talking = asyncio.create_task(mouth.run())
        try:
            since = len(client.events)
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": STORY[:90]}]}
            await client.send("conversation.item.create", item=item)
            await client.send("response.create")
            await client.until("response.output_audio.delta", since)
            spoken_at = await mouth.say(samples, delay)
            try:
                told = await client.until("input_audio_buffer.speech_started", since, PATIENCE)
            except TimedOut:
                tally.missed += 1
                return
            await asyncio.sleep(0.1)  # whatever is still on its way
            sounds = [at for at in client.times("response.output_audio.delta", since) if at <= told]
            tally.last_sound.append(max(0.0, 1000 * (max(sounds) - spoken_at)))
            tally.told.append(1000 * (told - spoken_at))
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
