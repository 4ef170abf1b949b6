"""Where the time of a turn goes: the stages from the participant's last voice to the first sound of the reply."""

from __future__ import annotations

from dataclasses import dataclass, field

from parley import clock


@dataclass(slots=True)
class Stages:
    """When the stages of a turn were reached, in loop time."""

    origin: float
    """The last voice of the turn, or its arrival where it was typed."""
    reached: dict[str, float] = field(default_factory=dict)

    def mark(self, stage: str) -> None:
        """The stage is reached now, unless it was before."""
        self.reached.setdefault(stage, clock.now())

    def milliseconds(self) -> dict[str, float]:
        """Since the origin."""
        order = ("vad", "endpoint", "asr", "llm", "tts", "sent", "heard")
        return {name: round(1000 * (self.reached[name] - self.origin), 2) for name in order if name in self.reached}
