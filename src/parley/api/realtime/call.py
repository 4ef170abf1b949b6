"""A session over WebRTC in the events of the Realtime interface: sound by tracks, events by the data channel.

A pause is ours to make here: silence leaves until a sound over a reply is judged, and who only nodded hears the very
next sample. What was heard of a reply that was cut off is known here too, and the client is told.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from parley import clock
from parley.api.realtime.client_events import read
from parley.api.realtime.errors import ClientError
from parley.api.realtime.output_buffer import OutputBuffer
from parley.api.realtime.requests import MOST_ORDERS
from parley.errors import CapacityError, InvalidRequest, TooManyRequests
from parley.messages import ClearAudio, ErrorMessage, ReplyStarted, SessionStarted
from parley.orders import ReplySettled
from parley.transports.intake import weight
from parley.transports.webrtc import WebRtcTransport

if TYPE_CHECKING:
    from parley.api.realtime.output_buffer import Told
    from parley.api.realtime.requests import Requests
    from parley.messages import ClientMessage, ServerMessage, StartSession
    from parley.orders import Notice, Order
    from parley.transports.bounds import ClientBounds
    from parley.transports.round_robin import RoundRobin
    from parley.transports.rtc_settings import WebRtcSettings
    from parley.transports.rtp_playout import Anchor

_LONGEST = 262_144
"""Characters of an event, an image in it: more than what a data channel carries."""
_TOO_QUICK = "Messages come too quickly; this one is not taken. Send it again in a moment."
_TEXT_ONLY = "The data channel carries events as text; sound goes by the media track."


class RealtimeCall(WebRtcTransport):
    """``interfaces.Transport`` for one call. ``told`` takes the session's notices; ``start`` is how it begins."""

    kind = "realtime_call"
    label = "oai-events"

    def __init__(
        self,
        settings: WebRtcSettings,
        client: ClientBounds,
        turns: RoundRobin,
        requests: Requests,
        start: StartSession,
    ) -> None:
        super().__init__(settings, client, turns)
        self._requests = requests
        self._events = requests.events
        self._begins_with = start
        self._sound = OutputBuffer(self._events.responses.response_id)

    # --- in ----------------------------------------------------------------------------

    def _opened(self) -> None:
        if not self._start.done():
            self._start.set_result(self._begins_with)

    def _take_data(self, data: str | bytes) -> None:
        """An event came; nobody can be made to wait, so the excess is dropped."""
        now = clock.now()
        if self._inbox.closed:
            return
        if not self._intake.takes_message(now, weight(data)):
            self._drop(now)
            return
        if isinstance(data, bytes):
            self._answer_mistake(InvalidRequest(_TEXT_ONLY), now)
            return
        asked = read(data, _LONGEST)
        try:
            if asked.error is not None:
                raise asked.error
            assert asked.request is not None
            if self._inbox.room < MOST_ORDERS:
                raise TooManyRequests(_TOO_QUICK)
            done = self._requests.take(asked.request, asked.event_id, partial(self._admit, now))
            self._tell([*done.events])
            for order in done.orders:
                self._inbox.put_message(order)
        except CapacityError as error:
            if self._bears(now):
                self._tell([self._events.error(ClientError(error.message, error.code), asked.event_id)])
        except ClientError as error:
            if self._intake.mistake(now):
                self._tell([self._events.error(error, asked.event_id)])
            else:
                self._client.tally.excess("mistake", "closed")
                self._give_up(InvalidRequest(error.message))

    def _admit(self, now: float, *kinds: type[ClientMessage | Order]) -> None:
        """Raise TooManyRequests where the client may not ask for so much work now."""
        if not self._intake.takes_work(now, *kinds):
            raise TooManyRequests(_TOO_QUICK)

    # --- out ---------------------------------------------------------------------------

    async def send_message(self, message: ServerMessage) -> None:
        if isinstance(message, ReplyStarted):
            self._utterance_id = message.utterance_id
        if isinstance(message, SessionStarted):
            self._requests.begin(self._tell)
        else:
            self._tell(self._events.message(message))

    async def told(self, notice: Notice) -> None:
        """What became of an entry of the conversation."""
        self._tell(self._events.notice(notice))
        if isinstance(notice, ReplySettled):
            self._tell_sound(self._sound.settled(notice.reply_id, waiting=bool(self._queue.samples)))

    def _post(self, message: ServerMessage) -> None:
        """What the transport itself has to say."""
        if isinstance(message, ErrorMessage) and message.fatal:
            self._tell([self._events.failure(message.code, message.message)])
        elif isinstance(message, ErrorMessage):
            self._tell([self._events.error(ClientError(message.message, message.code))])
        elif isinstance(message, ClearAudio):
            self._tell_sound(self._sound.cleared(message.utterance_id))

    def _next_frame(self, position: int) -> bytes | None:
        pcm = super()._next_frame(position)
        if not self._queue.samples:
            self._tell_sound(self._sound.emptied())
        return pcm

    def _tell_anchor(self, anchor: Anchor, last_timestamp: int) -> None:
        self._tell_sound(self._sound.leaves(anchor.utterance_id))

    def _tell_sound(self, told: Told) -> None:
        self._tell([self._events.buffer(kind, response_id) for kind, response_id in told])

    def _tell(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            try:
                self._post_text(_written(event))
            except ValueError:  # more than the other end of this channel says that it takes
                message = f"What you asked for is done; {event['type']}, which says so, is too large for this channel."
                self._post_text(_written(self._events.error(ClientError(message, "event_too_large"))))


def _written(event: dict[str, Any]) -> str:
    """As short as JSON gets; half a pair of surrogates, sent by a client, comes back as an escape."""
    text = json.dumps(event, separators=(",", ":"), ensure_ascii=False)
    return text if _is_whole(text) else json.dumps(event, separators=(",", ":"))


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
