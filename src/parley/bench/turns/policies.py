"""What other systems would have done: their published defaults as policies over the same scores.

These are triggers only, without transports, queues or models' run time, so they flatter the systems they
stand for. Sources: Pipecat 1.7 ``vad_analyzer.py`` (confidence 0.7, start 0.2 s, stop 0.2 s) with its speech
timeout of 0.6 s; LiveKit Agents 1.7 ``voice/turn.py`` (interruption 0.5 s of speech, endpointing 0.5 s).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from parley.values import SpeechScore


@dataclass(frozen=True, slots=True)
class Trigger:
    """Interrupt after so much speech, answer after so much silence; neither can be undone."""

    name: str
    threshold: float
    """Probability from which a score counts as speech."""
    interrupt_after: float
    """Seconds of speech that end a reply for good."""
    answer_after: float
    """Seconds of silence that end a turn."""


REFERENCES = (
    Trigger("Pipecat defaults (0.2 s)", threshold=0.7, interrupt_after=0.2, answer_after=0.6),
    Trigger("LiveKit defaults (0.5 s)", threshold=0.5, interrupt_after=0.5, answer_after=0.5),
)

RATE = 16_000


def interruption(trigger: Trigger, scores: Iterable[SpeechScore]) -> float | None:
    """When (seconds into the scores) the trigger would have stopped the reply; None when never."""
    position, speech = 0.0, 0.0
    for score in scores:
        duration = score.samples / RATE
        position += duration
        speech = speech + duration if score.probability >= trigger.threshold else 0.0
        if speech >= trigger.interrupt_after - 1e-6:
            return position
    return None


def answers(trigger: Trigger, scores: Iterable[SpeechScore]) -> list[float]:
    """When the trigger would have begun to answer: once after each stretch of speech that was long enough."""
    position, silence = 0.0, 0.0
    speaking = False
    found: list[float] = []
    for score in scores:
        duration = score.samples / RATE
        position += duration
        if score.probability >= trigger.threshold:
            speaking, silence = True, 0.0
        elif speaking:
            silence += duration
            if silence >= trigger.answer_after - 1e-6:
                speaking = False
                found.append(position)
    return found
