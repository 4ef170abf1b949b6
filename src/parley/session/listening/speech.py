"""What the microphone brings: samples for the recogniser, and when somebody begins to speak or falls silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley import clock
from parley.session.decide.floor_table import Agent, Event, Participant
from parley.session.decide.segmenter import SpeechStarted

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley.audio.frame import AudioFrame
    from parley.session.floor import Floor
    from parley.session.listening.barge_in import BargeIn
    from parley.session.listening.microphone import Microphone
    from parley.session.listening.turns import Endpointing
    from parley.session.settings import BargeInSettings


class SpeechDetection:
    """Between the microphone, which knows sounds, and the table, which knows whose turn it is."""

    def __init__(
        self,
        floor: Floor,
        microphone: Microphone,
        barge_in: BargeIn,
        endpointing: Endpointing,
        settings: BargeInSettings,
        *,
        on: Callable[[Event], None],
    ) -> None:
        self._floor = floor
        self._microphone = microphone
        self._barge_in = barge_in
        self._endpointing = endpointing
        self._settings = settings
        self._on = on

    def hear(self, frame: AudioFrame) -> None:
        """Take the next frame."""
        samples, events = self._microphone.hear(frame, clock.now())
        floor = self._floor
        heard = floor.turn if floor.machine.agent is Agent.LISTENING else floor.watched
        if heard is not None:
            heard.hear(samples.tobytes())
        for event in events:
            if isinstance(event, SpeechStarted):
                self._speech_started()
            else:
                self._speech_ended()
        if floor.watched is not None:
            self._barge_in.judge()

    def be_alert(self) -> None:
        """While a reply is to be heard, the first sign of speech counts."""
        over_reply = self._floor.machine.agent in (Agent.SPEAKING, Agent.BARGED_IN)
        self._microphone.set_alert(self._settings.enabled and over_reply)

    def _speech_started(self) -> None:
        machine = self._floor.machine
        if self._over_reply:
            if not self._settings.enabled:
                return
            if self._microphone.echo_likelihood >= self._settings.echo_threshold:
                self._microphone.segmenter.reject()
            elif machine.knows(Event.EVIDENCE_FOUND):
                self._on(Event.EVIDENCE_FOUND)
        elif machine.knows(Event.SPEECH_STARTED):
            self._endpointing.interrupted()
            self._on(Event.SPEECH_STARTED)

    @property
    def _over_reply(self) -> bool:
        """True where only a floor that is taken may end the reply: it sounds, or it answers no spoken turn.

        A spoken turn may go on for as long as its reply has made no sound.
        """
        floor = self._floor
        unheard = floor.machine.agent is Agent.THINKING and floor.turn is None
        return unheard or floor.machine.agent in (Agent.SPEAKING, Agent.BARGED_IN)

    def _speech_ended(self) -> None:
        machine = self._floor.machine
        if machine.participant is Participant.SPEAKING:
            if machine.agent is Agent.LISTENING:
                self._microphone.learn_level()
            self._on(Event.SPEECH_ENDED)
