"""The spans of a session's turns, from what the session logs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parley import tracing
from parley.session.decide.stages import STAGES, steps
from parley.session.log import Latency, ReplyOver, Speculated, ToolCalled, TurnClosed
from parley.tracing import Place, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from parley.session.log import LogEntry
    from parley.tracing import Value


@dataclass(slots=True)
class Story:
    """What is known of a turn, in seconds on its session's clock."""

    session_id: str
    turn: int
    closed: TurnClosed | None = None
    latency: Latency | None = None
    over: ReplyOver | None = None
    guessed: bool | None = None
    """Whether a reply that was begun early was used; None where there was none."""
    tools: int = 0

    @property
    def origin(self) -> float | None:
        """The last voice, or when it came where it was typed."""
        if self.closed is not None:
            return self.closed.at - self.closed.delay
        if self.latency is not None and self.latency.stages_ms:
            return self.latency.at - max(self.latency.stages_ms.values()) / 1000
        return None

    @property
    def start(self) -> float | None:
        """When its speaker began."""
        origin = self.origin
        return origin - self.closed.length if origin is not None and self.closed is not None else origin

    def attributes(self) -> dict[str, Value]:
        """Numbers and names; no word of it."""
        said: dict[str, Value] = {"parley.session": self.session_id[:8], "parley.turn": self.turn}
        if self.closed is not None:
            said |= {"parley.closed_by": self.closed.reason, "parley.silence_s": self.closed.delay}
        if self.guessed is not None:
            said["parley.early_reply_used"] = self.guessed
        if self.latency is not None and self.latency.aside_ms is not None:
            said["parley.aside_ms"] = self.latency.aside_ms
        if self.tools:
            said["parley.tools"] = self.tools
        said["parley.outcome"] = self.over.outcome if self.over is not None else "unanswered"
        if self.over is not None:
            said["parley.heard_s"] = self.over.heard
        return said


def turn_spans(story: Story, place: Place, end: float, wall_ns: Callable[[float], int]) -> Iterator[Span]:
    """The span of a turn and those of its speech and its stages; ``wall_ns`` tells the time of a session's second."""
    start, origin = story.start, story.origin
    if start is None or origin is None:
        return
    yield Span("turn", place, None, wall_ns(start), wall_ns(max(start, end)), "server", story.attributes())
    if story.closed is not None and origin > start:
        yield _child("speech", place, wall_ns(start), wall_ns(origin))
    stages_ms = story.latency.stages_ms if story.latency is not None else {}
    for step in steps(stages_ms):
        since, until = (wall_ns(origin + at / 1000) for at in (step.start_ms, step.end_ms))
        reached: dict[str, Value] = {"parley.reached": STAGES[step.name], "parley.reached_ms": stages_ms[step.name]}
        yield _child(f"stage {step.name}", place, since, until, reached)


def _child(name: str, parent: Place, start: int, end: int, said: dict[str, Value] | None = None) -> Span:
    place = Place(parent.trace_id, tracing.new_span_id())
    return Span(name, place, parent, start, end, attributes=said or {})


@dataclass(slots=True)
class TurnTraces:
    """Hears what a session logs (``logged``), at the moment in which it happens; ``close`` it with the session."""

    session_id: str
    _stories: dict[int, Story] = field(default_factory=dict)
    _told: int = 0
    """The newest turn whose spans were made."""
    _origin_ns: int = 0
    _now: float = 0.0

    def logged(self, entry: LogEntry) -> None:
        """Something was decided (``session.log.Observer``)."""
        self._now = entry.at
        self._origin_ns = tracing.now_ns() - round(1e9 * entry.at)
        match entry:
            case TurnClosed():
                for turn in [turn for turn in self._stories if turn < entry.turn]:
                    self._tell(turn)
                self._story(entry.turn).closed = entry
            case Latency():
                self._story(entry.turn).latency = entry
            case Speculated():
                self._story(entry.turn).guessed = entry.used
            case ToolCalled():
                self._tool(entry)
            case ReplyOver() if entry.turn > self._told and entry.outcome != "discarded":
                self._story(entry.turn).over = entry
                self._tell(entry.turn)
            case _:
                pass

    def close(self) -> None:
        """The session is over: what is known of turns that nobody answered is told."""
        for turn in list(self._stories):
            self._tell(turn)

    def _story(self, turn: int) -> Story:
        return self._stories.setdefault(turn, Story(self.session_id, turn))

    def _tell(self, turn: int) -> None:
        story, place = self._stories.pop(turn), tracing.place_of(self.session_id, turn)
        if place is None or turn <= self._told:
            return
        self._told = turn
        for span in turn_spans(story, place, self._now, self._wall_ns):
            tracing.emit(span)

    def _tool(self, entry: ToolCalled) -> None:
        if entry.turn in self._stories:
            self._stories[entry.turn].tools += 1
        place = tracing.place_of(self.session_id, entry.turn)
        if place is not None:
            start, end = self._wall_ns(entry.at - entry.took), self._wall_ns(entry.at)
            name = f"tool {entry.name}" if entry.name else "tool"
            tracing.emit(_child(name, place, start, end, {"parley.outcome": entry.outcome}))

    def _wall_ns(self, at: float) -> int:
        return self._origin_ns + round(1e9 * at)
