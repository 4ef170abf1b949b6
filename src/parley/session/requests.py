"""What a client asks for, once its session has started: text, voices, buttons, reports."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from parley import clock
from parley.allowance import Allowance
from parley.errors import InvalidRequest, ParleyError, RequestError, TimedOut, TooManyRequests
from parley.messages import (
    EndSession,
    EndTurn,
    Interrupt,
    Ping,
    PlayoutReport,
    Pong,
    SayDelta,
    SayEnd,
    SetVoice,
    StartSession,
    TextInput,
)
from parley.session.decide.floor_table import Agent, Event
from parley.session.log import TurnClosed
from parley.text.unicode import WholeDeltas, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from parley.messages import ClientMessage
    from parley.session.decide.sayings import Sayings
    from parley.session.floor import Floor
    from parley.session.listening.barge_in import BargeIn
    from parley.session.listening.turns import Turns
    from parley.session.outbox import Notices
    from parley.session.settings import LimitSettings
    from parley.session.speaking.replies import Replies

_PORTION = 250
"""Characters of a text that are cut into clauses in one go: a third of a millisecond."""


class Requests:
    """Takes each message to the room that it is meant for; what cannot be granted is answered with an error."""

    def __init__(
        self,
        floor: Floor,
        notices: Notices,
        turns: Turns,
        barge_in: BargeIn,
        replies: Replies,
        sayings: Sayings,
        limits: LimitSettings,
        *,
        on: Callable[[Event], None],
        count: Callable[[], int],
        end: Callable[[str], None],
    ) -> None:
        self._floor = floor
        self._notices = notices
        self._turns = turns
        self._barge_in = barge_in
        self._replies = replies
        self._sayings = sayings
        self._max_text = limits.max_text
        self._max_waiting_text = limits.max_waiting_text
        self._said = WholeDeltas()
        self._say_timeout = limits.say_timeout
        self._said_at = 0.0
        self._texts = Allowance(burst=limits.text_burst, per_second=limits.text_rate)
        self._on = on
        self._count = count
        self._end = end

    async def take_in_portions(self, message: ClientMessage) -> None:
        """The same as :meth:`take`, with everybody else's turn between the pieces of a long text."""
        for number, portion in enumerate(self._portions(message)):
            if number:
                await asyncio.sleep(0)
            self.take(portion)

    def _portions(self, message: ClientMessage) -> Iterator[ClientMessage]:
        """One that is too long is not cut up: it is refused whole."""
        text, sayings = message.text if isinstance(message, SayDelta) else "", self._sayings
        room = min(self._max_text - sayings.length, self._max_waiting_text - sayings.waiting)
        if not _PORTION < len(text) <= room:
            yield message
            return
        assert isinstance(message, SayDelta)
        for start in range(0, len(text), _PORTION):
            yield SayDelta(text[start : start + _PORTION], normalize=message.normalize)

    def take(self, message: ClientMessage) -> None:
        """Do what the client asks, or tell it why not."""
        try:
            _HANDLERS[type(message)](self, message)
        except (RequestError, TooManyRequests) as error:
            self._notices.failed(error)

    def greet(self, greeting: str) -> None:
        """Speak first, as if the client had asked. Raises InvalidRequest when the greeting is too long."""
        self._take_say(SayDelta(greeting))
        self._take_say_end(SayEnd())

    # --- text ----------------------------------------------------------------------------

    def _take_text(self, message: TextInput) -> None:
        text = whole(self._checked(message.text)).strip()
        if not text:
            raise InvalidRequest("The text is empty.")
        wait = self._texts.take(clock.now())
        if wait:
            raise TooManyRequests(
                f"Typed turns came too quickly and this one was not taken; send it again in {wait:.1f} seconds.",
                retry_after=wait,
            )
        self._sayings.cut()
        self._notices.log(TurnClosed(self._notices.now(), self._count(), "message", 0.0))
        self._replies.take_text(text, Event.TEXT_TYPED)

    def _checked(self, text: str, already: int = 0) -> str:
        length, limit = len(text) + already, self._max_text
        if length > limit:
            raise InvalidRequest(f"The text has {length} characters; at most {limit} are taken.")
        return text

    def _take_say(self, message: SayDelta) -> None:
        self._said_at = clock.now()
        if self._sayings.refused:
            return
        try:
            self._check_say(message.text)
        except ParleyError:
            self._refuse_say()
            raise
        self._say(self._said.add(message.text), verbatim=not message.normalize)

    def _check_say(self, text: str) -> None:
        sayings = self._sayings
        self._checked(text, sayings.length)
        if sayings.waiting + len(text) > self._max_waiting_text:
            raise TooManyRequests(
                f"More than {self._max_waiting_text} characters wait to be spoken; this text was not taken, "
                "send it again when a reply has ended."
            )

    def _refuse_say(self) -> None:
        self._said.finish()
        if self._sayings.refuse() is not None:
            self._replies.say_end()

    def _say(self, delta: str, *, verbatim: bool = False) -> None:
        if not delta:
            return
        saying = self._sayings.add(delta, verbatim=verbatim)
        if saying is not None and saying is self._sayings.current:
            self._replies.say(delta)
        else:
            self._replies.speak_next()

    def _take_say_end(self, _: SayEnd) -> None:
        self._say(self._said.finish())
        saying = self._sayings.end()
        if saying is not None and saying is self._sayings.current:
            self._replies.say_end()

    def check(self, now: float) -> None:
        """Does outside text wait for an end that never comes?"""
        if not self._sayings.expects_more or now - self._said_at <= self._say_timeout:
            return
        if self._sayings.length:
            self._notices.failed(
                TimedOut(f"No say_end came for {self._say_timeout:g} seconds; the text counts as complete.")
            )
        self._take_say_end(SayEnd())

    # --- buttons -------------------------------------------------------------------------

    def _take_interrupt(self, _: Interrupt) -> None:
        self._sayings.cut()
        self._on(Event.INTERRUPTED)
        if self._floor.agent is Agent.IDLE:
            self._turns.set_aside()

    def _take_end_turn(self, _: EndTurn) -> None:
        floor = self._floor
        if floor.agent is Agent.BARGED_IN:
            self._barge_in.take_floor("the turn was said to be over")
        if floor.agent is Agent.LISTENING:
            self._turns.end("message")

    def _take_end(self, _: EndSession) -> None:
        self._end("The participant said goodbye.")

    # --- the rest ------------------------------------------------------------------------

    def _take_report(self, report: PlayoutReport) -> None:
        self._replies.take_report(report)

    def _take_voice(self, message: SetVoice) -> None:
        self._replies.change_voice(message.voice)

    def _take_ping(self, message: Ping) -> None:
        self._notices.send(Pong(message.id))

    def _take_start(self, _: StartSession) -> None:
        raise InvalidRequest("The session has already started.")


_HANDLERS: dict[type, Callable[[Requests, Any], None]] = {
    StartSession: Requests._take_start,
    TextInput: Requests._take_text,
    SayDelta: Requests._take_say,
    SayEnd: Requests._take_say_end,
    PlayoutReport: Requests._take_report,
    SetVoice: Requests._take_voice,
    Interrupt: Requests._take_interrupt,
    EndTurn: Requests._take_end_turn,
    Ping: Requests._take_ping,
    EndSession: Requests._take_end,
}
