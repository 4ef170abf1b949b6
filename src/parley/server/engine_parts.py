"""What one engine is made of, before it is made: so that a recorder can get between the engine and its seams."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parley.session.engine import SessionEngine
from parley.session.pressure import Relief

if TYPE_CHECKING:
    from parley.conversation import History
    from parley.interfaces import (
        EchoGuard,
        EndOfTurnModel,
        InterruptionModel,
        LanguageModel,
        Recognizer,
        Synthesizer,
        Tools,
        Transport,
        VoiceActivityDetector,
    )
    from parley.messages import StartSession
    from parley.orders import Guest
    from parley.session.listening.microphone import MicrophoneFilter
    from parley.session.log import Observer
    from parley.session.settings import SessionSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineParts:
    """The arguments of ``session.engine.SessionEngine``; change some of them with ``dataclasses.replace``."""

    transport: Transport
    start: StartSession
    session_id: str
    microphone: MicrophoneFilter
    vad: VoiceActivityDetector
    recognizer: Recognizer
    language_model: LanguageModel
    synthesizer: Synthesizer
    settings: SessionSettings
    history: History | None = None
    echo: EchoGuard | None = None
    end_of_turn: EndOfTurnModel | None = None
    interruption: InterruptionModel | None = None
    tools: Tools | None = None
    observer: Observer
    guest: Guest | None = None
    relief: Relief = field(default_factory=Relief)

    def engine(self) -> SessionEngine:
        """The engine that is made of them. Raises InvalidRequest as it does."""
        return SessionEngine(
            self.transport,
            self.start,
            session_id=self.session_id,
            microphone=self.microphone,
            vad=self.vad,
            recognizer=self.recognizer,
            language_model=self.language_model,
            synthesizer=self.synthesizer,
            settings=self.settings,
            history=self.history,
            echo=self.echo,
            end_of_turn=self.end_of_turn,
            interruption=self.interruption,
            tools=self.tools,
            observer=self.observer,
            guest=self.guest,
            relief=self.relief,
        )
