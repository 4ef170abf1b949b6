"""What an expression of PromQL asks for, held against the metrics and labels that the code has: pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import get_args, get_type_hints

from parley.messages import DecisionOutcome, ReplyOutcome
from parley.observability.metrics import METRICS
from parley.session.decide.stages import STAGES
from parley.session.log import LateOutcome, ToolCalled
from parley.transports.bounds import Excess, Fate, Where
from parley.worker.figures import FIGURES


@dataclass(frozen=True, slots=True)
class Known:
    """A metric that may be asked for."""

    kind: str
    labels: frozenset[str]


SCRAPED = frozenset({"job", "instance"})
"""Labels that Prometheus itself gives to what it reads."""
OTHERS: Mapping[str, Known] = {
    "up": Known("gauge", SCRAPED),
    "ALERTS": Known("gauge", SCRAPED | {"alertname", "alertstate", "severity"}),
    "process_resident_memory_bytes": Known("gauge", SCRAPED),
    "process_cpu_seconds_total": Known("counter", SCRAPED),
    "process_open_fds": Known("gauge", SCRAPED),
    "process_max_fds": Known("gauge", SCRAPED),
    # NVIDIA's exporter (dcgm-exporter), which the profiles with GPUs start
    "DCGM_FI_DEV_GPU_UTIL": Known("gauge", SCRAPED | {"gpu", "modelName", "Hostname"}),
    "DCGM_FI_DEV_FB_USED": Known("gauge", SCRAPED | {"gpu", "modelName", "Hostname"}),
    "DCGM_FI_DEV_FB_FREE": Known("gauge", SCRAPED | {"gpu", "modelName", "Hostname"}),
    "DCGM_FI_DEV_GPU_TEMP": Known("gauge", SCRAPED | {"gpu", "modelName", "Hostname"}),
    "DCGM_FI_DEV_POWER_USAGE": Known("gauge", SCRAPED | {"gpu", "modelName", "Hostname"}),
}
"""Metrics of Prometheus and of other people's exporters."""
VALUES: Mapping[tuple[str, str], frozenset[str]] = {
    ("parley_turn_stage_seconds", "stage"): frozenset(STAGES),
    ("parley_replies_total", "outcome"): frozenset({*get_args(ReplyOutcome), "discarded"}),
    ("parley_barge_in_hold_seconds", "outcome"): frozenset(get_args(DecisionOutcome)),
    ("parley_late_transcripts_total", "outcome"): frozenset(get_args(LateOutcome)),
    ("parley_tool_calls_total", "outcome"): frozenset(get_args(get_type_hints(ToolCalled)["outcome"])),
    ("parley_speculations_total", "used"): frozenset(("yes", "no")),
    ("parley_excess_total", "kind"): frozenset(get_args(Excess)),
    ("parley_excess_total", "fate"): frozenset(get_args(Fate)),
    ("parley_microphone_lost_seconds_total", "where"): frozenset({*get_args(Where), "recogniser"}),
}
"""Labels whose values are few: an expression that names another one would never match."""

_TOKEN = re.compile(
    r'(?P<text>"(?:\\.|[^"\\])*")|(?P<range>\[[^\]]*\])|(?P<variable>\$\w+)|(?P<word>[A-Za-z_:][\w:]*)'
    r"|(?P<number>\d[\w.]*)|(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^(){},<>=])|(?P<space>\s+)|(?P<other>.)"
)
_AGGREGATIONS = ("sum", "avg", "max", "min", "count", "topk")
_FUNCTIONS = frozenset((*_AGGREGATIONS, "rate", "increase", "histogram_quantile", "clamp_min", "changes", "absent"))
_GROUPING = frozenset(("by", "without", "on", "ignoring", "group_left", "group_right"))
_BETWEEN = frozenset(("and", "or", "unless", "bool", "offset"))
_PER_TIME = frozenset(("rate", "increase"))


def known_metrics() -> dict[str, Known]:
    """Every series that there can be, by its name: of a histogram its three."""
    known = dict(OTHERS)
    ours = [(metric.name, metric.kind, metric.labels) for metric in METRICS]
    ours += [(figure.name, figure.kind, ()) for figure in FIGURES]
    for name, kind, labels in ours:
        of_it = SCRAPED | frozenset(labels)
        if kind == "histogram":
            known[f"{name}_bucket"] = Known("counter", of_it | {"le"})
            known[f"{name}_sum"] = known[f"{name}_count"] = Known("counter", of_it)
        else:
            known[name] = Known(kind, of_it)
    return known


