"""The participant's loudspeaker, at the far end of the transport: held, let go on, silenced, and what it reports.

Orders to it go through the outbox, so that they keep their order among the messages; a reply stops sending at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley import clock
from parley.messages import TurnLatency
from parley.session.log import Latency

if TYPE_CHECKING:
    from parley.interfaces import Transport
    from parley.messages import PlayoutReport
    from parley.session.floor import Floor
    from parley.session.notices import Notices
    from parley.session.outbox import Outbox
    from parley.session.settings import PlayoutSettings
    from parley.session.speaking.books import Books
    from parley.session.speaking.reply import Reply
    from parley.session.tasks import Timers
    from parley.values import PlayoutPosition


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
        books: Books,
        timers: Timers,
        settings: PlayoutSettings,
        *,
        reports: bool,
    ) -> None:
        self._transport = transport
        self._outbox = outbox
        self._floor = floor
        self._notices = notices
        self._books = books
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
        reply = self._books.find(position.utterance_id)
        if reply is None or position.exact or not self._reports:
            self.settle()
        else:
            self._timers.set("settle", clock.now() + self._settings.report_timeout, self.settle)

    def settle(self) -> None:
        """No more is to be learnt of where replies were cut off."""
        self._timers.cancel("settle")
        self._books.settle_all()

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
            self._books.settle(report.utterance_id)

    def _reached(self, position: PlayoutPosition) -> None:
        reply = self._find(position.utterance_id)
        if reply is not None and reply.ledger.paused:
            reply.ledger.report(position.sample, clock.now(), stopped=True)

    def _find(self, utterance_id: str) -> Reply | None:
        reply = self._floor.reply
        if reply is not None and reply.utterance_id == utterance_id:
            return reply
        return self._books.find(utterance_id)

    def _tell_latency(self, reply: Reply) -> None:
        stages = reply.stages.milliseconds()
        if reply.turn_text and stages:
            self._notices.send(TurnLatency(reply.turn, stages))
            self._notices.log(Latency(self._notices.now(), reply.turn, stages))
