"""What a session decided, when, and why: for metrics, for recordings, for people who wonder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from parley import clock
from parley.session.decide.stages import STAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parley.messages import DecisionOutcome, ReplyOutcome


@dataclass(frozen=True, slots=True)
class Transition:
    """The state table moved."""

    at: float
    """Seconds on the session's clock: 0 when it started."""
    event: str
    participant: str
    agent: str
    """States after the event."""


@dataclass(frozen=True, slots=True)
class Decided:
    """Speech over a reply was judged."""

    at: float
    utterance_id: str
    outcome: DecisionOutcome
    reasons: tuple[str, ...]
    held: float
    """Seconds for which the reply was silent."""
    facts: Mapping[str, float | str] = field(default_factory=dict)
    """The numbers behind it."""


@dataclass(frozen=True, slots=True)
class TurnClosed:
    """The participant's turn ended."""

    at: float
    turn: int
    reason: str
    """"silence", "message" (push-to-talk, typed) or "limit"."""
    delay: float
    """Seconds from the last speech to the decision."""
    length: float = 0.0
    """Seconds from its beginning to the last speech."""


@dataclass(frozen=True, slots=True)
class Speculated:
    """A reply begun early was used or thrown away."""

    at: float
    turn: int
    used: bool


@dataclass(frozen=True, slots=True)
class ReplyOver:
    """A reply ended."""

    at: float
    utterance_id: str
    outcome: ReplyOutcome | Literal["discarded"]
    """"discarded": nobody had heard a sound of it."""
    heard: float
    """Seconds of it that were heard."""
    turn: int = 0
    """The turn that it answers; 0 where it answers none."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Where the time of a turn went: stage to milliseconds, as in ``messages.TurnLatency``."""

    at: float
    turn: int
    stages_ms: Mapping[str, float]
    aside_ms: float | None = None
    """Milliseconds after which something was said in place of the answer, such as that it takes a moment: none of
    the stages is about that. Where the answer never sounded, those that it reached are told when the reply is over."""


@dataclass(frozen=True, slots=True)
class Silenced:
    """A reply that somebody spoke over is silent at the transport."""

    at: float
    utterance_id: str
    since_onset: float
    """Seconds from the first voiced sample, as it arrived."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """A reply that was held goes on."""

    at: float
    utterance_id: str
    gap: float
    """Seconds for which it was silent, from when the transport was silent to when it plays again."""


@dataclass(frozen=True, slots=True)
class Starved:
    """A listener had heard all that was sent before more of the reply was there."""

    at: float
    utterance_id: str
    gap: float
    """Seconds of silence in mid-reply."""
    voice: float = 0.0
    """Those of them for which the voice had words that it had not spoken; the others were waited for its text."""


@dataclass(frozen=True, slots=True)
class Unheard:
    """The recogniser was so far behind that sound of a turn had to be dropped."""

    at: float
    turn: int
    """0 for a sound over a reply."""
    seconds: float


@dataclass(frozen=True, slots=True)
class BudgetReacted:
    """Answers came too late, and the session talks otherwise; or it talks as before again."""

    at: float
    stage: str
    """"ears", "model" or "voice"."""
    reaction: str
    """A name of ``decide.budget.Reaction``."""
    on: bool
    """It begins, or ends."""
    why: str
    """"overrun", "no_help" or "calm"."""
    took: float
    """Seconds that the stage took in the turn that decided, at least."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Something went wrong that the participant was told of."""

    at: float
    code: str
    message: str


LateOutcome = Literal["answered", "kept", "empty", "lost"]


@dataclass(frozen=True, slots=True)
class TranscriptLate:
    """The last words of a turn came, or failed to come, when the conversation had gone on."""

    at: float
    turn: int
    """0 for a sound over a reply."""
    waited: float
    """Seconds from when the turn was left."""
    outcome: LateOutcome
    """Answered late, kept in the history at their place, nothing but silence, or never understood."""


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """A call of a tool is over."""

    at: float
    turn: int
    name: str
    """Empty for a tool that there is not."""
    outcome: Literal["done", "failed", "refused", "cancelled"]
    took: float
    """Seconds from its beginning; 0 where it never began."""


LogEntry = (
    Transition
    | Decided
    | TurnClosed
    | Speculated
    | ReplyOver
    | Latency
    | Silenced
    | Resumed
    | Starved
    | Unheard
    | BudgetReacted
    | Failed
    | TranscriptLate
    | ToolCalled
)


class Observer(Protocol):
    """Looks over a session's shoulder. Called on the event loop: must return at once."""

    def logged(self, entry: LogEntry) -> None:
        """Something was decided."""

    def frame_sent(self, lateness: float) -> None:
        """A frame left for the participant, ``lateness`` seconds after it was due."""


class Silent:
    """The observer that looks away."""

    def logged(self, entry: LogEntry) -> None:
        pass

    def frame_sent(self, lateness: float) -> None:
        pass


@dataclass(slots=True)
class Stages:
    """When the stages of a turn were reached, in loop time."""

    origin: float
    """The last voice of the turn, or its arrival where it was typed."""
    reached: dict[str, float] = field(default_factory=dict)
    aside: float | None = None
    """When something was first said in place of the answer."""
    told: bool = False
    """They stand in the log."""

    def mark(self, stage: str) -> None:
        """The stage is reached now, unless it was before."""
        self.reached.setdefault(stage, clock.now())

    def say_aside(self) -> None:
        """What sounds now is not the answer, and no stage of it."""
        self.aside = clock.now()
        self.reached.pop("tts", None)

    def take_early(self, early: Stages) -> None:
        """What was reached early, on a guess that proved right, counts from this origin."""
        for stage, at in early.reached.items():
            self.reached.setdefault(stage, at)

    def milliseconds(self) -> dict[str, float]:
        """Since the origin."""
        return {name: self._since(self.reached[name]) for name in STAGES if name in self.reached}

    @property
    def aside_ms(self) -> float | None:
        """As ``Latency.aside_ms``."""
        return None if self.aside is None else self._since(self.aside)

    def _since(self, at: float) -> float:
        return round(1000 * (at - self.origin), 2)
