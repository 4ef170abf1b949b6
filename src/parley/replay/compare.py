"""The state log of a session, and what is different between two."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from parley.recording.format import Recording
from parley.session.log import LogEntry

Line = tuple[float, str]
"""Seconds since the session began, and what happened: words only, since a real clock is never exact to the byte."""


def state_log(entries: Iterable[LogEntry]) -> list[Line]:
    """What the session decided, one line for each decision."""
    return list(_lines((type(entry).__name__, asdict(entry)) for entry in entries))


def recorded_state_log(recording: Recording) -> list[Line]:
    """The same for the session that was recorded."""
    return list(_lines((entry.data["entry"], entry.data) for entry in recording.of("log")))


def _lines(entries: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[Line]:
    for kind, data in entries:
        write = _WORDS.get(kind)
        if write is not None:
            yield data["at"], write(data)


_WORDS = {
    "Transition": lambda d: f"{d['event']}: participant {d['participant']}, agent {d['agent']}",
    "Decided": lambda d: f"decided {d['outcome']} over {d['utterance_id']}: {', '.join(d['reasons'])}",
    "TurnClosed": lambda d: f"turn {d['turn']} closed by {d['reason']}",
    "Speculated": lambda d: f"early reply to turn {d['turn']} {'used' if d['used'] else 'thrown away'}",
    "ReplyOver": lambda d: f"reply {d['utterance_id']} {d['outcome']}",
    "Failed": lambda d: f"failed with {d['code']}",
}


def differences(before: list[Line], after: list[Line]) -> list[str]:
    """What changed, with a line of context around it; empty when both logs say the same."""
    first, second = [line for _, line in before], [line for _, line in after]
    changed: list[str] = []
    for group in difflib.SequenceMatcher(None, first, second, autojunk=False).get_grouped_opcodes(1):
        if changed:
            changed.append("  ...")
        for tag, low, high, low2, high2 in group:
            if tag == "equal":
                changed += [f"  {at:7.2f} s  {line}" for at, line in before[low:high]]
                continue
            changed += [f"- {at:7.2f} s  {line}" for at, line in before[low:high]]
            changed += [f"+ {at:7.2f} s  {line}" for at, line in after[low2:high2]]
    return changed
