"""Who is talking, and what is going on: the one record that all rooms of a session share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parley.session.decide.floor_table import Machine
from parley.session.log import Stages

if TYPE_CHECKING:
    from parley.session.decide.history import History
    from parley.session.listening.turn import Turn
    from parley.session.speaking.reply import Reply
    from parley.values import Voice


@dataclass(slots=True)
class Floor:
    """The states, and whatever is open now. Read by everybody; each field's docstring says who writes it."""

    history: History
    """What was said and heard."""
    voice: Voice
    """Of the next utterance (``Replies``)."""
    asked_language: str = ""
    """BCP 47, as the client named it; empty for the voice's own."""
    machine: Machine = field(default_factory=Machine)
    """Moved by the engine alone."""
    turns: int = 0
    """The newest turn's number: whoever opens one counts it."""
    turn: Turn | None = None
    """The participant's, until its reply is heard (``Turns``; ``Replies`` takes it when it is answered)."""
    watched: Turn | None = None
    """What is being said over a reply (``BargeIn``; ``Turns`` takes it when it proves to be a turn)."""
    typed: str = ""
    """A turn that came as text, and waits for its reply to start."""
    late: str = ""
    """What was understood late, and waits for a free floor to be answered (``LateTranscripts``)."""
    reply: Reply | None = None
    """The one that is heard, or is to be next (``Replies`` and ``Speculation``)."""
    stages: Stages = field(default_factory=lambda: Stages(0.0))
    """How far the newest turn has come."""

    @property
    def language(self) -> str:
        """What the participant is taken to speak."""
        return self.asked_language or self.voice.language
