"""What the transports with an endless media stream share: the account of the voice, the first word and the last.

Over WebRTC and in a room the agent's voice is one stream that never stops. A pause sends silence
and remembers what had left; resume goes back to the sample that the client says it reached.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING

from parley import clock
from parley.audio.frame import SAMPLE_RATE
from parley.errors import CapacityError, InvalidRequest, ParleyError, TooManyRequests, UnavailableError
from parley.messages import (
    ClearAudio,
    ErrorMessage,
    PauseAudio,
    Ping,
    PlayoutReport,
    Pong,
    ReplyStarted,
    ReplyWords,
    ResumeAudio,
    StartSession,
)
from parley.transports.codec import decode_client
from parley.transports.inbox import Inbox
from parley.transports.intake import Intake, weight
from parley.transports.rtp_playout import PlayoutQueue
from parley.values import PlayoutPosition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from parley.audio.frame import AudioFrame
    from parley.messages import ClientMessage, ServerMessage
    from parley.orders import Order
    from parley.transports.bounds import ClientBounds

_ANSWER_TIMEOUT = 0.2


class StreamTransport(ABC):
    """The common half of a ``interfaces.Transport`` over a media stream.

    The other half sends: it overrides :meth:`_post` and :meth:`_hang_up`, and may override
    :meth:`_frame_waits`, :meth:`_held_back`, :meth:`_begin_to_leave` and :attr:`_obeys`.
    ``delay``: samples on their way between leaving and being heard, until reports tell.
    """

    kind: str
    input_rate = SAMPLE_RATE

    def __init__(self, delay: int, client: ClientBounds) -> None:
        self._client = client
        self._intake = Intake(client.settings)
        self._inbox = Inbox(lost=partial(client.tally.microphone_lost, "inbox"))
        self._queue = PlayoutQueue(head_start=True)
        self._space = asyncio.Event()
        self._start: asyncio.Future[StartSession] = asyncio.get_running_loop().create_future()
        self._reports = False
        self._delay = delay
        self._utterance_id = ""
        self._cleared = ""
        self._stopped: asyncio.Future[int] | None = None
        self._paused_at = 0
        self._closing: asyncio.Task[None] | None = None

    # --- what each transport does in its own way -----------------------------------------

    @abstractmethod
    def _post(self, message: ServerMessage) -> None:
        """Send a message, in order, without waiting."""

    @abstractmethod
    async def _hang_up(self) -> None:
        """Close what is open; the iteration has ended already."""

    @property
    def _obeys(self) -> bool:
        """Whether the client falls silent when told, so that what it did not play must be sent again."""
        return self._reports

    def _held_back(self) -> int:
        """Samples taken from the queue that have not left this process."""
        return 0

    def _frame_waits(self) -> None:  # noqa: B027  (a hook)
        """There is something to send now."""

    def _begin_to_leave(self) -> None:  # noqa: B027  (a hook)
        """The iteration ends: whatever waits must wake up."""

    # --- in ------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[AudioFrame | ClientMessage | Order]:
        return self._inbox

    def _take_data(self, data: str | bytes) -> None:
        """A message came, from whoever this session is with; nobody can be made to wait, so the excess is dropped."""
        now = clock.now()
        if self._inbox.closed:
            return
        if not self._intake.takes_message(now, weight(data)):
            self._drop(now)
            return
        try:
            message = self._read(data)
            if self._intake.takes_work(now, type(message)):
                self._take_message(message)
            else:
                self._drop(now)
        except CapacityError:
            self._drop(now)
        except ParleyError as error:
            self._answer_mistake(error, now)

    def _read(self, data: str | bytes) -> ClientMessage:
        limit = self._client.settings.max_message_bytes
        if len(data) > limit:
            raise InvalidRequest(f"A message may have at most {limit} bytes.")
        try:
            return decode_client(data if isinstance(data, str) else data.decode())
        except UnicodeDecodeError:
            raise InvalidRequest("A message must be UTF-8 text.") from None

    def _take_message(self, message: ClientMessage) -> None:
        """Answer what concerns the transport alone; the rest is the session's."""
        if isinstance(message, Ping):
            self._post(Pong(message.id))
        elif isinstance(message, StartSession):
            self._begin(message)
        else:
            self._check_begun(message)
            self._inbox.put_message(self._take_report(message) if isinstance(message, PlayoutReport) else message)

    @abstractmethod
    def _begin(self, start: StartSession) -> None:
        """The start message came. InvalidRequest when it had come before."""

    def _check_begun(self, message: ClientMessage) -> None:  # noqa: B027  (a hook)
        """Raise InvalidRequest when a message may not come before the start message, and did."""

    def _drop(self, now: float) -> None:
        """Too much: say so, once a second; send away who does not listen."""
        if self._bears(now) and self._intake.complain(now):
            error = TooManyRequests("Messages come too quickly, and some are not taken.")
            self._post(ErrorMessage(error.code, error.message))

    def _bears(self, now: float) -> bool:
        """A message is not taken; False when that was one too many, and the client is sent away."""
        tally = self._client.tally
        tally.excess("message", "dropped")
        if self._intake.dropped(now):
            return True
        tally.excess("message", "closed")
        self._give_up(TooManyRequests("Messages went on coming too quickly; the session is over."))
        return False

    def _answer_mistake(self, error: ParleyError, now: float) -> None:
        if self._intake.mistake(now) and self._is_patient:
            self._post(ErrorMessage(error.code, error.message))
        else:
            self._client.tally.excess("mistake", "closed")
            self._give_up(error)

    @property
    def _is_patient(self) -> bool:
        """Whether a faulty message is survived."""
        return True

    def _give_up(self, error: ParleyError) -> None:
        self._post(ErrorMessage(error.code, error.message, fatal=True))
        self._leave()

    def _take_audio(self, frame: AudioFrame) -> None:
        """The microphone; what comes faster than it can have been spoken is dropped."""
        if self._intake.takes_audio(clock.now(), frame.duration):
            self._inbox.put_audio(frame)
        else:
            self._client.tally.excess("audio", "dropped", frame.duration)

    def _take_report(self, report: PlayoutReport) -> PlayoutReport:
        """Learn from a report; returns it bounded by what has left."""
        if report.utterance_id != self._utterance_id:
            return report
        begun = report.utterance_id == self._queue.utterance_id
        # Nobody hears what has not left yet, though a clock that runs through a hole may say so.
        report = dataclasses.replace(report, sample=max(0, min(report.sample, self._queue.sent if begun else 0)))
        if not begun:
            return report
        if report.stopped:
            if self._stopped is not None and not self._stopped.done():
                self._stopped.set_result(report.sample)
        elif not self._queue.paused:
            lag = max(0, self._queue.sent - self._held_back() - report.sample)
            self._delay += (lag - self._delay) // 4
        return report

    # --- out -----------------------------------------------------------------------------

    async def send_message(self, message: ServerMessage) -> None:
        if isinstance(message, ReplyStarted):
            self._utterance_id = message.utterance_id
        self._post(message)

    async def send_audio(self, frame: AudioFrame) -> None:
        if frame.utterance_id == self._cleared and self._cleared:
            return
        self._utterance_id = frame.utterance_id
        if frame.marks:
            self._post(ReplyWords(frame.utterance_id, frame.marks))
        while self._queue.full and not self._inbox.closed:
            self._space.clear()
            await self._space.wait()
            if frame.utterance_id == self._cleared:
                return
        if not self._inbox.closed:
            self._queue.push(frame)
            self._frame_waits()

    async def pause_audio(self) -> PlayoutPosition:
        if not self._utterance_id:
            return PlayoutPosition("", 0)
        if not self._queue.paused:
            self._paused_at = self._reached()
            self._queue.pause()
            self._stopped = asyncio.get_running_loop().create_future()
            self._post(PauseAudio(self._utterance_id))
        return self._position()

    async def resume_audio(self) -> None:
        if not self._utterance_id or not self._queue.paused:
            return
        heard = await self._stopped_at()
        if self._queue.paused:  # not cleared while we waited
            self._queue.resume(heard)
            self._post(ResumeAudio(self._utterance_id))
            self._frame_waits()

    async def _stopped_at(self) -> int | None:
        """The sample where the client fell silent; None when it plays whatever arrives."""
        if not self._obeys or self._queue.utterance_id != self._utterance_id:
            return None
        if self._reports and self._stopped is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ANSWER_TIMEOUT):
                    return await asyncio.shield(self._stopped)
        return self._paused_at

    async def clear_audio(self) -> PlayoutPosition:
        if not self._utterance_id:
            return PlayoutPosition("", 0)
        position = self._position()
        self._cleared = self._utterance_id
        self._queue.clear()
        self._space.set()
        self._post(ClearAudio(self._utterance_id))
        return position

    def _position(self) -> PlayoutPosition:
        """What is known now: the client's answer, or what left less the usual delay."""
        if self._queue.utterance_id != self._utterance_id:
            return PlayoutPosition(self._utterance_id, 0)
        if not self._queue.paused:
            return PlayoutPosition(self._utterance_id, self._reached())
        if self._stopped is not None and self._stopped.done():
            return PlayoutPosition(self._utterance_id, self._stopped.result(), exact=True)
        return PlayoutPosition(self._utterance_id, self._paused_at)

    def _reached(self) -> int:
        if self._queue.utterance_id != self._utterance_id:
            return 0
        return max(0, self._queue.sent - self._held_back() - self._delay)

    # --- life ----------------------------------------------------------------------------

    def _leave(self) -> None:
        self._inbox.close()
        self._queue.clear()
        self._space.set()
        self._begin_to_leave()
        if not self._start.done():
            self._start.set_exception(UnavailableError("The participant left before the session began."))
            self._start.exception()  # nobody may be waiting for it

    def leave(self) -> None:
        """The client said goodbye, or has been silent for too long: end the iteration."""
        self._leave()

    async def end_with(self, error: ParleyError) -> None:
        """Say what went wrong, then hang up."""
        self._post(ErrorMessage(error.code, error.message, fatal=True))
        await self.aclose()

    async def aclose(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._leave()
        await self._hang_up()
