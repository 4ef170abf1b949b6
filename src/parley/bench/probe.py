"""A participant with a stopwatch: speaks in real time and knows when each sample was sent.

What the benchmarks that listen closely share; ``load`` is for many participants at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from parley import clock
from parley.bench import speech
from parley.client.playout import Playout
from parley.client.session import Received, SessionClient, error_of
from parley.errors import TimedOut, UnavailableError
from parley.messages import ErrorMessage, ReplyStarted, SayDelta, SayEnd, StartSession

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from numpy.typing import NDArray

    from parley.transports.binary import AgentAudio

M = TypeVar("M")

RATE = 16_000
"""Hz of the benchmarks' microphone, unless they say otherwise."""
FRAME_SECONDS = 0.020
STORY = (
    "Once upon a time there was a lighthouse keeper who counted the ships that passed. "
    "Every evening he wrote their names into a book, and every morning he read them aloud to the sea. "
) * 6
"""Something to interrupt: about a minute."""


class TakesSound(Protocol):
    """Somebody who sends a microphone's frames on."""

    async def send_microphone(self, pcm: bytes) -> None:
        """The next frame. Raises UnavailableError when there is nobody to send it to."""


class Mouth:
    """A microphone that is always open: background noise, and speech laid over it when asked."""

    def __init__(
        self,
        client: TakesSound,
        *,
        rate: int = RATE,
        frame_seconds: float = FRAME_SECONDS,
        noise_db: float,
        seed: int,
    ) -> None:
        self.late: list[float] = []
        """Seconds by which frames left after their time: how busy this machine was."""
        self.speech_ended = asyncio.Event()
        """Set when the last sample of the speech has been sent."""
        self.ended_at = 0.0
        self.ends: list[float] = []
        """When the last sample of each thing said was sent."""
        self.sent: list[float] = []
        """When each frame was sent."""
        self._client = client
        self._rate = rate
        self._frame_seconds = frame_seconds
        self._step = round(rate * frame_seconds)
        self._background = _background(rate, noise_db)
        self._start = 7_919 * seed % len(self._background)
        self._position = 0
        self._speech: NDArray[np.int16] = np.zeros(0, np.int16)
        self._speech_at = 0
        self._onset: asyncio.Future[float] | None = None

    def say(self, samples: NDArray[np.int16], delay: float) -> asyncio.Future[float]:
        """Speak (samples at this microphone's rate) so that the first one comes ``delay`` seconds from now.

        The result is the moment at which the frame with the first sample was sent.
        """
        self._speech, self._speech_at = samples, self._position + round(delay * self._rate)
        self._onset = asyncio.get_running_loop().create_future()
        self.speech_ended.clear()
        return self._onset

    async def run(self) -> None:
        """Send until cancelled or the server has gone."""
        began = clock.now()
        index = 0
        while True:
            due = began + index * self._frame_seconds
            await asyncio.sleep(max(0.0, due - clock.now()))
            self.late.append(max(0.0, clock.now() - due))
            samples = self._next()
            sent_at = clock.now()
            try:
                await self._client.send_microphone(samples.astype("<i2").tobytes())
            except UnavailableError:
                return
            self._note(sent_at)
            index += 1

    def _next(self) -> NDArray[np.int16]:
        start, step = self._position, self._step
        self._position += step
        frame = self._noise(start, step)
        first, last = start - self._speech_at, start - self._speech_at + step
        if last > 0 and first < len(self._speech):
            said = self._speech[max(0, first) : last]
            at = max(0, -first)
            frame[at : at + len(said)] += said
        return np.clip(frame, -32768, 32767).astype(np.int16)

    def _noise(self, start: int, step: int) -> NDArray[np.int32]:
        background = self._background
        at = (self._start + start) % (len(background) - step)
        return background[at : at + step].astype(np.int32)

    def _note(self, sent_at: float) -> None:
        self.sent.append(sent_at)
        if self._onset is not None and not self._onset.done() and self._position > self._speech_at:
            self._onset.set_result(sent_at)
        if len(self._speech) and self._position >= self._speech_at + len(self._speech) > self._position - self._step:
            self.ended_at = sent_at
            self.ends.append(sent_at)
            self.speech_ended.set()


