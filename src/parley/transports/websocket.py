"""A session over a WebSocket: JSON text messages and binary audio (docs/reference/websocket.md).

The engine paces the audio, so in normal times nothing is queued here: a frame goes straight to
the socket. ``websocket_endpoint`` makes these transports and watches over them.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections import deque
from typing import TYPE_CHECKING

from starlette.websockets import WebSocketDisconnect

from parley import clock
from parley.audio.frame import FRAME_SAMPLES, SAMPLE_RATE, AudioFrame
from parley.errors import (
    CapacityError,
    InvalidRequest,
    ParleyError,
    RequestError,
    TimedOut,
    TooManyRequests,
    UnavailableError,
)
from parley.messages import (
    ClearAudio,
    ClientMessage,
    ErrorMessage,
    PauseAudio,
    Ping,
    PlayoutReport,
    Pong,
    ReplyStarted,
    ReplyWords,
    ResumeAudio,
    ServerMessage,
    StartSession,
)
from parley.transports.binary import microphone_bounds, pack_agent, unpack_microphone
from parley.transports.bounds import CROWDED
from parley.transports.codec import decode_client, encode
from parley.transports.intake import Intake, weight
from parley.values import PlayoutPosition

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.websockets import WebSocket

    from parley.transports.bounds import ClientBounds, Excess
    from parley.transports.client_settings import ClientSettings
    from parley.transports.websocket_settings import WebSocketSettings


_NORMAL, _GOING_AWAY, _POLICY, _INTERNAL, _TRY_LATER = 1000, 1001, 1008, 1011, 1013


class WebSocketTransport:
    """``interfaces.Transport`` over an accepted Starlette WebSocket whose start message has been read.

    Sending to a client that has left does nothing; iteration ends when they leave.
    """

    kind = "websocket"

    def __init__(
        self, websocket: WebSocket, start: StartSession, settings: WebSocketSettings, client: ClientBounds
    ) -> None:
        self.input_rate = start.sample_rate
        self._websocket = websocket
        self._settings = settings
        self._client = client
        self._intake = Intake(client.settings)
        self._bounds = microphone_bounds(start.sample_rate)
        self._closed = False
        self._heard_from = clock.now()
        self._frames = self._samples = 0
        # what is being said
        self._utterance_id = ""
        self._number = 0
        self._cleared = 0
        self._playout = _SendClock()
        # the way out
        self._writing_since: float | None = None
        self._urgent: deque[str] = deque()
        self._backlog: deque[bytes | str] = deque()
        self._room = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._max_backlog = max(1, int(settings.max_queued_audio * SAMPLE_RATE / FRAME_SAMPLES))

    # --- in ----------------------------------------------------------------------------

    def __aiter__(self) -> AsyncGenerator[AudioFrame | ClientMessage, None]:
        return self._receive()

    async def _receive(self) -> AsyncGenerator[AudioFrame | ClientMessage, None]:
        receive = self._websocket.receive
        while not self._closed:
            event = await receive()
            if event["type"] != "websocket.receive":
                break
            await self._note_arrival()
            data = event.get("bytes")
            try:
                item = await self._read_text(event["text"]) if data is None else await self._read_audio(data)
            except InvalidRequest as error:
                if await self._answer_mistake(error):
                    continue
                break
            except TooManyRequests as error:
                self._client.tally.excess("message", "closed")
                await self.end_with(error)
                break
            if item is not None:
                yield item
        self._leave()

    async def _note_arrival(self) -> None:
        """Messages that come one upon the other leave room for everybody else's between them."""
        now = clock.now()
        if now - self._heard_from < CROWDED:
            await self._client.crowd.pass_through()
        self._heard_from = now

    async def _read_audio(self, data: bytes) -> AudioFrame:
        """Take a frame of the microphone; audio that comes faster than it can have been spoken waits."""
        pcm = unpack_microphone(data, *self._bounds)
        samples, rate = len(pcm) // 2, self.input_rate
        await self._wait("audio", self._intake.audio_wait(self._heard_from, samples / rate))
        frame = AudioFrame(pcm, rate, "", self._frames, self._samples)
        self._frames += 1
        self._samples += samples
        return frame

    async def _read_text(self, text: str) -> ClientMessage | None:
        """Decode a message; answer those that concern the transport alone."""
        await self._wait("message", self._intake.message_wait(self._heard_from, weight(text)))
        message = read_message(text, self._client.settings)
        await self._wait("message", self._intake.work_wait(self._heard_from, message))
        if isinstance(message, Ping):
            await self.send_message(Pong(message.id))
            return None
        if isinstance(message, StartSession):
            raise InvalidRequest("The session has already started; open a new connection for another one.")
        if isinstance(message, PlayoutReport) and message.utterance_id == self._utterance_id:
            self._playout.report(message.sample, self._heard_from)
        return message

    async def _wait(self, kind: Excess, seconds: float) -> None:
        """Nothing is read meanwhile, so the sender has to wait as well."""
        if seconds:
            self._client.tally.excess(kind, "waited")
            await asyncio.sleep(seconds)
            await self._client.crowd.pass_through()  # many may have waited for the same moment
            self._heard_from = clock.now()

    async def _answer_mistake(self, error: InvalidRequest) -> bool:
        """Say what was wrong; False when it was one mistake too many."""
        patient = self._intake.mistake(self._heard_from)
        await self.send_message(ErrorMessage(error.code, error.message, fatal=not patient))
        if not patient:
            self._client.tally.excess("mistake", "closed")
            await self._hang_up(_POLICY, "too many faulty messages")
        return patient

    # --- out ---------------------------------------------------------------------------

    async def send_audio(self, frame: AudioFrame) -> None:
        if frame.utterance_id != self._utterance_id:
            self._begin(frame.utterance_id)
        number = self._number
        if number <= self._cleared or self._closed:
            return
        if frame.marks:
            await self.send_message(ReplyWords(frame.utterance_id, frame.marks))
        self._playout.sent(frame.start_sample, frame.end_sample, clock.now())
        data = pack_agent(number, frame.start_sample, frame.final, frame.pcm)
        if self._settings.when_slow == "drop_oldest":
            self._backlog.append(data)  # whoever writes may have to wait; the reply does not
            self._drop_oldest_audio()
            self._keep_writing()
            return
        if self._writing_since is None and not self._backlog:
            await self._write(data)
            return
        self._backlog.append(data)
        self._keep_writing()
        while len(self._backlog) > self._max_backlog and not self._closed:
            self._room.clear()
            await self._room.wait()

    def _drop_oldest_audio(self) -> None:
        """Keep as much audio as may wait, and every message."""
        excess = sum(isinstance(item, bytes) for item in self._backlog) - self._max_backlog
        if excess <= 0:
            return
        self._client.tally.excess("agent_audio", "dropped", excess * FRAME_SAMPLES / SAMPLE_RATE)
        kept: deque[bytes | str] = deque()
        for item in self._backlog:
            if isinstance(item, bytes) and excess > 0:
                excess -= 1
            else:
                kept.append(item)
        self._backlog = kept

    async def pause_audio(self) -> PlayoutPosition:
        if not self._utterance_id:
            return PlayoutPosition("", 0)
        position = PlayoutPosition(self._utterance_id, self._playout.pause(clock.now()))
        await self._send_urgent(PauseAudio(self._utterance_id))
        return position

    async def resume_audio(self) -> None:
        if self._utterance_id:
            self._playout.resume(clock.now())
            await self._send_urgent(ResumeAudio(self._utterance_id))

    async def clear_audio(self) -> PlayoutPosition:
        if not self._utterance_id:
            return PlayoutPosition("", 0)
        position = PlayoutPosition(self._utterance_id, self._playout.pause(clock.now()))
        self._cleared = self._number
        self._backlog = deque(item for item in self._backlog if isinstance(item, str))
        self._room.set()
        await self._send_urgent(ClearAudio(self._utterance_id))
        return position

    async def send_message(self, message: ServerMessage) -> None:
        if isinstance(message, ReplyStarted):
            if message.utterance_id != self._utterance_id:
                self._begin(message.utterance_id)
            message = dataclasses.replace(message, number=self._number)
        if self._closed:
            return
        text = encode(message)
        if self._writing_since is None and not self._backlog:
            await self._write(text)
        else:
            self._backlog.append(text)
            self._keep_writing()

    async def aclose(self) -> None:
        """Let what is queued go out, within a second, then close."""
        if self._writer is not None and not self._closed:
            await asyncio.wait([self._writer], timeout=1.0)
        await self._hang_up(_NORMAL, "")

    async def end_with(self, error: ParleyError) -> None:
        """Say what went wrong and close with the code that fits."""
        await self.send_message(ErrorMessage(error.code, error.message, fatal=True))
        await self._hang_up(close_code(error), error.code)

    def silence(self, now: float) -> TimedOut | None:
        """What the watchdog asks each second: is there still somebody, and do they still listen?"""
        settings = self._settings
        if self._writing_since is not None and now - self._writing_since > settings.stall_timeout:
            self._closed = True
            return TimedOut(f"The client took no data for {settings.stall_timeout:g} seconds.")
        if now - self._heard_from > settings.idle_timeout:
            return TimedOut(f"Nothing was heard from the client for {settings.idle_timeout:g} seconds.")
        return None

    def _begin(self, utterance_id: str) -> None:
        self._utterance_id = utterance_id
        self._number += 1
        self._playout = _SendClock()

    async def _send_urgent(self, message: ServerMessage) -> None:
        """Overtake everything that has not reached the socket yet."""
        if self._closed:
            return
        text = encode(message)
        if self._writing_since is None:
            await self._write(text)
        else:
            self._urgent.append(text)

    async def _write(self, data: bytes | str) -> None:
        self._writing_since = clock.now()
        kind = "bytes" if isinstance(data, bytes) else "text"
        try:
            await self._websocket.send({"type": "websocket.send", kind: data})
        except (WebSocketDisconnect, RuntimeError):
            self._leave()  # Starlette says RuntimeError when the connection is already closed
        finally:
            self._writing_since = None
            if self._urgent or self._backlog:
                self._keep_writing()

    def _keep_writing(self) -> None:
        """A caller may be cancelled at any time, so what had to queue belongs to a task of its own."""
        if self._writer is None and not self._closed:
            self._writer = asyncio.create_task(self._empty_queues())
            self._writer.add_done_callback(self._writer_done)

    def _writer_done(self, writer: asyncio.Task[None]) -> None:
        self._writer = None
        if (self._urgent or self._backlog) and self._writing_since is None and not writer.cancelled():
            self._keep_writing()

    async def _empty_queues(self) -> None:
        while (self._urgent or self._backlog) and self._writing_since is None and not self._closed:
            await self._write(self._urgent.popleft() if self._urgent else self._backlog.popleft())
            self._room.set()

    async def _hang_up(self, code: int, reason: str) -> None:
        if not self._closed:
            self._leave()
            await close(self._websocket, code, reason)

    def _leave(self) -> None:
        self._closed = True
        self._room.set()
        if self._writer is not None and self._writer is not asyncio.current_task():
            self._writer.cancel()


