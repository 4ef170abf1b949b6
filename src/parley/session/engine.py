"""Runs one conversation: the state table in the middle, streams and timers around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from parley.session.history import History
from parley.session.log import Observer, Silent
from parley.session.settings import SessionSettings, with_overrides

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from parley.interfaces import (
        EchoGuard,
        EndOfTurnModel,
        LanguageModel,
        Recognizer,
        Synthesizer,
        Transport,
        VoiceActivityDetector,
    )
    from parley.messages import StartSession


class Microphone(Protocol):
    """Brings the transport's samples to 16 kHz: ``parley.audio.resample.microphone_resampler``."""

    def process(self, samples: NDArray[np.int16]) -> NDArray[np.int16]: ...


class SessionEngine:
    """One conversation with one participant.

    Everything it touches is given to it, and it closes none of that: whoever opened a transport or a
    synthesizer closes it. ``vad``, ``microphone`` and ``echo`` belong to this session alone;
    the others may be shared.

    Raises InvalidRequest when ``start.settings`` names a setting or a value that is not allowed.
    """

    def __init__(
        self,
        transport: Transport,
        start: StartSession,
        *,
        session_id: str,
        microphone: Microphone,
        vad: VoiceActivityDetector,
        recognizer: Recognizer,
        language_model: LanguageModel,
        synthesizer: Synthesizer,
        settings: SessionSettings = SessionSettings(),  # noqa: B008  (frozen)
        history: History | None = None,
        echo: EchoGuard | None = None,
        end_of_turn: EndOfTurnModel | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.session_id = session_id
        self.settings = with_overrides(settings, start.settings)
        self.history = history if history is not None else History()
        """What was said and heard; give it to another engine to go on with the conversation."""
        self._observer = observer or Silent()

    async def run(self) -> None:
        """Hold the conversation until the participant leaves or says goodbye.

        Sends SessionStarted first and SessionEnded last. Raises ParleyError when the session cannot go
        on (TimedOut: the client takes no data); a failing model is told to the participant and survived.
        Cancel the task to end the session from outside, or call :meth:`end`.
        """
        raise NotImplementedError

    def end(self, reason: str) -> None:
        """Say goodbye soon: :meth:`run` sends SessionEnded with ``reason`` and returns."""
        raise NotImplementedError
