"""What an utterance has cost so far, and whether its text is to blame. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from parley.audio.frame import SAMPLE_RATE

if TYPE_CHECKING:
    from parley.routing.settings import FailoverSettings


@dataclass(frozen=True, slots=True)
class Casualties:
    """Failed attempts of one utterance."""

    attempts: int = 0
    killed: int = 0
    """Workers that broke in a row while they had this text, without getting on in between."""
    reached: int = -1
    """Audio that was at hand when the last of them broke, in samples."""

    def one_more(self, *, broke: bool, held: int, settings: FailoverSettings) -> Casualties:
        """Another attempt failed with ``held`` samples at hand; ``broke`` when the text may have done it."""
        after = replace(self, attempts=self.attempts + 1)
        if not broke:
            return after
        progress = (held - self.reached) / SAMPLE_RATE if self.killed else 0.0
        killed = self.killed + 1 if progress <= settings.poison_window else 1
        return replace(after, killed=killed, reached=held)

    @property
    def poisonous(self) -> bool:
        """It broke two workers at the same place: a third one shall not try."""
        return self.killed >= 2

    def hopeless(self, settings: FailoverSettings) -> bool:
        """Enough has been tried."""
        return self.poisonous or self.attempts >= settings.max_attempts
