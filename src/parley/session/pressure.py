"""Answers that come too late change how a session talks (``decide.budget``): measured by its log, done in its rooms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from parley.session.decide.budget import Budget, Change, Reaction, Rules, Stage
from parley.session.log import BudgetReacted, Latency, ReplyOver, Starved

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley.interfaces import Recognizer
    from parley.session.log import LogEntry, Observer
    from parley.session.settings import BudgetSettings
    from parley.session.terms import Terms
    from parley.values import Voice


_MORE = 1.01
"""Times its budget that a stage took at least which is known to have overrun it."""


@dataclass(frozen=True, slots=True)
class Relief:
    """Who else could hear and speak."""

    ears: Recognizer | None = None
    """A recogniser that is faster than the session's own."""
    voice: Callable[[Voice], Voice | None] = lambda _: None
    """A voice that is in memory and faster than this one; None where there is none."""

    def for_session(self) -> Relief:
        """The same for one session."""
        return replace(self, ears=self.ears and self.ears.for_session())


class Pressure:
    """An observer in front of the session's own. Off, it is not there at all.

    ``hear_with`` has another recogniser hear from the next turn on (None: the session's own), ``speak_with`` another
    voice speak; ``relief`` knows which.
    """

    def __init__(
        self,
        observer: Observer,
        settings: BudgetSettings,
        terms: Terms,
        *,
        voice: Callable[[], Voice],
        relief: Relief,
        hear_with: Callable[[Recognizer | None], None],
        speak_with: Callable[[Voice], None],
    ) -> None:
        self._observer, self._settings, self._terms = observer, settings, terms
        self._voice, self._hear_with, self._speak_with = voice, hear_with, speak_with
        self._relief = relief
        self._usual_voice: Voice | None = None
        self._chosen: Voice | None = None
        self._latencies: dict[int, Latency] = {}
        self._silences: dict[str, float] = {}
        self.frame_sent = observer.frame_sent
        limits = {Stage.EARS: settings.ears, Stage.MODEL: settings.model, Stage.VOICE: settings.voice}
        self._budget = Budget(limits, self._offers, Rules())

    def logged(self, entry: LogEntry) -> None:
        """Something was decided (``session.log.Observer``)."""
        self._observer.logged(entry)
        match entry:
            case Latency():
                self._latencies[entry.turn] = entry
            case Starved():
                self._silences[entry.utterance_id] = self._silences.get(entry.utterance_id, 0.0) + entry.voice
            case ReplyOver():
                silence = self._silences.pop(entry.utterance_id, 0.0)
                latency = self._latencies.pop(entry.turn, None)
                if latency is not None:
                    self._turn(entry.at, latency, silence)
            case _:
                pass

    def _turn(self, at: float, latency: Latency, silence: float) -> None:
        """A turn is over; ``silence`` is that for which its voice is to blame."""
        took, wait = stages_of(latency, silence), waited(latency)
        if "llm" not in latency.stages_ms and self._terms.measures.filler_after < float("inf"):
            # something else had to be said in its place: it took longer than it may, however long that was
            took[Stage.MODEL] = max(_MORE * self._settings.model, wait)
        for change in self._budget.turn(took, wait + silence):
            self._carry_out(change)
            self._observer.logged(_told(at, change))

    def _offers(self, reaction: Reaction) -> bool:
        if self._budget.on(reaction):
            return reaction is Reaction.REFUSE
        if reaction is Reaction.FASTER_EARS:
            return self._relief.ears is not None
        if reaction is Reaction.FASTER_VOICE:
            return self._relief.voice(self._voice()) is not None
        return True

    def _carry_out(self, change: Change) -> None:
        measures, on = self._terms.measures, self._budget.on
        measures.filler_after = self._settings.model if on(Reaction.FILLER) else float("inf")
        measures.first_longest = self._settings.first_longest if on(Reaction.SHORT_CLAUSE) else 0
        measures.brief = on(Reaction.SHORT_REPLIES)
        measures.guesses = not on(Reaction.NO_GUESSES)
        if change.reaction is Reaction.FASTER_EARS:
            self._hear_with(self._relief.ears if change.on else None)
        elif change.reaction is Reaction.FASTER_VOICE:
            self._change_voice(to_faster=change.on)

    def _change_voice(self, *, to_faster: bool) -> None:
        """Speak with a faster one, or as before, unless somebody has chosen another since."""
        now = self._voice()
        if to_faster and (faster := self._relief.voice(now)) is not None:
            self._usual_voice, self._chosen = now, faster
            self._speak_with(faster)
        elif not to_faster and self._usual_voice is not None:
            usual, self._usual_voice = self._usual_voice, None
            if now == self._chosen:
                self._speak_with(usual)


def _told(at: float, change: Change) -> BudgetReacted:
    took = round(change.took, 3)
    return BudgetReacted(at, change.stage.value, change.reaction.value, change.on, change.why, took)


def stages_of(latency: Latency, silence: float) -> dict[Stage, float]:
    """Seconds that each stage took; one that was not reached, or was done while another was waited for, took none.

    Where something was said in place of the answer, the voice had that to speak first: then it took the ``silence``
    behind it.
    """
    reached = {name: at / 1000 for name, at in latency.stages_ms.items()}
    decided = reached.get("endpoint", 0.0)
    understood = max(decided, reached.get("asr", decided))
    took = {Stage.EARS: understood - decided} if "asr" in reached else {}
    if "llm" in reached:
        first_words = max(understood, reached["llm"])
        took[Stage.MODEL] = first_words - understood
        if "tts" in reached:
            first = 0.0 if latency.aside_ms is not None else max(0.0, reached["tts"] - first_words)
            took[Stage.VOICE] = first + silence
    return took


def waited(latency: Latency) -> float:
    """Seconds from the last voice to the first sound, as it was sent, whether or not that was the answer's."""
    if latency.aside_ms is not None:
        return latency.aside_ms / 1000
    return latency.stages_ms.get("sent", max(latency.stages_ms.values(), default=0.0)) / 1000
