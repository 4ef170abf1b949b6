"""Speech over a reply: held first, judged while it goes on, and answered even when it is understood too late.

What a sound is, ``interruption`` says; here it is watched, asked about, and its verdict becomes an event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley import clock
from parley.conversation import Message
from parley.messages import BargeInDecided, TranscriptUpdate
from parley.session.decide.floor_table import Agent, Event, Participant
from parley.session.decide.interruption import Sound, Verdict, classify, is_quiet, reconsider, wants_answer
from parley.session.listening.turn import Turn
from parley.session.log import Decided
from parley.session.terms import Terms

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley.conversation import History
    from parley.session.floor import Floor
    from parley.session.listening.late import LateTranscripts
    from parley.session.listening.microphone import Microphone
    from parley.session.listening.recognition import Recognition
    from parley.session.outbox import Notices
    from parley.session.settings import SessionSettings
    from parley.session.speaking.replies import Replies
    from parley.session.speaking.reply import Reply
    from parley.session.tasks import Timers

_ASK_AGAIN = 0.05
"""Seconds between two questions when no microphone brings them up."""


class BargeIn:
    """Watches what is said over a reply until it is known what it was."""

    def __init__(
        self,
        floor: Floor,
        history: History,
        notices: Notices,
        microphone: Microphone,
        recognition: Recognition,
        late: LateTranscripts,
        replies: Replies,
        timers: Timers,
        settings: SessionSettings,
        *,
        on: Callable[[Event], None],
        count: Callable[[], int],
        terms: Terms | None = None,
    ) -> None:
        self._terms = terms or Terms()
        self.watched: Turn | None = None
        """What is being said over a reply."""
        self._floor = floor
        self._history = history
        self._notices = notices
        self._microphone = microphone
        self._recognition = recognition
        self._late = late
        self._replies = replies
        self._timers = timers
        self._settings = settings.barge_in
        self._asr_timeout = settings.limits.asr_timeout
        self._on = on
        self._count = count
        self._held_at = 0.0

    # --- watched -------------------------------------------------------------------------

    def watch(self) -> None:
        """Recognise it, without calling it a turn yet."""
        self._leave()  # an earlier sound that is not understood yet
        self.watched = Turn(began_at=clock.now())
        self._recognition.follow(self.watched)

    def drop(self) -> None:
        """It was no turn; but what was said is still of interest."""
        watched = self.watched
        if watched is None:
            return
        if watched.kept not in ("", "echo") and self._replies.current is not None:
            watched.close(self._asr_timeout)
        else:
            self._leave()

    def pass_over(self) -> None:
        """Something else is said: what was said over a reply that is over by now says nothing of the next one."""
        if self._replies.current is None:
            self._leave()

    def _leave(self) -> None:
        """Judged it is not any more; more than a nod belongs to the history all the same."""
        watched = self.hand_over()
        if watched is None:
            return
        if watched.kept == "echo":
            watched.cancel()
        else:
            by_item = self._terms.by_item
            self._late.leave(watched, Message("user", "") if by_item else self._history.keep_place("user"))

    def forget(self) -> None:
        """Nobody wants to know what it was."""
        watched = self.hand_over()
        if watched is not None:
            watched.cancel()

    def hand_over(self) -> Turn | None:
        """It is somebody else's from now on."""
        watched, self.watched = self.watched, None
        return watched

    # --- judged --------------------------------------------------------------------------

    def expect_verdict(self) -> None:
        """The reply is on hold from now on: that must not last."""
        self._held_at = clock.now()
        self._timers.set("judge", self._held_at + self._settings.decide_within, self._judge_in_time)

    def judge(self) -> None:
        """Ask what the sound over the reply is; once it was let go on, only a change of mind counts."""
        watched, reply = self.watched, self._replies.current
        if watched is None or reply is None:
            return
        agent = self._floor.agent
        if agent is Agent.BARGED_IN:
            sound = self._sound(watched, reply)
            verdict = classify(sound, self._settings)
            if verdict is not None:
                self._decide(verdict, sound)
        elif agent in (Agent.THINKING, Agent.SPEAKING) and watched.kept in ("backchannel", "noise"):
            sound = self._sound(watched, reply)
            verdict = reconsider(sound, self._settings)
            if verdict is not None:
                self._decide(verdict, sound)
            elif self._grew_loud(watched, sound):
                self._on(Event.EVIDENCE_FOUND)

    def _grew_loud(self, watched: Turn, sound: Sound) -> bool:
        """What was too quiet to be meant is not any more, and there is a reply that it can hold back."""
        loud = watched.too_quiet and not sound.ended and not is_quiet(sound, self._settings)
        return loud and self._floor.knows(Event.EVIDENCE_FOUND)

    def take_floor(self, reason: str) -> None:
        """It was an interruption: somebody said so."""
        watched, reply = self.watched, self._replies.current
        assert reply is not None
        assert watched is not None
        self._decide(Verdict("take_floor", (reason,)), self._sound(watched, reply))

    def clear(self) -> None:
        """It is not to be a turn, nor part of one, whatever it was: somebody said so."""
        watched, reply = self.watched, self._replies.current
        if watched is not None and reply is not None and self._floor.agent is Agent.BARGED_IN:
            self._decide(Verdict("noise", ("it was cleared",)), self._sound(watched, reply))
        self.forget()
        if self._floor.participant is Participant.SPEAKING:
            self._on(Event.SPEECH_ENDED)

    def _judge_in_time(self) -> None:
        """Also without a microphone that would bring the question up."""
        if self._floor.agent is Agent.BARGED_IN:
            self.judge()
        if self._floor.agent is Agent.BARGED_IN:
            self._timers.set("judge", clock.now() + _ASK_AGAIN, self._judge_in_time)

    def _sound(self, watched: Turn, reply: Reply) -> Sound:
        now = clock.now()
        microphone = self._microphone
        return Sound(
            voiced=microphone.segmenter.voiced_ever - watched.voiced_before,
            silence=microphone.silence(now),
            held=now - self._held_at,
            ended=not microphone.segmenter.speaking,
            level_db=microphone.level_db,
            usual_level_db=microphone.usual_level_db,
            text=watched.text,
            confidence=watched.confidence,
            complete=watched.done,
            covered=watched.covers(microphone.since_voice),
            remaining=reply.remaining,
            echo=microphone.echo_likelihood,
            language=self._floor.language,
            wish=microphone.wish,
        )

    def _decide(self, verdict: Verdict, sound: Sound) -> None:
        reply, watched = self._replies.current, self.watched
        assert reply is not None
        assert watched is not None
        notices = self._notices
        self._timers.cancel("judge")
        held = round(clock.now() - self._held_at, 6) if reply.life.held else 0.0
        notices.log(Decided(notices.now(), reply.utterance_id, verdict.outcome, verdict.reasons, held, sound.facts()))
        quiet = verdict.outcome == "noise" and not sound.ended and is_quiet(sound, self._settings)
        watched.judged(verdict.outcome, too_quiet=quiet)
        kept = Event.REPLY_KEPT if reply.life.announced else Event.REPLY_AWAITED
        self._on(Event.FLOOR_TAKEN if verdict.outcome == "take_floor" else kept)
        notices.send(BargeInDecided(reply.utterance_id, verdict.outcome, verdict.reasons))

    # --- understood ----------------------------------------------------------------------

    def understood(self, watched: Turn) -> None:
        """The recogniser said something new of it, perhaps only after the reply."""
        self.judge()
        floor = self._floor
        if watched is not self.watched or not watched.done or floor.agent is Agent.BARGED_IN:
            return
        self.watched = None
        text = watched.text
        late = wants_answer(text, floor.language, watched.confidence, self._settings)
        if late is not None and floor.agent is Agent.IDLE:
            self._notices.send(TranscriptUpdate(self._count(), text, True, len(text)))
            self._late.answer(text)
        elif late is not None:  # somebody has the floor by now, who is told of it with the rest
            self._replies.tell_turn(self._history.add_participant(text))
            self._notices.send(TranscriptUpdate(floor.turns, text, True, len(text)))
        elif text:
            nod = watched.kept == "backchannel"
            self._notices.send(TranscriptUpdate(floor.turns, text, True, len(text), backchannel=nod))
