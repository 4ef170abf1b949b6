"""A session over a WebSocket in the events of the Realtime interface.

A pause is invisible here: nothing is sent, and what was sent is at most the lead ahead of the ear. Clients destroy a
reply as soon as they are told that somebody speaks, so they are told when the floor is taken, and not before.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocketDisconnect

from parley import clock
from parley.allowance import Allowance
from parley.api.realtime.client_events import Append, read
from parley.api.realtime.errors import ClientError
from parley.api.realtime.formats import Loudspeaker, Microphone
from parley.audio.frame import AudioFrame
from parley.errors import TimedOut, TooManyRequests
from parley.messages import SessionStarted
from parley.transports.bounds import CROWDED
from parley.transports.intake import Intake, weight
from parley.transports.websocket import close_code
from parley.values import PlayoutPosition

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.websockets import WebSocket

    from parley.api.realtime.requests import Done, Requests
    from parley.api.settings import RealtimeSettings
    from parley.errors import ParleyError
    from parley.messages import ClientMessage, ServerMessage
    from parley.orders import Notice, Order
    from parley.transports.bounds import ClientBounds

RATE = 16_000
_PIECE = RATE // 10
"""Samples of an appended stretch that are listened to in one go."""
_LEAST = 0.005
"""Seconds that an append counts for at least, however little is in it."""
_TOGETHER = 2
"""Frames of 20 ms in one event, behind the first of a reply."""
_QUEUED = 1_000_000
"""Characters that wait for a client before it is not listened to until it has read some of them."""
_NORMAL, _POLICY = 1000, 1008


class RealtimeTransport:
    """``interfaces.Transport`` over an accepted WebSocket. ``told`` takes the session's notices."""

    kind = "realtime"
    input_rate = RATE

    def __init__(
        self,
        websocket: WebSocket,
        requests: Requests,
        settings: RealtimeSettings,
        client: ClientBounds,
        *,
        stall_timeout: float,
    ) -> None:
        self._websocket = websocket
        self._settings = settings
        self._client = client
        self._stall_timeout = stall_timeout
        self._requests = requests
        self._events = requests.events
        # in
        self._intake = Intake(client.settings)
        self._audio = Allowance(burst=settings.audio_burst, per_second=settings.audio_rate)
        self._microphone = Microphone(requests.input_format)
        self._frames = self._samples = 0
        self._heard_from = clock.now()
        self._created = asyncio.Event()
        self._closed = False
        # out
        self._loudspeaker = Loudspeaker(requests.output_format)
        self._reply_id = self._cleared = ""
        self._together: list[bytes] = []
        self._begun = False
        self._queue: deque[tuple[bool, str]] = deque()
        self._queued = self._queued_audio = 0
        """Characters, and events of audio among them."""
        self._filled, self._room, self._empty = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._empty.set()
        self._writing_since: float | None = None
        self._writer = asyncio.create_task(self._write(), name="realtime writer")

    # --- in ----------------------------------------------------------------------------

    def __aiter__(self) -> AsyncGenerator[AudioFrame | ClientMessage | Order, None]:
        return self._receive()

    async def _receive(self) -> AsyncGenerator[AudioFrame | ClientMessage | Order, None]:
        await self._created.wait()
        while not self._closed:
            await self._taken()
            event = await self._websocket.receive()
            if event["type"] != "websocket.receive":
                break
            await self._note_arrival()
            try:
                done = await self._take(event.get("text") or "")
            except TooManyRequests as error:
                self._client.tally.excess("message", "closed")
                await self.end_with(error)
                break
            if done is None:
                continue
            if done.audio is not None:
                async for frame in self._heard(done.audio):
                    yield frame
            for order in done.orders:
                yield order
            if done.input_changed:
                self._microphone = Microphone(self._requests.input_format)
        self._leave()

    async def _note_arrival(self) -> None:
        now = clock.now()
        if now - self._heard_from < CROWDED:
            await self._client.crowd.pass_through()
        self._heard_from = now

    async def _wait(self, kind: Any, seconds: float) -> None:
        if seconds:
            self._client.tally.excess(kind, "waited")
            await asyncio.sleep(seconds)
            await self._client.crowd.pass_through()  # many may have waited for the same moment
            self._heard_from = clock.now()

    async def _take(self, text: str) -> Done | None:
        """What follows from a message; None for a mistake, which is answered."""
        parts = weight(text) - 1
        if parts:  # before it is read
            await self._wait("message", self._intake.message_wait(self._heard_from, parts))
        asked = read(text, self._settings.max_message_bytes)
        if not isinstance(asked.request, Append):  # audio has an account of its own
            await self._wait("message", self._intake.message_wait(self._heard_from))
        try:
            if asked.error is not None:
                raise asked.error
            assert asked.request is not None
            done = self._requests.take(asked.request, asked.event_id)
        except ClientError as error:
            await self._mistake(error, asked.event_id)
            return None
        self._put([*done.events])
        for order in done.orders:
            await self._wait("message", self._intake.work_wait(self._heard_from, order))
        return done

    async def _heard(self, data: bytes) -> AsyncGenerator[AudioFrame, None]:
        """Appended audio, in pieces; what comes much faster than it can be listened to waits."""
        seconds = max(_LEAST, self._microphone.seconds(data))
        await self._wait("audio", self._audio.owe(self._heard_from, seconds))
        pcm = self._microphone.samples(data)
        for start in range(0, len(pcm), 2 * _PIECE):
            if start:
                await asyncio.sleep(0)
            piece = pcm[start : start + 2 * _PIECE]
            yield AudioFrame(piece, RATE, "", self._frames, self._samples)
            self._frames += 1
            self._samples += len(piece) // 2

    async def _mistake(self, error: ClientError, event_id: str | None) -> None:
        patient = self._intake.mistake(self._heard_from)
        self._put([self._events.error(error, event_id)])
        if not patient:
            self._client.tally.excess("mistake", "closed")
            await self._hang_up(_POLICY, "too many faulty messages")

    # --- out ---------------------------------------------------------------------------

    async def send_message(self, message: ServerMessage) -> None:
        if isinstance(message, SessionStarted):
            self._requests.begin(self._put)
            self._created.set()
        else:
            self._put(self._events.message(message))
        await self._taken()

    async def told(self, notice: Notice) -> None:
        """What became of an entry of the conversation."""
        self._put(self._events.notice(notice))
        await self._taken()

    async def send_audio(self, frame: AudioFrame) -> None:
        reply_id = frame.utterance_id
        if self._closed or reply_id == self._cleared:
            return
        if reply_id != self._reply_id:
            self._reply_id, self._begun, self._together = reply_id, False, []
            self._loudspeaker = Loudspeaker(self._requests.output_format)
        self._together.append(self._loudspeaker.data(frame.pcm))
        if not self._begun or frame.final or len(self._together) >= _TOGETHER:
            data, self._together, self._begun = b"".join(self._together), [], True
            self._put(self._events.responses.audio(reply_id, data), audio=True)
        while self._queued_audio > self._settings.max_queued_audio * 50 and not self._closed:
            self._room.clear()
            await self._room.wait()

    async def pause_audio(self) -> PlayoutPosition:
        return PlayoutPosition("", 0)

    async def resume_audio(self) -> None:
        """The next frame goes on where the last one ended."""

    async def clear_audio(self) -> PlayoutPosition:
        self._cleared, self._together = self._reply_id, []
        self._queue = deque(item for item in self._queue if not item[0])
        self._queued, self._queued_audio = sum(len(text) for _, text in self._queue), 0
        self._room.set()
        return PlayoutPosition("", 0)

    def _put(self, events: list[dict[str, Any]], *, audio: bool = False) -> None:
        if self._closed or not events:
            return
        # Escapes for whatever is not ASCII: half a pair of surrogates, sent by a client, comes back in one piece.
        texts = [json.dumps(event, separators=(",", ":")) for event in events]
        self._queue.extend((audio, text) for text in texts)
        self._queued += sum(map(len, texts))
        self._queued_audio += audio
        self._empty.clear()
        self._filled.set()

    async def _taken(self) -> None:
        """Who reads slowly is told, and heard, no faster: little waits for them, and their session goes on."""
        if self._queued <= _QUEUED:
            return
        while self._queued > _QUEUED and not self._closed:
            self._room.clear()
            await self._room.wait()
        self._heard_from = clock.now()

    async def _write(self) -> None:
        while not self._closed:
            await self._filled.wait()
            self._filled.clear()
            while self._queue and not self._closed:
                audio, text = self._queue.popleft()
                self._queued -= len(text)
                self._queued_audio -= audio
                self._writing_since = clock.now()
                try:
                    await self._websocket.send({"type": "websocket.send", "text": text})
                except (WebSocketDisconnect, RuntimeError):
                    self._leave()  # Starlette says RuntimeError when the connection is already closed
                finally:
                    self._writing_since = None
                self._room.set()
            self._empty.set()

    # --- the end -----------------------------------------------------------------------

    def silence(self, now: float) -> TimedOut | None:
        """What the watchdog asks each second: do they still take what they are sent?"""
        if self._writing_since is not None and now - self._writing_since > self._stall_timeout:
            self._leave()
            return TimedOut(f"The client took no data for {self._stall_timeout:g} seconds.")
        return None

    async def end_with(self, error: ParleyError) -> None:
        """Say what went wrong and close with the code that fits."""
        self._put([self._events.failure(error.code, error.message)])
        await self._hang_up(close_code(error), error.code)

    async def aclose(self) -> None:
        """Let what is queued go out, within a second, then close."""
        await self._hang_up(_NORMAL, "")
        self._writer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._writer

    async def _hang_up(self, code: int, reason: str) -> None:
        if self._closed:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._empty.wait()
        self._leave()
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await self._websocket.close(code, reason)

    def _leave(self) -> None:
        self._closed = True
        self._queue.clear()
        self._queued = self._queued_audio = 0
        self._created.set()
        self._room.set()
        self._empty.set()
