"""Whether a worker that failed may be asked again. Pure: the time is an argument.

A worker that is *gone* (its connection broke, it does not answer) gets nothing until a trial. One that merely failed
some utterances is *avoided*: another one comes first, but it speaks where there is no other. For what failed may have
been the text of one session, and the others must not fall silent for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parley.routing.settings import BreakerSettings


@dataclass(frozen=True, slots=True)
class Breaker:
    """Closed: work flows. Open: none until ``retry_at``, or not if it can be helped. Then one trial decides."""

    failures: int = 0
    """In a row."""
    opened: int = 0
    """Times in a row that it opened; doubles the cooldown."""
    retry_at: float = 0.0
    """When the next trial may start; 0 while closed."""
    trying: bool = False
    """A trial is under way."""
    gone: bool = False
    """It could not be reached when it opened: it is not merely avoided."""

    def trusts(self, now: float) -> bool:
        """Whether the worker is as good as any other now."""
        return self.retry_at == 0.0 or (now >= self.retry_at and not self.trying)

    def allows(self, now: float) -> bool:
        """Whether work may go to the worker now, where there is no better one."""
        return not self.gone or self.trusts(now)

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
        """It failed; one that cannot be reached (``gone``) is left alone at once."""
        failures = self.failures + 1
        if not (gone or self.retry_at or failures >= settings.failures):
            return replace(self, failures=failures)
        cooldown = min(settings.cooldown * 2.0 ** min(self.opened, 30), settings.max_cooldown)
        return Breaker(failures, self.opened + 1, now + cooldown, gone=gone)