@dataclass(frozen=True, slots=True)
class Asked:
    """What an expression names."""

    metrics: frozenset[str]
    groups: frozenset[str]
    """Labels that it groups or joins by."""


def asked(expression: str) -> Asked:
    """The metrics of an expression and the labels that it groups by. Raises ValueError for what is not understood."""
    reader = _Reader(expression)
    reader.read()
    return Asked(frozenset(selector.name for selector in reader.selectors), frozenset(reader.groups))


def complaints(expression: str, legend: str = "") -> list[str]:
    """What is wrong with an expression and the legend of its series (``{{label}}``), a sentence each."""
    known = known_metrics()
    reader = _Reader(expression)
    try:
        reader.read()
    except ValueError as error:
        return [f"{error} in {expression}"]
    wrong = [text for selector in reader.selectors for text in _of_selector(selector, known)]
    labels = frozenset().union(*(known[each.name].labels for each in reader.selectors if each.name in known))
    wrong += [f"nothing has the label {label}" for label in reader.groups if label not in labels]
    wrong += [
        f"the legend's label {label} is none" for label in re.findall(r"{{(\w+)}}", legend) if label not in labels
    ]
    return [f"{text}, in {expression}" for text in wrong]


@dataclass(frozen=True, slots=True)
class _Selector:
    name: str
    matchers: tuple[tuple[str, str, str], ...]
    """Label, operator, value."""
    function: str
    """What it is given to directly; "" for none."""
    ranged: bool


def _of_selector(selector: _Selector, known: Mapping[str, Known]) -> Iterator[str]:
    metric = known.get(selector.name)
    if metric is None:
        yield f"there is no metric {selector.name}"
        return
    if (metric.kind == "counter") != (selector.function in _PER_TIME and selector.ranged):
        yield f"{selector.name} is a {metric.kind}: counters alone are asked for by rate() or increase() of a range"
    base = re.sub(r"_(bucket|sum|count)$", "", selector.name)
    for label, operator, value in selector.matchers:
        if label not in metric.labels:
            yield f"{selector.name} has no label {label}"
        values = VALUES.get((base, label))
        named = value.split("|") if operator in ("=~", "!~") else [value]
        if values is not None and not value.startswith("$"):
            yield from (f"{label} of {selector.name} is never {each}" for each in named if each not in values)


class _Reader:
    """Goes through the words of one expression."""

    def __init__(self, expression: str) -> None:
        self._tokens = [
            (str(found.lastgroup), found.group()) for found in _TOKEN.finditer(expression) if found.lastgroup != "space"
        ]
        self._at = 0
        self.selectors: list[_Selector] = []
        self.groups: list[str] = []

    def _peek(self, ahead: int = 0) -> str:
        place = self._at + ahead
        return self._tokens[place][1] if 0 <= place < len(self._tokens) else ""

    def read(self) -> None:
        """Fill ``selectors`` and ``groups``."""
        while self._at < len(self._tokens):
            kind, text = self._tokens[self._at]
            if kind == "other":
                raise ValueError(f"{text!r} is not understood")
            if kind == "word" and text in _GROUPING:
                self._labels()
            elif kind == "word" and text not in _BETWEEN:
                self._word(text)
            self._at += 1

    def _labels(self) -> None:
        if self._peek(1) != "(":
            return
        self._at += 2
        while self._peek() not in (")", ""):
            if self._peek() != ",":
                self.groups.append(self._peek())
            self._at += 1

    def _word(self, name: str) -> None:
        before = self._peek(-2) if self._peek(-1) == "(" else ""
        if self._peek(1) == "(" or self._peek(1) in _GROUPING:
            if name not in _FUNCTIONS:
                raise ValueError(f"the function {name} is not known")
            return
        matchers = tuple(self._matchers()) if self._peek(1) == "{" else ()
        self.selectors.append(_Selector(name, matchers, before, self._peek(1).startswith("[")))

    def _matchers(self) -> Iterator[tuple[str, str, str]]:
        self._at += 2
        while self._peek() not in ("}", ""):
            if self._peek() == ",":
                self._at += 1
                continue
            yield self._peek(), self._peek(1), self._peek(2).strip('"')
            self._at += 3
