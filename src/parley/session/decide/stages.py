"""The stages of a turn, from the last voice to the ear: one description for metrics, traces and whoever draws them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

STAGES: Mapping[str, str] = {
    "vad": "speech ends",
    "endpoint": "turn decided",
    "asr": "understood",
    "llm": "first words",
    "tts": "first audio",
    "sent": "sent",
    "heard": "network",
}
"""Name -> what is reached at its end, in the order in which they are named; a guess that proved right is ahead."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one stage adds to those that were reached before it."""

    name: str
    start_ms: float
    """Since the last voice, as is ``end_ms``."""
    end_ms: float


def steps(stages_ms: Mapping[str, float]) -> list[Step]:
    """The steps of a turn in the order of time: each begins where the one before it ends, and none before the voice.

    ``stages_ms``: when the end of each was reached, in milliseconds since the last voice. Two at the same time keep
    the order of the table.
    """
    order = {name: number for number, name in enumerate(STAGES)}
    known = [(at, order[name], name) for name, at in stages_ms.items() if name in order]
    found: list[Step] = []
    before = 0.0
    for at, _, name in sorted(known):
        end = max(before, at)
        found.append(Step(name, before, end))
        before = end
    return found
