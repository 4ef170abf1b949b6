"""What is done when answers come too late: one table, with memory, and an honest look at whether it helped. Pure.

Each stage of a turn has a budget. A stage that overruns it gets the next reaction of its row; a reaction that did not
shorten what the participant waits is taken back and not tried again. Once the stage has kept well within its budget
for long, the newest reaction is taken back as well, and each relapse makes that longer.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class Stage(Enum):
    """Where time goes that somebody waits for."""

    EARS = "ears"
    """From the decision that the turn is over to its words."""
    MODEL = "model"
    """From its words to the first words of the answer."""
    VOICE = "voice"
    """From those to its first sound, and silence in mid-reply."""


class Reaction(Enum):
    """What a session does about it."""

    FASTER_EARS = "faster_ears"
    """Another recogniser hears, one that is there."""
    FILLER = "filler"
    """Say that it takes a moment while the language model has said nothing."""
    SHORT_CLAUSE = "short_clause"
    """The first piece of a reply is spoken before its clause is complete."""
    FASTER_VOICE = "faster_voice"
    """Another voice speaks, one that is in memory and faster."""
    SHORT_REPLIES = "short_replies"
    """The language model is asked to be brief."""
    NO_GUESSES = "no_guesses"
    """No reply is begun before the turn is over: the model has half as much to do."""
    REFUSE = "refuse_sessions"
    """Nobody new is let in."""


TABLE: Mapping[Stage, tuple[Reaction, ...]] = {
    Stage.EARS: (Reaction.FASTER_EARS, Reaction.REFUSE),
    Stage.MODEL: (Reaction.FILLER, Reaction.SHORT_REPLIES, Reaction.NO_GUESSES, Reaction.REFUSE),
    Stage.VOICE: (Reaction.SHORT_CLAUSE, Reaction.FASTER_VOICE, Reaction.SHORT_REPLIES, Reaction.REFUSE),
}
"""What is tried for which stage, in this order."""
UNJUDGED = frozenset({Reaction.REFUSE})
"""What helps others, and cannot be seen to help here."""
_SEVERE = 2.0
"""Times its budget from which one overrun says as much as two."""
_HELPED = 0.95
"""Share of the wait before that is left, at most, of a reaction that helped."""
_REMEMBERED = 4


@dataclass(frozen=True, slots=True)
class Rules:
    """When the table is used."""

    over_after: int = 2
    """Overruns in a row."""
    judge_after: int = 3
    """Turns after which it is known whether a reaction helped."""
    calm_share: float = 0.7
    """Of the budget: below it a stage is calm."""
    calm_after: int = 20
    """Calm turns in a row after which a reaction is taken back; twice as many after each relapse."""
    most_calm: int = 320


@dataclass(frozen=True, slots=True)
class Change:
    """A reaction begins, or ends."""

    stage: Stage
    reaction: Reaction
    on: bool
    why: str
    """"overrun", "no_help" or "calm"."""
    took: float
    """Seconds that the stage took in the turn that decided."""


@dataclass(slots=True)
class _Trial:
    reaction: Reaction
    before: float
    waits: list[float] = field(default_factory=list)


@dataclass(slots=True)
class _Row:
    over: int = 0
    calm: int = 0
    patience: int = 0
    on: list[Reaction] = field(default_factory=list)
    barred: set[Reaction] = field(default_factory=set)
    trial: _Trial | None = None
    waits: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    """What was waited in the latest turns that overran."""


class Budget:
    """One session's. ``limits``: seconds for each stage; ``offers`` says what can be done at this moment."""

    def __init__(self, limits: Mapping[Stage, float], offers: Callable[[Reaction], bool], rules: Rules) -> None:
        self._limits, self._offers, self._rules = limits, offers, rules
        self._rows = {stage: _Row(patience=rules.calm_after) for stage in Stage}

    def on(self, reaction: Reaction) -> bool:
        """Whether any stage asks for it."""
        return any(reaction in row.on for row in self._rows.values())

    def turn(self, took: Mapping[Stage, float], waited: float) -> list[Change]:
        """A turn is over: what its stages took, and what its speaker waited in all, in seconds."""
        changes: list[Change] = []
        for stage, seconds in took.items():
            changes += self._judge(stage, self._rows[stage], seconds, waited)
            changes += self._weigh(stage, self._rows[stage], seconds, waited)
        return changes

    def _judge(self, stage: Stage, row: _Row, seconds: float, waited: float) -> Iterator[Change]:
        trial = row.trial
        if trial is None:
            return
        trial.waits.append(waited)
        if len(trial.waits) < self._rules.judge_after:
            return
        row.trial = None
        if fmean(trial.waits) > _HELPED * trial.before:
            row.on.remove(trial.reaction)
            row.barred.add(trial.reaction)
            yield Change(stage, trial.reaction, on=False, why="no_help", took=seconds)

    def _weigh(self, stage: Stage, row: _Row, seconds: float, waited: float) -> Iterator[Change]:
        limit, rules = self._limits[stage], self._rules
        if seconds > limit:
            row.calm = 0
            row.over += 2 if seconds > _SEVERE * limit else 1
            row.waits.append(waited)
            if row.over >= rules.over_after and row.trial is None and (reaction := self._next(stage, row)):
                row.over = 0
                row.on.append(reaction)
                row.trial = None if reaction in UNJUDGED else _Trial(reaction, fmean(row.waits))
                row.waits.clear()
                yield Change(stage, reaction, on=True, why="overrun", took=seconds)
            return
        row.over = 0
        row.calm = row.calm + 1 if seconds < rules.calm_share * limit else 0
        if row.on and row.trial is None and row.calm >= row.patience:
            row.calm, row.patience = 0, min(2 * row.patience, rules.most_calm)
            yield Change(stage, row.on.pop(), on=False, why="calm", took=seconds)

    def _next(self, stage: Stage, row: _Row) -> Reaction | None:
        fresh = (one for one in TABLE[stage] if one not in row.on and one not in row.barred)
        return next((one for one in fresh if self._offers(one)), None)
