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
    "TranscriptLate": lambda d: f"late words of turn {d['turn']}: {d['outcome']}",
    "ToolCalled": lambda d: f"tool {d['name'] or '(unknown)'} of turn {d['turn']}: {d['outcome']}",
    "BudgetReacted": lambda d: f"{d['reaction']} {'begins' if d['on'] else 'ends'} ({d['stage']}: {d['why']})",
    "Failed": lambda d: f"failed with {d['code']}",
}


MOVED = 0.1
"""Seconds by which a decision has to come earlier or later to be worth telling."""


def differences(before: list[Line], after: list[Line]) -> list[str]:
    """What changed, with a line of context around it; empty when both logs say the same at the same times.

    ``-`` stands for what is no longer so, ``+`` for what is new, ``~`` for the same at another time.
    """
    first, second = [line for _, line in before], [line for _, line in after]
    shown: list[tuple[str, bool]] = []
    for tag, low, high, low2, high2 in difflib.SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        if tag == "equal":
            shown += [_same(*pair) for pair in zip(before[low:high], after[low2:high2], strict=True)]
            continue
        shown += [(f"- {at:7.2f} s  {line}", True) for at, line in before[low:high]]
        shown += [(f"+ {at:7.2f} s  {line}", True) for at, line in after[low2:high2]]
    return _in_context(shown)


def _same(before: Line, after: Line) -> tuple[str, bool]:
    (was, line), (now, _) = before, after
    if abs(now - was) < MOVED:
        return f"  {was:7.2f} s  {line}", False
    return f"~ {was:7.2f} s  {line}, now at {now:.2f} s ({1000 * (now - was):+.0f} ms)", True


def _in_context(shown: list[tuple[str, bool]]) -> list[str]:
    """The changed lines and their neighbours; dots where something is left out."""
    lines: list[str] = []
    for index, (line, _) in enumerate(shown):
        if any(changed for _, changed in shown[max(0, index - 1) : index + 2]):
            lines.append(line)
        elif lines and lines[-1] != "  ...":
            lines.append("  ...")
    return lines
