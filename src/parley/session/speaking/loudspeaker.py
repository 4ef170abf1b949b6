"""The participant's loudspeaker, at the far end of the transport, and what became of the replies that it played.

Orders to it go through the outbox, so that they keep their order among the messages; a reply stops sending at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley import clock
from parley.audio.frame import SAMPLE_RATE
from parley.messages import ReplyEnded, TurnLatency
from parley.session.log import Latency, ReplyOver

if TYPE_CHECKING:
    from parley.interfaces import Transport
    from parley.messages import PlayoutReport, ReplyOutcome
    from parley.session.decide.history import History, Words
    from parley.session.floor import Floor
    from parley.session.outbox import Notices, Outbox
    from parley.session.settings import PlayoutSettings
    from parley.session.speaking.reply import Reply
    from parley.session.tasks import Timers
    from parley.values import PlayoutPosition


class ReplyRecords:
    """Closes each reply once, with what was heard of it.

    A reply that was cut off stays open for as long as its listener may still say where it stopped.
    """

    def __init__(self, history: History, notices: Notices) -> None:
        self._history = history
        self._notices = notices
        self._open: dict[str, tuple[Reply, Words]] = {}

    def find(self, utterance_id: str) -> Reply | None:
        """A reply that was cut off and is not settled yet."""
        reply, _ = self._open.get(utterance_id, (None, None))
        return reply

    def note_turn(self, reply: Reply) -> Words:
        """What the reply answers belongs to the past from its first sound on."""
        reply.turn_noted = True
        return self._history.add_participant(reply.turn_text)

    def cut(self, reply: Reply) -> None:
        """The reply was cut off; how far it was heard may still become better known."""
        words = self._history.keep_place("assistant")
        self._history.amend(words, reply.heard_text())
        self._open[reply.utterance_id] = reply, words

    def settle(self, utterance_id: str) -> None:
        """No more is to be learnt of this one."""
        reply, words = self._open.pop(utterance_id, (None, None))
        if reply is not None and words is not None:
            self._close(reply, words, "failed" if reply.outcome == "failed" else "interrupted")

    def settle_all(self) -> None:
        """No more is to be learnt of any, in the order in which they were cut off."""
        for utterance_id in list(self._open):
            self.settle(utterance_id)

    def close(self, reply: Reply, outcome: ReplyOutcome) -> None:
        """The reply is over, and this was heard of it."""
        self._close(reply, self._history.keep_place("assistant"), outcome)

    def _close(self, reply: Reply, words: Words, outcome: ReplyOutcome) -> None:
        heard, text = reply.heard, reply.heard_text()
        self._history.amend(words, text)
        self._log(reply, outcome, round(heard / SAMPLE_RATE, 6))
        if reply.announced:
            self._notices.send(ReplyEnded(reply.utterance_id, outcome, reply.text, text, heard))

    def discard(self, reply: Reply) -> None:
        """Nobody has heard a sound of it."""
        self._log(reply, "discarded", 0.0)

    def _log(self, reply: Reply, outcome: ReplyOutcome, heard: float) -> None:
        self._notices.log(ReplyOver(self._notices.now(), reply.utterance_id, outcome, heard))


class Loudspeaker:
    """Knows how far replies were heard.

    ``reports``: the client says what it played, so that one that was silenced is given time to say where it stopped.
    """

    def __init__(
        self,
        transport: Transport,
        outbox: Outbox,
        floor: Floor,
        notices: Notices,
        records: ReplyRecords,
        timers: Timers,
        settings: PlayoutSettings,
        *,
        reports: bool,
    ) -> None:
        self._transport = transport
        self._outbox = outbox
        self._floor = floor
        self._notices = notices
        self._records = records
        self._timers = timers
        self._settings = settings
        self._reports = reports

    # --- orders --------------------------------------------------------------------------

    def hold(self) -> None:
        """Silence at once; everything is kept."""
        reply = self._floor.reply
        assert reply is not None
        reply.hold()
        if reply.announced:
            self._outbox.call(self._pause)

    def let_go(self) -> None:
        """Go on with the very next sample."""
        reply = self._floor.reply
        assert reply is not None
        reply.release()
        if not reply.announced:
            reply.play()
            return

        async def resume() -> None:
            await self._transport.resume_audio()
            reply.play()

        self._outbox.call(resume)

    def silence(self) -> None:
        """Silence for good: what is queued is dropped."""
        self._outbox.call(self._clear)

    async def _pause(self) -> None:
        self._reached(await self._transport.pause_audio())

    async def _clear(self) -> None:
        position = await self._transport.clear_audio()
        self._reached(position)
        reply = self._records.find(position.utterance_id)
        if reply is None or position.exact or not self._reports:
            self.settle()
        else:
            self._timers.set("settle", clock.now() + self._settings.report_timeout, self.settle)

    def settle(self) -> None:
        """No more is to be learnt of where replies were cut off."""
        self._timers.cancel("settle")
        self._records.settle_all()

    # --- what is heard -------------------------------------------------------------------

    def begins(self, reply: Reply) -> None:
        """The first frame of a reply is on its way."""
        reply.stages.mark("sent")
        if not self._reports:
            self._tell_latency(reply)

    def take_report(self, report: PlayoutReport) -> None:
        """The client says how far it has played."""
        reply = self._find(report.utterance_id)
        if reply is None:
            return
        reply.ledger.report(report.sample, clock.now(), stopped=report.stopped)
        if report.sample and "heard" not in reply.stages.reached:
            reply.stages.mark("heard")
            self._tell_latency(reply)
        if report.stopped:
            self._records.settle(report.utterance_id)

    def _reached(self, position: PlayoutPosition) -> None:
        reply = self._find(position.utterance_id)
        if reply is not None and reply.ledger.paused:
            reply.ledger.report(position.sample, clock.now(), stopped=True)

    def _find(self, utterance_id: str) -> Reply | None:
        reply = self._floor.reply
        if reply is not None and reply.utterance_id == utterance_id:
            return reply
        return self._records.find(utterance_id)

    def _tell_latency(self, reply: Reply) -> None:
        stages = reply.stages.milliseconds()
        if reply.turn_text and stages:
            self._notices.send(TurnLatency(reply.turn, stages))
            self._notices.log(Latency(self._notices.now(), reply.turn, stages))
