"""The participant's loudspeaker, at the far end of the transport, and what became of the replies that it played.

Orders to it go through the outbox, so that they keep their order among the messages; a reply stops sending at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parley import clock
from parley.audio.frame import SAMPLE_RATE
from parley.conversation import Message
from parley.messages import ReplyEnded, TurnLatency
from parley.orders import ReplyBegun, ReplyItem, ReplySettled, TurnCommitted, TurnSettled
from parley.session.log import Latency, ReplyOver, Resumed, Silenced, Starved
from parley.session.terms import Terms
from parley.text.speech.normaliser import has_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley.conversation import History
    from parley.interfaces import Transport
    from parley.messages import PlayoutReport
    from parley.session.outbox import Notices, Outbox
    from parley.session.settings import PlayoutSettings
    from parley.session.speaking.reply import Reply
    from parley.session.tasks import Timers
    from parley.values import PlayoutPosition


class ReplyRecords:
    """Closes each reply once, with what was heard of it: history, log and the word to the client.

    A reply that was cut off stays open for as long as its listener may still say where it stopped.
    """

    def __init__(self, history: History, notices: Notices, terms: Terms | None = None) -> None:
        self._history = history
        self._notices = notices
        self._terms = terms or Terms()
        self._open: dict[str, tuple[Reply, Message]] = {}

    def find(self, utterance_id: str) -> Reply | None:
        """A reply that was cut off and is not settled yet."""
        reply, _ = self._open.get(utterance_id, (None, None))
        return reply

    def note_turn(self, reply: Reply) -> Message | None:
        """What the reply answers belongs to the past: from its first call of a tool, its first sound or its end on.

        Returns its place, once.
        """
        if reply.entry.noted or not reply.turn_text:
            return None
        reply.entry.noted = True
        if reply.entry.answers is not None:
            self._history.amend(reply.entry.answers, reply.turn_text)
            return reply.entry.answers
        words = self._history.add_participant(reply.turn_text)
        self.tell_turn(words, reply.turn)
        return words

    def tell_turn(self, words: Message, turn: int = 0) -> None:
        """Something was said that nobody has been told of entry by entry."""
        if self._terms.by_item and words.text:
            self._notices.note(TurnCommitted(words.id, self._history.before(words.id), turn))
            self._notices.note(TurnSettled(words.id, words.text))

    # --- by name ---------------------------------------------------------------------------

    def begin(self, reply: Reply) -> None:
        """There will be this reply for certain: whoever knows the entries is told so, once."""
        if self._terms.by_item and not reply.entry.begun:
            reply.entry.begun = True
            self._notices.note(ReplyBegun(reply.utterance_id, "", text_only=False, beside=False))

    def place(self, reply: Reply) -> None:
        """What it says has a place in the conversation from now on."""
        if not self._terms.by_item or reply.entry.words is not None:
            return
        self.begin(reply)
        item_id = self._history.new_id()
        if reply.request is not None and reply.request.beside:
            reply.entry.words, after = Message("assistant", "", item_id), ""
        else:
            reply.entry.words = self._history.keep_place("assistant", item_id)
            after = self._history.before(item_id)
        self._notices.note(ReplyItem(reply.utterance_id, item_id, after))

    def saying(self, item_id: str, current: Reply | None) -> Reply | None:
        """The reply that says this entry, where that is not over for certain."""
        cut = (reply for reply, _ in self._open.values())
        known = (reply for reply in (current, *cut) if reply is not None and reply.entry.words is not None)
        return next(
            (reply for reply in known if reply.entry.words is not None and reply.entry.words.id == item_id), None
        )

    def _tell_end(self, reply: Reply) -> None:
        if not reply.entry.begun:
            return
        error, usage, writing = reply.entry.error, reply.writing.usage, reply.writing
        outcome: Any = "completed"
        if error is not None:
            outcome = "failed"
        elif reply.life.outcome == "interrupted":
            outcome = "cancelled"
        elif usage is not None and usage.cut:
            outcome = "incomplete"
        code, message = (error.code, error.message) if error is not None else ("", "")
        reason, sent = reply.entry.stopped_by if outcome == "cancelled" else "", reply.ledger.sent_samples
        self._notices.note(
            ReplySettled(
                reply.utterance_id, outcome, reason, code, message, usage, writing.told, sent, min(reply.heard, sent)
            )
        )

    # --- over ------------------------------------------------------------------------------

    def cut(self, reply: Reply) -> None:
        """The reply was cut off; how far it was heard may still become better known."""
        words = reply.entry.words or self._history.keep_place("assistant")
        self._history.amend(words, reply.kept_text())
        self._open[reply.utterance_id] = reply, words

    def settle(self, utterance_id: str) -> None:
        """No more is to be learnt of this one."""
        reply, words = self._open.pop(utterance_id, (None, None))
        if reply is not None and words is not None:
            self._close(reply, words)

    def settle_all(self) -> None:
        """No more is to be learnt of any, in the order in which they were cut off."""
        for utterance_id in list(self._open):
            self.settle(utterance_id)

    def close(self, reply: Reply) -> None:
        """The reply is over, and this was heard of it."""
        words = reply.entry.words
        if words is None:  # a client that knows the entries is told of none that says nothing
            words = Message("assistant", "") if self._terms.by_item else self._history.keep_place("assistant")
        self._close(reply, words)

    def _close(self, reply: Reply, words: Message) -> None:
        heard, text, outcome = reply.heard, reply.heard_text(), reply.life.outcome
        self._history.amend(words, reply.kept_text())
        if reply.entry.words is not None:
            keep_sound(words, reply)
        reply.calls.heard(len(text))
        at = self._notices.now()
        turn = reply.turn if reply.turn_text else 0
        if reply.stages.aside is not None:
            tell_latency(reply, self._notices)  # that of an answer which never came is told all the same
        self._notices.log(ReplyOver(at, reply.utterance_id, outcome, round(heard / SAMPLE_RATE, 6), turn))
        if reply.life.announced:
            self._notices.send(ReplyEnded(reply.utterance_id, outcome, reply.text, text, heard))
        self._tell_end(reply)

    def discard(self, reply: Reply) -> None:
        """Nobody has heard a sound of it."""
        self._tell_end(reply)
        self._notices.log(ReplyOver(self._notices.now(), reply.utterance_id, "discarded", 0.0))


def keep_sound(words: Message, reply: Reply) -> None:
    """Where its words stand in its sound, so that its listener may still say how much they heard."""
    words.samples, words.complete = reply.ledger.sent_samples, reply.life.all_sent
    words.cut = reply.entry.cut_at
    if not reply.writing.asides:  # or the text that is kept would not be the one that was spoken
        words.whole, words.marks = reply.text, tuple(reply.ledger.marks)


def tell_latency(reply: Reply, notices: Notices) -> None:
    """Where the time of its turn went, once."""
    stages, aside = reply.stages.milliseconds(), reply.stages.aside_ms
    if reply.turn_text and (stages or aside is not None) and not reply.stages.told:
        reply.stages.told = True
        if stages:
            notices.send(TurnLatency(reply.turn, stages))
        notices.log(Latency(notices.now(), reply.turn, stages, aside))


def answers(reply: Reply) -> bool:
    """Whether the frame that is being sent belongs to the answer, or something is still said in its place.

    By the marks of the words; a voice without any is taken to speak the answer as soon as it has words of that.
    """
    opening, ledger = reply.writing.opening, reply.ledger
    if not opening:
        return True
    return has_words(reply.text[opening:]) and (not ledger.marks or ledger.spoken_text > opening)


class Loudspeaker:
    """Knows how far replies were heard.

    ``reports``: the client says what it played, so that one that was silenced is given time to say where it stopped.
    ``onset``: loop time at which the latest speech of the participant began.
    """

    def __init__(
        self,
        transport: Transport,
        outbox: Outbox,
        notices: Notices,
        records: ReplyRecords,
        timers: Timers,
        settings: PlayoutSettings,
        *,
        reports: bool,
        onset: Callable[[], float],
    ) -> None:
        self._onset = onset
        self._silent_at = 0.0
        self._transport = transport
        self._outbox = outbox
        self._notices = notices
        self._records = records
        self._timers = timers
        self._settings = settings
        self._reports = reports

    # --- orders --------------------------------------------------------------------------

    def hold(self, reply: Reply) -> None:
        """Silence at once; everything is kept."""
        reply.hold()
        onset = self._onset()

        async def pause() -> None:
            self._reached(reply, await self._transport.pause_audio())
            self._silent_at = now = clock.now()
            since = round(max(0.0, now - onset), 6)
            self._notices.log(Silenced(self._notices.now(), reply.utterance_id, since))

        if reply.life.announced:
            self._outbox.call(pause)

    def let_go(self, reply: Reply) -> None:
        """Go on with the very next sample."""
        reply.release()

        async def resume() -> None:
            await self._transport.resume_audio()
            reply.play()
            gap = round(clock.now() - self._silent_at, 6)
            self._notices.log(Resumed(self._notices.now(), reply.utterance_id, gap))

        if reply.life.announced:
            self._outbox.call(resume)

    def silence(self, reply: Reply) -> None:
        """Silence for good: what is queued is dropped."""

        async def clear() -> None:
            position = await self._transport.clear_audio()
            self._reached(reply, position)
            if position.exact or not self._reports or self._records.find(position.utterance_id) is None:
                self.settle()
            else:
                self._timers.set("settle", clock.now() + self._settings.report_timeout, self.settle)

        self._outbox.call(clear)

    def settle(self) -> None:
        """No more is to be learnt of where replies were cut off."""
        self._timers.cancel("settle")
        self._records.settle_all()

    # --- what is heard -------------------------------------------------------------------

    def sends(self, reply: Reply, start_sample: int) -> None:
        """A frame of a reply is on its way, which begins there."""
        ledger, stages = reply.ledger, reply.stages
        if ledger.gap:
            gap, voice = round(ledger.gap, 6), round(ledger.voice_gap, 6)
            self._notices.log(Starved(self._notices.now(), reply.utterance_id, gap, voice))
        if ledger.answer_from is not None:
            return
        if answers(reply):
            ledger.answer_from = start_sample
            stages.mark("tts")
            stages.mark("sent")
            if not self._reports:
                tell_latency(reply, self._notices)
        elif stages.aside is None:
            stages.say_aside()

    def take_report(self, report: PlayoutReport, current: Reply | None) -> None:
        """The client says how far it has played, of the ``current`` reply or of one that was cut off."""
        if current is not None and current.utterance_id == report.utterance_id:
            reply = current
        elif (cut := self._records.find(report.utterance_id)) is not None:
            reply = cut
        else:
            return
        reply.ledger.report(report.sample, clock.now(), stopped=report.stopped)
        begun = reply.ledger.answer_from
        if begun is not None and report.sample > begun and "heard" not in reply.stages.reached:
            reply.stages.mark("heard")
            tell_latency(reply, self._notices)
        if report.stopped:
            self._records.settle(report.utterance_id)

    def _reached(self, reply: Reply, position: PlayoutPosition) -> None:
        if reply.utterance_id == position.utterance_id and reply.ledger.paused:
            reply.ledger.report(position.sample, clock.now(), stopped=True)