class _SendClock:
    """Where playout stands as far as this side knows: the clock since the last thing that was certain."""

    __slots__ = ("_anchor_at", "_anchor_sample", "_end", "_paused")

    def __init__(self) -> None:
        self._anchor_sample = 0
        self._anchor_at = 0.0
        self._end = 0
        self._paused = False

    def sent(self, start_sample: int, end_sample: int, now: float) -> None:
        if self._end <= self._reached(now):  # the client's queue had run dry
            self._anchor_sample, self._anchor_at = start_sample, now
        self._end = end_sample

    def report(self, sample: int, now: float) -> None:
        self._anchor_sample, self._anchor_at = min(sample, self._end), now

    def pause(self, now: float) -> int:
        self._anchor_sample, self._anchor_at, self._paused = self._reached(now), now, True
        return self._anchor_sample

    def resume(self, now: float) -> None:
        self._anchor_at, self._paused = now, False

    def _reached(self, now: float) -> int:
        if self._paused:
            return self._anchor_sample
        return min(self._end, self._anchor_sample + int((now - self._anchor_at) * SAMPLE_RATE))


def read_message(text: str, settings: ClientSettings) -> ClientMessage:
    if len(text) > settings.max_message_bytes:
        raise InvalidRequest(
            f"A message may have at most {settings.max_message_bytes} bytes; this one has {len(text)} characters."
        )
    return decode_client(text)


def close_code(error: ParleyError) -> int:
    if isinstance(error, (RequestError, TimedOut, TooManyRequests)):
        return _POLICY
    return _TRY_LATER if isinstance(error, (CapacityError, UnavailableError)) else _INTERNAL


async def close(websocket: WebSocket, code: int, reason: str) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        await websocket.close(code, reason)
