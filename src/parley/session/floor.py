"""Who is talking: read by every room of a session, moved by the engine alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley.session.decide.floor_table import Machine

if TYPE_CHECKING:
    from parley.session.decide.floor_table import Action, Agent, Event, Participant, States
    from parley.values import Voice


class Floor:
    """Whose turn it is, with what voice the agent speaks, and which turn is the newest."""

    def __init__(self, voice: Voice, language: str = "") -> None:
        self._machine = Machine()
        self._voice = voice
        self._turns = 0
        self._asked_language = language

    @property
    def states(self) -> States:
        return self._machine.states

    @property
    def participant(self) -> Participant:
        return self._machine.states.participant

    @property
    def agent(self) -> Agent:
        return self._machine.states.agent

    def knows(self, event: Event) -> bool:
        """True when the event can happen now."""
        return self._machine.knows(event)

    @property
    def turns(self) -> int:
        """The newest turn's number; 0 before the first."""
        return self._turns

    @property
    def voice(self) -> Voice:
        """Of the next utterance."""
        return self._voice

    @property
    def language(self) -> str:
        """What the participant is taken to speak, BCP 47: what the client named, or the voice's own."""
        return self._asked_language or self._voice.language


class MovableFloor(Floor):
    """The engine's own: whoever else wants to move the floor tells the engine what happened."""

    def handle(self, event: Event) -> tuple[Action, ...]:
        """Move, and return the orders. Raises InvalidTransition, and stays, when the table has no entry."""
        return self._machine.handle(event)

    def count_turn(self) -> int:
        """One more turn begins; returns its number."""
        self._turns += 1
        return self._turns

    def change_language(self, language: str) -> None:
        """The participant speaks this one, BCP 47; empty for the voice's own."""
        self._asked_language = language

    def change_voice(self, voice: Voice) -> None:
        """Speak with this one from the next utterance on."""
        self._voice = voice
