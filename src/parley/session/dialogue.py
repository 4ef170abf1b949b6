"""What is asked of a session by a client that knows its conversation entry by entry (``orders``)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from parley import clock
from parley.audio.frame import SAMPLE_RATE
from parley.conversation import Call, Message, Result
from parley.errors import InvalidRequest, NotFound, TooManyRequests
from parley.orders import (
    AskReply,
    CancelReply,
    Clear,
    Cleared,
    Commit,
    Configure,
    Configured,
    Delete,
    Deleted,
    Insert,
    Inserted,
    Refused,
    ReplyBegun,
    ReplyRequest,
    ReplySettled,
    Retrieve,
    Retrieved,
    Truncate,
    Truncated,
)
from parley.session.decide.floor_table import Agent, Event, Participant
from parley.session.decide.outcomes import bounded
from parley.session.listening.silences import Silences
from parley.session.settings import with_overrides

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley.conversation import History, Item
    from parley.orders import Order
    from parley.session.floor import MovableFloor
    from parley.session.listening.barge_in import BargeIn
    from parley.session.listening.beside import Beside
    from parley.session.listening.late import LateTranscripts
    from parley.session.listening.microphone import Microphone
    from parley.session.listening.turns import Endpointing, Turns
    from parley.session.outbox import Notices
    from parley.session.settings import SessionSettings
    from parley.session.speaking.loudspeaker import ReplyRecords
    from parley.session.speaking.replies import Replies
    from parley.session.speaking.tools import ToolCalls
    from parley.session.speaking.written import WrittenReplies
    from parley.session.tasks import Timers
    from parley.session.terms import Terms

_TOLERANCE = SAMPLE_RATE // 5
"""Samples by which a client may be ahead of what it was sent: their clocks and resamplers round as they like."""


class Dialogue:
    """Carries orders out, and says what came of each. One reply is asked for at a time; it waits for turns' words."""

    def __init__(
        self,
        terms: Terms,
        floor: MovableFloor,
        history: History,
        notices: Notices,
        microphone: Microphone,
        endpointing: Endpointing,
        turns: Turns,
        barge_in: BargeIn,
        beside: Beside,
        late: LateTranscripts,
        replies: Replies,
        records: ReplyRecords,
        written: WrittenReplies,
        called: ToolCalls,
        timers: Timers,
        settings: SessionSettings,
        *,
        on: Callable[[Event], None],
        count: Callable[[], int],
    ) -> None:
        self._terms = terms
        self._floor = floor
        self._history = history
        self._notices = notices
        self._microphone = microphone
        self._endpointing = endpointing
        self._turns = turns
        self._barge_in = barge_in
        self._beside = beside
        self._late = late
        self._replies = replies
        self._records = records
        self._written = written
        self._called = called
        self._timers = timers
        self._settings = settings
        self._on = on
        self._count = count
        self._asked = 0
        self._pending: ReplyRequest | None = None
        self._owed = False
        """A turn is to be answered in writing, once what is being said or written is over."""
        self._silences = Silences(
            terms, history, notices, microphone, timers,
            busy=lambda: self._busy, count=count, ask=lambda: self._ask(AskReply(ReplyRequest())),
        )  # fmt: skip

    def take(self, order: Order) -> None:
        """Do it, or say why not."""
        handler: Any = _HANDLERS[type(order)]
        handler(self, order)

    def _refuse(self, ref: str, why: Any, message: str) -> None:
        self._notices.note(Refused(ref, why, message))

    # --- terms -----------------------------------------------------------------------------

    def configure(self, order: Configure) -> None:
        """Go on by other terms."""
        before, manner = self._terms.manner, order.manner
        settings = with_overrides(self._settings, manner.settings)
        self._terms.manner = manner
        self._microphone.change(settings)
        self._endpointing.change(settings)
        if before.detects and not manner.detects:
            if self._floor.participant is Participant.SPEAKING:
                self._on(Event.SPEECH_ENDED)
            if self._floor.agent is Agent.LISTENING:
                self._turns.end("message")
            self._beside.end()
            self._microphone.segmenter.reject()
        elif manner.detects and not before.detects:
            self._beside.clear()
        if manner.language != before.language:
            self._floor.change_language(manner.language)
        if order.ref:
            self._notices.note(Configured(order.ref))

    # --- entries ---------------------------------------------------------------------------

    def _insert(self, order: Insert) -> None:
        item = order.item
        limit = self._settings.limits.max_text
        if isinstance(item, Call) and len(item.arguments) > limit:
            message = f"The arguments have {len(item.arguments)} characters; at most {limit} are taken."
            self._refuse(order.ref, "invalid", message)
            return
        _cut(item, limit)
        try:
            if item.id and any(known.id == item.id for known in self._history.items):
                self._refuse(order.ref, "duplicate", "The conversation has an item of this id already.")
                return
            item.id = item.id or self._history.new_id()
            if not isinstance(item, Result) or self._history.knows_call(item.call_id):
                self._history.insert(item, after=order.after)
        except NotFound as error:
            self._refuse(order.ref, "no_item", error.message)
        except InvalidRequest as error:
            self._refuse(order.ref, "invalid", error.message)
        else:
            self._notices.note(Inserted(order.ref, item, self._before(item.id)))
            if isinstance(item, Result):
                self._called.answered(item.call_id, item.output)

    def _before(self, item_id: str) -> str:
        try:
            return self._history.before(item_id)
        except NotFound:
            return ""  # forgotten at once: the conversation is so long, or its call was forgotten before it

    def _retrieve(self, order: Retrieve) -> None:
        item = self._item(order.ref, order.item_id)
        if item is not None:
            self._notices.note(Retrieved(order.ref, item))

    def _delete(self, order: Delete) -> None:
        if self._item(order.ref, order.item_id) is not None:
            self._history.delete(order.item_id)
            self._notices.note(Deleted(order.ref, order.item_id))

    def _truncate(self, order: Truncate) -> None:
        item = self._item(order.ref, order.item_id)
        if item is None:
            return
        reply = self._records.saying(order.item_id, self._replies.current)
        sent = reply.ledger.sent_samples if reply is not None else item.samples if isinstance(item, Message) else 0
        if not isinstance(item, Message) or item.role != "assistant" or (reply is None and not sent):
            self._refuse(order.ref, "no_audio", "Only model output audio messages can be truncated.")
        elif order.sample > sent + _TOLERANCE:
            have, wanted = (round(samples * 1000 / SAMPLE_RATE) for samples in (sent, order.sample))
            self._refuse(order.ref, "too_long", f"Audio content of {have}ms is already shorter than {wanted}ms.")
        else:
            if reply is not None:
                reply.entry.cut_at = (
                    order.sample if reply.entry.cut_at is None else min(reply.entry.cut_at, order.sample)
                )
            if item.samples:
                self._history.truncate(order.item_id, order.sample)
            self._notices.note(Truncated(order.ref, order.item_id, order.sample))

    def _item(self, ref: str, item_id: str) -> Item | None:
        try:
            return self._history.get(item_id)
        except NotFound as error:
            self._refuse(ref, "no_item", error.message)
            return None

    # --- replies ---------------------------------------------------------------------------

    def _ask(self, order: AskReply) -> None:
        request = order.request
        if self._busy and not self._terms.aside(request):
            self._refuse(request.ref, "active", "Conversation already has an active response in progress.")
            return
        try:
            context = self._named(request.context)
        except NotFound as error:
            self._refuse(request.ref, "no_item", error.message)
            return
        self._asked += 1
        reply_id = f"a{self._asked}"
        request = replace(request, reply_id=reply_id, context=context)
        self._notices.note(ReplyBegun(reply_id, request.ref, self._terms.in_writing(request), request.beside))
        self._owed = self._owed and self._terms.aside(request)
        if self._pending is None and self._must_wait(request):
            self._pending = request
            self._wait()
        else:
            self._start(request)

    def _named(self, context: tuple[Item | str, ...] | None) -> tuple[Item | str, ...] | None:
        """The same with entries in place of their ids. Raises NotFound."""
        if context is None:
            return None
        return tuple(self._history.get(one) if isinstance(one, str) else one for one in context)

    def write(self) -> None:
        """A turn is answered in writing, though nobody asked: now, or as soon as nothing else is said or written."""
        self._owed = not self.waiting
        self._pay()

    def _pay(self) -> None:
        if self._owed and not self._busy:
            self._ask(AskReply(ReplyRequest()))

    @property
    def waiting(self) -> bool:
        """A reply was asked for that waits for whoever speaks, and will answer them."""
        return self._pending is not None and not self._terms.aside(self._pending)

    @property
    def _busy(self) -> bool:
        """There is a reply, or there will be one without being asked for."""
        if self._pending is not None or self._replies.current is not None or self._written.active is not None:
            return True
        return self._floor.agent in (Agent.SPEAKING, Agent.BARGED_IN) or (self._transcribes and self._terms.speaks)

    @property
    def _transcribes(self) -> bool:
        """A turn is over whose words are not there yet."""
        return self._floor.agent is Agent.THINKING and self._replies.current is None

    def _must_wait(self, request: ReplyRequest) -> bool:
        """Somebody has the floor, or what they said is not understood yet."""
        if request.context is None and (self._transcribes or self._late.expecting):
            return True
        return not self._terms.aside(request) and self._floor.agent is not Agent.IDLE

    def happened(self, event: Event) -> None:
        """The floor has moved: perhaps to where somebody waits for it."""
        self.look()
        self._silences.happened(event)

    def look(self) -> None:
        """Something was understood, or is over: perhaps what a reply waits for."""
        if self._pending is not None or self._owed:
            self._timers.set("asked", clock.now(), self._look)

    def _look(self) -> None:
        if self._pending is None:
            self._pay()
        elif self._must_wait(self._pending):
            self._wait()
        else:
            self._begin()

    def _wait(self) -> None:
        """For words no longer than a recogniser may take; whoever has the floor gives it back, and that is an event."""
        if self._floor.agent is Agent.IDLE:
            self._timers.set("asked", clock.now() + self._settings.limits.asr_timeout, self._begin)

    def _begin(self) -> None:
        if self._pending is not None:
            request, self._pending = self._pending, None
            self._start(request)

    def _start(self, request: ReplyRequest) -> None:
        reply_id = request.reply_id
        if self._terms.in_writing(request):
            try:
                self._written.begin(request)
            except TooManyRequests as error:
                self._notices.note(ReplySettled(reply_id, "failed", code=error.code, message=error.message))
        elif self._floor.agent is Agent.IDLE:
            self._count()
            self._replies.take_request(request)
        else:
            message = "Something else is being said."
            self._notices.note(ReplySettled(reply_id, "failed", code="conversation_busy", message=message))

    def _cancel(self, order: CancelReply) -> None:
        why, wanted = "client_cancelled", order.reply_id
        if self._pending is not None and wanted in ("", self._pending.reply_id):
            self._give_up(why)
        elif not (self._written.cancel(why, wanted) or self._stop(wanted, why)):
            self._refuse(order.ref, "not_active", "Cancellation failed: no active response found")

    def _stop(self, wanted: str, why: str) -> bool:
        reply = self._replies.current
        if reply is None or wanted not in ("", reply.utterance_id):
            return False
        self._replies.stop(why)
        self._on(Event.INTERRUPTED)
        if self._floor.agent is Agent.IDLE:
            self._turns.set_aside()
        return True

    def interrupt(self) -> None:
        """Somebody begins to speak: what is being written is not read, and what waits for earlier words not begun.

        A turn that goes on is waited for by the reply that was asked for to it.
        """
        if not (self._terms.by_item and self._terms.manner.interrupts):
            return
        self._written.cancel("turn_detected")
        if self.waiting and self._floor.agent is Agent.IDLE:
            self._give_up("turn_detected")

    def _give_up(self, why: str) -> None:
        assert self._pending is not None
        reply_id, self._pending = self._pending.reply_id, None
        self._timers.cancel("asked")
        self._notices.note(ReplySettled(reply_id, "cancelled", why))
        self.look()

    # --- the microphone --------------------------------------------------------------------

    def _commit(self, order: Commit) -> None:
        if not self._terms.manner.detects:
            done = self._beside.commit()
        else:
            if self._floor.agent is Agent.BARGED_IN:
                self._barge_in.take_floor("the turn was said to be over")
            done = self._floor.agent is Agent.LISTENING
            if done:
                self._turns.end("message")
        if not done:
            self._refuse(order.ref, "nothing_said", "Error committing input audio buffer: there is nothing in it.")

    def _clear(self, order: Clear) -> None:
        self._forget_speech()
        self._notices.note(Cleared(order.ref))

    def _forget_speech(self) -> None:
        """What was said, and is no turn yet, will be none."""
        listening, watched = self._floor.agent is Agent.LISTENING, self._barge_in.watched is not None
        if listening or watched or self._beside.overhears:
            self._microphone.forget()
        self._beside.clear()
        if listening:
            self._turns.clear()
            self._replies.remark(None)
        elif watched:
            self._barge_in.clear()


def _cut(item: Item, limit: int) -> None:
    """Clients replay what was said long ago, and tools answer with whole pages: what is too long is cut, and says so.

    A call is left as it is: JSON that is cut is none.
    """
    if isinstance(item, Message) and len(item.text) > limit:
        item.text = bounded(item.text, limit)
    elif isinstance(item, Result) and len(item.output) > limit:
        item.output = bounded(item.output, limit)


_HANDLERS: dict[type, Callable[[Dialogue, Any], None]] = {
    Configure: Dialogue.configure,
    Insert: Dialogue._insert,
    Retrieve: Dialogue._retrieve,
    Delete: Dialogue._delete,
    Truncate: Dialogue._truncate,
    AskReply: Dialogue._ask,
    CancelReply: Dialogue._cancel,
    Commit: Dialogue._commit,
    Clear: Dialogue._clear,
}
