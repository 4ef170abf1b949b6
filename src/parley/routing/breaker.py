"""Whether a worker that failed may be asked again. Pure: the time is an argument."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parley.routing.settings import BreakerSettings


@dataclass(frozen=True, slots=True)
class Breaker:
    """Closed: work flows. Open: none until ``retry_at``. After that one trial decides."""

    failures: int = 0
    """In a row."""
    opened: int = 0
    """Times in a row that it opened; doubles the cooldown."""
    retry_at: float = 0.0
    """When the next trial may start; 0 while closed."""
    trying: bool = False
    """A trial is under way."""

    def allows(self, now: float) -> bool:
        """Whether work may go to the worker now."""
        return self.retry_at == 0.0 or (now >= self.retry_at and not self.trying)

    def tried(self, now: float) -> Breaker:
        """Work goes there now; on an open breaker it is the trial."""
        return replace(self, trying=True) if self.retry_at and now >= self.retry_at else self

    def succeeded(self) -> Breaker:
        """It works: everything is forgiven."""
        return self if self == Breaker() else Breaker()

    def abandoned(self) -> Breaker:
        """The trial ended without a verdict (cancelled); somebody else may try."""
        return replace(self, trying=False)

    def failed(self, now: float, settings: BreakerSettings, *, gone: bool = False) -> Breaker:
        """It failed; one whose connection broke (``gone``) is left alone at once."""
        failures = self.failures + 1
        if not (gone or self.retry_at or failures >= settings.failures):
            return replace(self, failures=failures)
        cooldown = min(settings.cooldown * 2.0 ** min(self.opened, 30), settings.max_cooldown)
        return Breaker(failures, self.opened + 1, now + cooldown)
