"""A session in a LiveKit room (docs/reference/livekit.md).

Our own clients get the messages of the WebSocket protocol as data packets on topic ``parley``.
Clients that know nothing of Parley get what LiveKit's stock components understand: transcription
streams, the agent's state as a participant attribute, typed turns on ``lk.chat``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import structlog

from parley import clock
from parley.audio.frame import FRAME_SAMPLES, SAMPLE_RATE, AudioFrame
from parley.errors import ConfigError, InvalidRequest, TimedOut, UnavailableError
from parley.hints import install
from parley.messages import (
    AudioOnset,
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
from parley.transports.bounds import ClientBounds
from parley.transports.codec import encode
from parley.transports.livekit_captions import AGENT_STATE, TOPIC_CHAT, Captions
from parley.transports.onset import SILENCE_SECONDS, OnsetFinder
from parley.transports.stream import StreamTransport

if TYPE_CHECKING:
    from parley.messages import ServerMessage
    from parley.transports.livekit_settings import LiveKitSettings
    from parley.values import PlayoutPosition

try:
    from livekit import rtc
except ImportError as error:  # pragma: no cover
    raise ConfigError(f"LiveKit support is missing; install it with: {install('livekit')}.") from error

TOPIC = "parley"
"""Topic of the data packets that carry our messages."""
CLIENT_ATTRIBUTE = "parley.client"
"""Participants whose token says this attribute will send a start message."""

log = structlog.get_logger(__name__)

_AGENT = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
_SOURCE_QUEUE_MS = 50
_AHEAD = 0.02  # seconds of audio that the source holds, so that it never runs dry between two frames
_SILENCE_SECONDS = 0.1
_FRAME_SECONDS = FRAME_SAMPLES / SAMPLE_RATE
_MAX_UNSENT = 1_000
_MAX_EARLY = 16
_MAX_CHATS = 8  # typed turns that are still being sent
_CONNECT_TIMEOUT = 10.0


class LiveKitTransport(StreamTransport):
    """``interfaces.Transport`` for one participant of a room. Call :meth:`join`, :meth:`started`, then iterate.

    Sending to a participant that has left does nothing.
    """

    kind = "livekit"

    def __init__(self, settings: LiveKitSettings, client: ClientBounds | None = None) -> None:
        super().__init__(int(settings.client_delay * SAMPLE_RATE), client or ClientBounds())
        self._settings = settings
        self._due_audio = asyncio.Event()
        self._room = rtc.Room()
        self._source = rtc.AudioSource(SAMPLE_RATE, 1, queue_size_ms=_SOURCE_QUEUE_MS)
        self._track = rtc.LocalAudioTrack.create_audio_track("parley", self._source)
        self._track_id = ""
        self._identity = ""
        self._found = asyncio.Event()
        self._outgoing: asyncio.Queue[ServerMessage | None] = asyncio.Queue(_MAX_UNSENT)
        self._to_caption: asyncio.Queue[ServerMessage | None] = asyncio.Queue(_MAX_UNSENT)
        self._microphone: asyncio.Task[None] | None = None
        self._microphone_track_id = ""
        self._early: list[bytes] = []  # data may overtake the news of who sent it
        self._heard_at: float | None = None
        self._heard_frames = 0
        self._heard_samples = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._ours = False
        self._chats = 0
        self._onset = OnsetFinder()
        self._captions = Captions(self._room)
        self._listen_to_room()

    # --- joining -----------------------------------------------------------------------

    async def join(self, url: str, token: str) -> None:
        """Enter the room and publish the agent's voice. UnavailableError when that fails."""
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                await self._room.connect(url, token, rtc.RoomOptions(auto_subscribe=True))
                options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
                publication = await self._room.local_participant.publish_track(self._track, options)
        except (rtc.ConnectError, TimeoutError, RuntimeError) as error:
            raise UnavailableError(f"The LiveKit room cannot be joined: {error or 'no answer'}.") from error
        self._track_id = publication.sid
        self._own(self._pump())
        self._own(self._keep_alive())
        self._own(self._send(self._outgoing, self._publish))
        self._own(self._send(self._to_caption, self._caption))
        for participant in self._room.remote_participants.values():
            self._meet(participant)

    async def started(self) -> StartSession:
        """Wait for a participant and for the start message, if theirs is a client of ours.

        TimedOut when nobody comes, UnavailableError when they leave at once.
        """
        try:
            async with asyncio.timeout(self._settings.join_timeout):
                await self._found.wait()
        except TimeoutError:
            raise TimedOut(f"Nobody joined the room within {self._settings.join_timeout:g} seconds.") from None
        participant = self._room.remote_participants.get(self._identity)
        ours = participant is not None and CLIENT_ATTRIBUTE in participant.attributes
        try:
            async with asyncio.timeout(self._settings.start_timeout if ours else 0):
                await asyncio.shield(self._start)
        except TimeoutError:
            if not self._start.done():
                self._start.set_result(StartSession(sample_rate=SAMPLE_RATE))
        return self._start.result()

    def _listen_to_room(self) -> None:
        room = self._room
        room.on("participant_connected", self._meet)
        room.on("participant_disconnected", self._on_left)
        room.on("disconnected", lambda *_: self._leave())
        room.on("track_subscribed", self._on_track)
        room.on("track_unsubscribed", self._on_track_gone)
        room.on("data_received", self._on_data)
        room.register_text_stream_handler(TOPIC_CHAT, self._on_chat)

    def _meet(self, participant: Any) -> None:
        """The first person in the room is the one that this session is with."""
        if self._identity or AGENT_STATE in participant.attributes or participant.kind == _AGENT:
            return
        self._identity = participant.identity
        self._found.set()
        while self._early:
            self._take_data(self._early.pop(0))
        for publication in participant.track_publications.values():
            if publication.track is not None:
                self._on_track(publication.track, publication, participant)

    def _own(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- in ----------------------------------------------------------------------------

    def _on_track(self, track: Any, publication: Any, participant: Any) -> None:
        if participant.identity != self._identity or track.kind != rtc.TrackKind.KIND_AUDIO:
            return
        if self._microphone is not None:
            self._microphone.cancel()
        self._microphone_track_id = publication.sid
        self._microphone = asyncio.create_task(self._hear(track))

    def _on_track_gone(self, track: Any, publication: Any, participant: Any) -> None:
        if publication.sid == self._microphone_track_id and self._microphone is not None:
            self._microphone.cancel()

    async def _hear(self, track: Any) -> None:
        stream = rtc.AudioStream(track, sample_rate=SAMPLE_RATE, num_channels=1, capacity=50)
        try:
            async for event in stream:
                self._heard(bytes(event.frame.data))
        finally:
            await stream.aclose()

    def _heard(self, pcm: bytes) -> None:
        self._heard_at = clock.now()
        self._take_audio(AudioFrame(pcm, SAMPLE_RATE, "", self._heard_frames, self._heard_samples))
        self._heard_frames += 1
        self._heard_samples += len(pcm) // 2

    async def _keep_alive(self) -> None:
        """A microphone that was muted in mid-word goes on as silence."""
        while not self._inbox.closed:
            await asyncio.sleep(_SILENCE_SECONDS)
            silent_since = self._heard_at
            if silent_since is not None and clock.now() - silent_since > 1.5 * _SILENCE_SECONDS:
                self._heard(bytes(2 * int(_SILENCE_SECONDS * SAMPLE_RATE)))
                self._heard_at = silent_since

    def _on_chat(self, reader: Any, identity: str) -> None:
        if identity != self._identity:
            return
        if self._chats < _MAX_CHATS:
            self._chats += 1
            self._own(self._read_chat(reader))
        else:
            self._client.tally.excess("message", "dropped")

    async def _read_chat(self, reader: Any) -> None:
        """A typed turn of a stock client: the same bounds and the same checks as a message of ours."""
        text, limit = "", self._client.settings.max_message_bytes
        try:
            async for piece in reader:
                text += piece
                if len(text) > limit:
                    break
        finally:
            self._chats -= 1
        if text.strip():
            self._take_data(encode(TextInput(text)))

    def _on_data(self, packet: Any) -> None:
        if packet.topic != TOPIC:
            return
        if packet.participant is None:
            if not self._identity and len(self._early) < _MAX_EARLY:
                self._early.append(bytes(packet.data))
        elif packet.participant.identity == self._identity:
            self._take_data(bytes(packet.data))

    def _begin(self, start: StartSession) -> None:
        if self._ours:
            raise InvalidRequest("The session has already started; leave the room and join it again.")
        self._ours = True
        self._reports = start.playout_reports
        if not self._start.done():  # else it came too late to choose a voice, not to be one of ours
            self._start.set_result(start)

    # --- out ---------------------------------------------------------------------------

    async def _pump(self) -> None:
        """Feed the source at real time, one frame ahead."""
        due = 0.0
        position = 0
        while not self._inbox.closed:
            pcm, anchor = self._queue.take(position)
            position += FRAME_SAMPLES
            now = clock.now()
            if pcm is None:
                if self._queue.paused or not self._queue.samples:
                    self._due_audio.clear()
                    await self._due_audio.wait()
                else:
                    await asyncio.sleep(_FRAME_SECONDS / 2)
                continue
            self._space.set()
            if anchor is not None and now - due > SILENCE_SECONDS:
                self._onset.begin(anchor.sample)
            self._tell_onset(pcm)
            due = max(due + _FRAME_SECONDS, now - _AHEAD)
            await self._source.capture_frame(rtc.AudioFrame(pcm, SAMPLE_RATE, 1, FRAME_SAMPLES))
            await asyncio.sleep(max(0.0, due - clock.now()))

    def _tell_onset(self, pcm: bytes) -> None:
        sample = self._onset.find(pcm)
        if sample is not None and self._reports:
            self._post(AudioOnset(self._queue.utterance_id, sample))

    @property
    def _obeys(self) -> bool:
        return self._ours

    def _held_back(self) -> int:
        return int(self._source.queued_duration * SAMPLE_RATE)

    def _frame_waits(self) -> None:
        self._due_audio.set()

    async def clear_audio(self) -> PlayoutPosition:
        position = await super().clear_audio()
        self._source.clear_queue()
        return position

    def _post(self, message: ServerMessage) -> None:
        if self._inbox.closed and self._closing is None:
            return
        try:
            self._outgoing.put_nowait(message)
            self._to_caption.put_nowait(message)
        except asyncio.QueueFull:
            self._leave()

    async def _send(
        self, queue: asyncio.Queue[ServerMessage | None], send: Callable[[ServerMessage], Awaitable[None]]
    ) -> None:
        """One task per way out, so that messages stay in order and captions never hold up a pause."""
        while (message := await queue.get()) is not None:
            try:
                await send(message)
            except Exception as error:  # noqa: BLE001  (somebody else's code: the SDK raises bare exceptions)
                if not self._room.isconnected():
                    return
                log.warning("a message could not be sent to the room", kind=message.type, error=str(error))

    async def _publish(self, message: ServerMessage) -> None:
        await self._room.local_participant.publish_data(
            encode(message), reliable=True, topic=TOPIC, destination_identities=[self._identity]
        )

    async def _caption(self, message: ServerMessage) -> None:
        """Say the same in LiveKit's own terms."""
        captions = self._captions
        match message:
            case SessionStarted():  # their components give an agent up that says nothing of its state for long
                await captions.state("idle")
            case StateChanged():
                await captions.state(message.agent)
            case TranscriptUpdate():
                await captions.transcript(
                    self._identity, self._microphone_track_id, message.turn, message.text, message.final
                )
            case ReplyStarted():
                await captions.begin(message.utterance_id)
            case ReplyText():
                captions.know(message.utterance_id, message.text)
            case ReplyWords():
                await captions.speak(message.utterance_id, message.marks, self._track_id)
            case ReplyEnded():
                spoken = message.text if message.outcome == "finished" else message.heard_text
                await captions.end(spoken, self._track_id)
            case _:
                pass

    # --- life --------------------------------------------------------------------------

    def _on_left(self, participant: Any) -> None:
        if participant.identity == self._identity:
            self._leave()

    def _begin_to_leave(self) -> None:
        self._due_audio.set()

    async def _hang_up(self) -> None:
        for queue in (self._outgoing, self._to_caption):
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(None)
        if self._microphone is not None:
            self._microphone.cancel()
            await asyncio.gather(self._microphone, return_exceptions=True)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._room.disconnect()
        await self._source.aclose()