@functools.cache
def _background(rate: int, noise_db: float) -> NDArray[np.int16]:
    """Half a minute of noise; made once, because making it holds everything else up."""
    return speech.noise(30 * rate, noise_db, seed=1)


class StoppedWatch(Playout):
    """A listener that notes when it fell silent on command, and when each utterance began to arrive."""

    def __init__(self) -> None:
        super().__init__()
        self.silenced: list[float] = []
        self.arrived: dict[int, float] = {}
        self.last_frame_at = 0.0

    def push(self, frame: AgentAudio, now: float) -> None:
        self.arrived.setdefault(frame.number, now)
        self.last_frame_at = now
        super().push(frame, now)

    def pause(self, now: float) -> int:
        self.silenced.append(now)
        return super().pause(now)


class Probe:
    """A session under observation; see ``session``."""

    def __init__(self, client: SessionClient, mouth: Mouth, ears: StoppedWatch) -> None:
        self.client = client
        self.mouth = mouth
        self.ears = ears
        self.events: list[Received] = []
        self._arrived = asyncio.Condition()

    async def follow(self) -> None:
        async for event in self.client:
            self.events.append(event)
            async with self._arrived:
                self._arrived.notify_all()
            if isinstance(event.message, ErrorMessage):
                raise error_of(event.message)
        raise UnavailableError("The server hung up during the measurement.")

    async def until(
        self, kind: type[M], *, since: int = 0, timeout: float = 15.0, where: Callable[[M], bool] = lambda _: True
    ) -> tuple[float, M]:
        """The first message of a kind among the events from index ``since`` on, and when it came."""
        index = since
        try:
            async with asyncio.timeout(timeout):
                while True:
                    for event in self.events[index:]:
                        index += 1
                        if isinstance(event.message, kind) and where(event.message):
                            return event.at, event.message
                    async with self._arrived:
                        while len(self.events) <= index:
                            await self._arrived.wait()
        except TimeoutError:
            raise TimedOut(f"The server sent no {kind.__name__} within {timeout:g} seconds.") from None

    async def tell(self, text: str = STORY) -> ReplyStarted:
        """Make the agent speak this text; returns when it has begun."""
        since = len(self.events)
        await self.client.send(SayDelta(text))
        await self.client.send(SayEnd())
        return (await self.until(ReplyStarted, since=since))[1]

    async def audible(self, number: int, timeout: float = 10.0) -> float:
        """Wait until an utterance is heard; returns when its first frame came."""
        async with asyncio.timeout(timeout):
            while number not in self.ears.arrived:  # noqa: ASYNC110  (the listener knows no events)
                await asyncio.sleep(0.002)
        return self.ears.arrived[number]


@contextlib.asynccontextmanager
async def session(
    url: str,
    *,
    seed: int,
    noise_db: float,
    rate: int = RATE,
    frame_seconds: float = FRAME_SECONDS,
    api_key: str = "",
    talk: bool = True,
) -> AsyncGenerator[Probe, None]:
    """A session with an open microphone (unless ``talk`` is false) whose events are followed."""
    ears = StoppedWatch()
    start = StartSession(sample_rate=rate, echo_cancelled=True)
    async with SessionClient(url, start, api_key=api_key, listener=ears) as client:
        mouth = Mouth(client, rate=rate, frame_seconds=frame_seconds, noise_db=noise_db, seed=seed)
        probe = Probe(client, mouth, ears)
        tasks = [asyncio.create_task(probe.follow())]
        if talk:
            tasks.append(asyncio.create_task(mouth.run()))
        try:
            yield probe
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def at_rate(samples: NDArray[np.int16], rate: int) -> NDArray[np.int16]:
    """Speech of ``bench.speech`` (48 kHz) for a microphone at another rate."""
    if rate == speech.RATE:
        return samples
    import soxr

    floats = soxr.resample(samples.astype(np.float32) / 32768, speech.RATE, rate, quality="VHQ")
    return speech.to_int16(floats)
