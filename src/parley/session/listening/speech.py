"""What the microphone brings: samples for the recogniser, and when somebody begins to speak or falls silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley import clock
from parley.session.decide.floor_table import Agent, Event, Participant
from parley.session.decide.segmenter import SpeechEnded, SpeechStarted

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from parley.audio.frame import AudioFrame
    from parley.session.floor import Floor
    from parley.session.listening.barge_in import BargeIn
    from parley.session.listening.beside import Beside
    from parley.session.listening.microphone import Microphone
    from parley.session.listening.turns import Endpointing, Turns
    from parley.session.settings import SessionSettings
    from parley.session.tasks import Timers
    from parley.session.terms import Terms

_STEP = 0.02
"""Seconds between two pieces of silence in place of frames that do not come."""
_TINY = 1e-6
_STALLED = 0.05
"""Seconds by which a timer is late only where the whole process was."""
_AWAY = 1.0
"""Seconds without a frame, while nobody followed, after which what came before is no longer what is being said."""


class SpeechDetection:
    """Between the microphone, which knows sounds, and the table, which knows whose turn it is."""

    def __init__(
        self,
        floor: Floor,
        microphone: Microphone,
        barge_in: BargeIn,
        turns: Turns,
        timers: Timers,
        settings: SessionSettings,
        *,
        on: Callable[[Event], None],
        beside: Beside,
        endpointing: Endpointing,
        terms: Terms,
        spoken: Callable[[], None],
    ) -> None:
        """``spoken``: somebody speaks while no reply sounds."""
        self._beside, self._endpointing, self._terms, self._spoken = beside, endpointing, terms, spoken
        self._floor = floor
        self._microphone = microphone
        self._barge_in = barge_in
        self._turns = turns
        self._timers = timers
        self._settings = settings.barge_in
        self._silent_after = settings.segmenter.silent_after
        self._on = on
        self._wire_silent = False
        """True from the moment at which missing frames count as silence until one comes."""
        self._patience_with_wire = self._silent_after
        self._minding_wire = False
        self._look_due = 0.0

    def hear(self, frame: AudioFrame) -> None:
        """Take the next frame; what was missing before it was silence."""
        now, duration, microphone = clock.now(), frame.duration, self._microphone
        if microphone.heard_at:
            missing = now - duration - microphone.heard_at
            if missing > (_TINY if self._wire_silent else _AWAY):
                self._take(*microphone.hear_silence(now - duration))
        self._wire_silent = False
        self._patience_with_wire = max(self._silent_after, 2 * duration)
        self._take(*microphone.hear(frame, now))
        if not self._minding_wire and self._followed:
            self._mind_wire(now + self._patience_with_wire)

    # --- a microphone that falls silent ------------------------------------------------------

    @property
    def _followed(self) -> bool:
        """True while it matters what the microphone brings next, or that it brings nothing."""
        speaking = self._microphone.segmenter.speaking
        return speaking or self._barge_in.watched is not None or self._floor.agent is Agent.LISTENING

    def _mind_wire(self, when: float) -> None:
        self._minding_wire = True
        self._look_due = when
        self._timers.set("wire", when, self._look_at_wire)

    def _look_at_wire(self) -> None:
        """No frame for a while is silence: for the detector and the recogniser alike, as long as anybody listens."""
        now, microphone = clock.now(), self._microphone
        due = microphone.heard_at + self._patience_with_wire
        late = now - self._look_due
        if late > _STALLED:
            due = now + _STALLED  # it is this process that stood still: what was sent meanwhile comes first
        elif self._wire_silent or now >= due - _TINY:
            self._wire_silent = True
            due = now + _STEP
            self._take(*microphone.hear_silence(now - _STEP))  # a step behind: a frame that comes back needs its time
        self._minding_wire = False
        if self._followed:
            self._mind_wire(due)

    # --- what is heard -----------------------------------------------------------------------

    def _take(self, samples: NDArray[np.int16], events: list[SpeechStarted | SpeechEnded]) -> None:
        floor = self._floor
        if not self._terms.manner.detects:
            self._beside.hear(samples)
            self._microphone.segmenter.reject()
            return
        if self._beside.overhears:
            self._beside.overhear(samples, speaking=self._microphone.segmenter.speaking)
        heard = self._turns.open_turn if floor.agent is Agent.LISTENING else self._barge_in.watched
        if heard is not None:
            heard.hear(samples.tobytes(), speaking=self._microphone.segmenter.speaking)
        for event in events:
            if isinstance(event, SpeechStarted):
                self._speech_started()
            else:
                self._speech_ended()
        if self._barge_in.watched is not None:
            self._barge_in.judge()
        self._endpointing.heard()

    def be_alert(self) -> None:
        """While a reply is to be heard, the first sign of speech counts."""
        over_reply = self._floor.agent in (Agent.SPEAKING, Agent.BARGED_IN)
        self._microphone.set_alert(self._may_interrupt and over_reply)

    @property
    def _may_interrupt(self) -> bool:
        return self._settings.enabled and self._terms.manner.interrupts

    def _speech_started(self) -> None:
        floor = self._floor
        if self._over_reply:
            if not self._may_interrupt:
                if self._terms.by_item:
                    self._beside.begin()
                return
            if self._microphone.echo_likelihood >= self._settings.echo_threshold:
                self._microphone.segmenter.reject()
            elif floor.knows(Event.EVIDENCE_FOUND):
                self._on(Event.EVIDENCE_FOUND)
        elif floor.knows(Event.SPEECH_STARTED):
            self._spoken()
            self._turns.interrupted()
            self._on(Event.SPEECH_STARTED)

    @property
    def _over_reply(self) -> bool:
        """True where only a floor that is taken may end the reply: it sounds, or it answers no spoken turn.

        A spoken turn may go on for as long as its reply has made no sound.
        """
        floor = self._floor
        unheard = floor.agent is Agent.THINKING and self._turns.open_turn is None
        return unheard or floor.agent in (Agent.SPEAKING, Agent.BARGED_IN)

    def _speech_ended(self) -> None:
        floor = self._floor
        self._beside.pause()
        if floor.participant is Participant.SPEAKING:
            if floor.agent is Agent.LISTENING:
                self._microphone.learn_level()
            self._on(Event.SPEECH_ENDED)
