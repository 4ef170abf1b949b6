"""Speech on its way to words, whether it is a turn or only a sound over a reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parley.session.listening.microphone import RATE
from parley.session.listening.turn import Part
from parley.tracing import place_of, working_for

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from parley.errors import ParleyError
    from parley.interfaces import Recognizer
    from parley.session.floor import Floor
    from parley.session.listening.microphone import Microphone
    from parley.session.listening.turn import Turn
    from parley.session.tasks import Tasks
    from parley.session.terms import Terms


class Recognition:
    """Gives each stretch of speech to the recogniser; ``understood`` is called whenever it says something new."""

    def __init__(
        self,
        recognizer: Recognizer,
        floor: Floor,
        microphone: Microphone,
        tasks: Tasks,
        *,
        terms: Terms,
        session_id: str,
        understood: Callable[[Turn], None],
        failed: Callable[[Turn, ParleyError], None],
    ) -> None:
        self._own = self._recognizer = recognizer
        self._terms = terms
        self._told: tuple[str, ...] = ()
        """What that was told is likely to be said."""
        self._floor = floor
        self._microphone = microphone
        self._tasks = tasks
        self._session_id = session_id
        self._understood = understood
        self._failed = failed
        self._tells = False
        """Whether this recogniser says how much it has covered; known from its first words on."""

    @property
    def onset(self) -> float:
        """Seconds of the microphone's audio at which the latest speech began, with what is heard from before it."""
        return self._microphone.heard_from

    @property
    def last_voice(self) -> float:
        """Seconds of the microphone's audio at which it ended, as far as is known."""
        return self._microphone.segmenter.last_voice

    def hear_with(self, recognizer: Recognizer | None) -> None:
        """Another one hears what is said from the next stretch on; None for the session's own."""
        self._recognizer = recognizer or self._own
        self._told = ()
        self._tells = False

    def voiced(self, turn: Turn) -> float:
        """Seconds of voice in it so far."""
        return self._microphone.segmenter.voiced_ever - turn.voiced_before

    def follow(self, turn: Turn, *, fresh: bool = False) -> None:
        """Recognise what is being said now, from a little before its onset, as the next part of ``turn``.

        ``fresh``: from the next sample on.
        """
        self._expect(self._terms.manner.hot_words)
        part = Part(RATE, tells=self._tells)
        if not turn.parts:
            turn.voiced_before = self._microphone.segmenter.voiced_ever - self._microphone.segmenter.voiced
        turn.parts.append(part)
        if not fresh:
            part.hear(self._microphone.since_onset().tobytes())

        def recognize() -> Coroutine[Any, Any, None]:
            return part.recognize(
                self._recognizer,
                self._floor.language,
                lambda: self._heard(part, turn),
                lambda error: self._failed(turn, error),
            )

        with working_for(lambda: place_of(self._session_id, turn.number)):  # a sound over a reply may become a turn
            part.task = self._tasks.spawn(recognize, "recognise")

    def _expect(self, hot_words: tuple[str, ...]) -> None:
        if hot_words != self._told:
            self._told, self._recognizer = hot_words, self._recognizer.for_session(hot_words)

    def _heard(self, part: Part, turn: Turn) -> None:
        self._tells = self._tells or part.tells
        self._understood(turn)
