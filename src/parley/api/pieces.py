"""A recording cut where nobody speaks, into pieces that a recogniser hears as turns (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Span = tuple[float, float]
"""Seconds from the recording's start."""

LONGEST = 24.0
"""Seconds of one piece: what every recogniser hears in one go."""
_JOINED = 1.0
"""Stretches of speech with less silence between them belong together while there is room."""
_MARGIN = 0.25
"""Seconds around a stretch that are heard with it."""
_LAST = 0.4
"""Share of a piece that is too long in which the best place for a cut is looked for: its end."""


def pieces(
    stretches: Iterable[Span], duration: float, quietest: Callable[[float, float], float], longest: float = LONGEST
) -> list[Span]:
    """What to hear, in order and without overlap.

    ``stretches`` are those of speech. ``quietest(start, end)`` is where it is quietest between two times: there a
    stretch is cut that is longer than one piece may be.
    """
    found: list[Span] = []
    for start, end in stretches:
        start, end = max(0.0, start - _MARGIN), min(duration, end + _MARGIN)
        if found and start <= found[-1][1] + _JOINED and end - found[-1][0] <= longest:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
            continue
        start = max(start, found[-1][1]) if found else start
        while end - start > longest:
            cut = quietest(start + (1 - _LAST) * longest, start + longest)
            found.append((start, cut))
            start = cut
        if end > start:
            found.append((start, end))
    return found
