"""Who works for which turn, across tasks, processes and hosts: W3C trace contexts, and spans for whoever collects.

Nothing is made until somebody collects (``collecting``). A turn's place is computed from its session and its number,
so that nobody has to carry it, and a recording's turn is found among the traces. No span ever holds what was said.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Kind = Literal["internal", "client", "server"]
Value = str | int | float | bool

_log = logging.getLogger(__name__)
_HEADER = "traceparent"
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which trace: what a W3C ``traceparent`` says of a sampled one."""

    trace_id: int
    """128 bits."""
    span_id: int
    """64 bits."""

    @property
    def header(self) -> str:
        """As ``traceparent``."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-01"


def place_from(header: str) -> Place | None:
    """The place that a ``traceparent`` names; None for one that is none, or whose trace nobody collects."""
    parts = header.strip().split("-")
    if len(parts) < 4 or [len(part) for part in parts[:4]] != [2, 32, 16, 2] or parts[0] == "ff":
        return None
    try:
        trace_id, span_id, flags = (int(part, 16) for part in parts[1:4])
    except ValueError:
        return None
    return Place(trace_id, span_id) if trace_id and span_id and flags & _SAMPLED else None


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of work that is over."""

    name: str
    place: Place
    parent: Place | None
    start_ns: int
    """Since 1970, as is ``end_ns``."""
    end_ns: int
    kind: Kind = "internal"
    attributes: Mapping[str, Value] = field(default_factory=dict)
    error: str = ""
    """The code of what went wrong."""


class _Collecting:
    """Who collects in this process, if anybody."""

    collector: Callable[[Span], None] | None = None
    sample: float = 1.0
    lost: int = 0
    """Spans that it failed to take."""


_here: ContextVar[Callable[[], Place | None] | None] = ContextVar("parley-trace", default=None)


@contextmanager
def collecting(collector: Callable[[Span], None], sample: float = 1.0) -> Iterator[None]:
    """Have spans given to ``collector`` while the block runs, of this share of all turns. It must return at once."""
    before = _Collecting.collector, _Collecting.sample, _Collecting.lost
    _Collecting.collector, _Collecting.sample, _Collecting.lost = collector, sample, 0
    try:
        yield
    finally:
        if _Collecting.lost:
            _log.warning("%d spans were lost, because whoever collects them failed to take them", _Collecting.lost)
        _Collecting.collector, _Collecting.sample, _Collecting.lost = before


def is_collecting() -> bool:
    """Whether anybody does."""
    return _Collecting.collector is not None


def emit(span: Span) -> None:
    """Give a span to whoever collects. One who fails to take it loses it, and nobody else is harmed."""
    if _Collecting.collector is None:
        return
    try:
        _Collecting.collector(span)
    except Exception:  # noqa: BLE001  (somebody else's code: the exporter's; a conversation goes on)
        if not _Collecting.lost:
            _log.exception("a span could not be given to whoever collects; further ones are counted and not told")
        _Collecting.lost += 1


def lost() -> int:
    """Spans that whoever collects failed to take."""
    return _Collecting.lost


def now_ns() -> int:
    """Nanoseconds since 1970: spans of several hosts have no other clock in common."""
    return time.time_ns()


# --- places ------------------------------------------------------------------------------


def place_of(session_id: str, turn: int) -> Place | None:
    """The place of a turn's own span; None for turn 0, where nobody collects, and for a turn that is not sampled."""
    if _Collecting.collector is None or turn < 1:
        return None
    name = hashlib.blake2b(f"{session_id}/{turn}".encode(), digest_size=24).digest()
    trace_id, span_id = int.from_bytes(name[:16]), int.from_bytes(name[16:])
    return Place(trace_id, span_id) if trace_id >> 64 < _Collecting.sample * 2**64 else None


def new_span_id() -> int:
    """64 random bits that are not all zero."""
    return secrets.randbits(64) or 1


@contextmanager
def working_for(where: Callable[[], Place | None]) -> Iterator[None]:
    """What begins in this block, tasks among it, works for the span at ``where``, which is asked when it matters."""
    token = _here.set(where)
    try:
        yield
    finally:
        _here.reset(token)


def headers() -> dict[str, str]:
    """What a request of here carries to another process; empty where nobody collects."""
    if _Collecting.collector is None or (where := _here.get()) is None or (place := where()) is None:
        return {}
    return {_HEADER: place.header}


def parent_of(metadata: Mapping[str, str]) -> Place | None:
    """The place that a request came from; None where it says none, and where nobody collects."""
    return place_from(metadata.get(_HEADER, "")) if _Collecting.collector is not None else None


# --- spans -------------------------------------------------------------------------------


class OpenSpan:
    """A piece of work that has begun; ``end`` it once. Where nobody collects, nothing comes of it."""

    __slots__ = ("_attributes", "_began", "_kind", "_name", "_span_id", "_start_ns", "_where", "ended")

    def __init__(
        self, name: str, kind: Kind, where: Callable[[], Place | None] | None, attributes: dict[str, Value]
    ) -> None:
        self._name, self._kind, self._where, self._attributes = name, kind, where, attributes
        self.ended = where is None
        if where is not None:
            self._span_id, self._start_ns, self._began = new_span_id(), now_ns(), time.perf_counter()

    @property
    def place(self) -> Place | None:
        """Its own; None where its trace is not collected."""
        parent = self._where() if self._where is not None else None
        return Place(parent.trace_id, self._span_id) if parent is not None else None

    @property
    def headers(self) -> dict[str, str]:
        """What its request carries to another process."""
        place = self.place
        return {_HEADER: place.header} if place is not None else {}

    def note(self, **attributes: Value) -> None:
        """Say something about it; the first saying counts. ``__`` in a name stands for a dot."""
        if not self.ended:
            for name, value in attributes.items():
                self._attributes.setdefault(name.replace("__", "."), value)

    def reached(self, name: str) -> None:
        """Note the seconds from its beginning to the first time that this is reached."""
        if not self.ended and name not in self._attributes:
            self._attributes[name] = round(time.perf_counter() - self._began, 6)

    def end(self, error: str = "", **attributes: Value) -> None:
        """It is over. Safe to call twice."""
        if self.ended:
            return
        self.note(**attributes)
        self.ended = True
        place, parent = self.place, self._where() if self._where is not None else None
        if place is not None:
            end_ns = self._start_ns + round(1e9 * (time.perf_counter() - self._began))
            emit(Span(self._name, place, parent, self._start_ns, end_ns, self._kind, self._attributes, error))

    def inside(self, name: str, began: float, ended: float, **attributes: Value) -> None:
        """A piece of work inside it, from ``began`` to ``ended`` (``time.perf_counter``)."""
        place = self.place
        if place is not None:
            start, end = (self._start_ns + round(1e9 * (at - self._began)) for at in (began, ended))
            named = {key.replace("__", "."): value for key, value in attributes.items()}
            emit(Span(name, Place(place.trace_id, new_span_id()), place, start, end, "internal", named))


_NOTHING = OpenSpan("", "internal", None, {})


def begin(name: str, kind: Kind = "internal", **attributes: Value) -> OpenSpan:
    """Begin a piece of work for whoever this task works for. ``__`` in an attribute's name stands for a dot."""
    if _Collecting.collector is None or (where := _here.get()) is None:
        return _NOTHING
    return OpenSpan(name, kind, where, {key.replace("__", "."): value for key, value in attributes.items()})
