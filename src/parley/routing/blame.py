"""Whose fault a failure is, and whether somebody else may do better. Pure."""

from __future__ import annotations

from parley.errors import CapacityError, ConfigError, Draining, NotFound, ParleyError, PreconditionFailed

_ELSEWHERE = (NotFound, PreconditionFailed, ConfigError)
"""What one worker does not know, has forgotten or has not installed, another may have."""


def worth_another(error: ParleyError) -> bool:
    """Whether another worker may do better with the same request."""
    return error.retryable or isinstance(error, _ELSEWHERE) or _unexplained(error)


def is_workers_fault(error: ParleyError) -> bool:
    """Whether something broke. One that is full, drains, or was asked for what it has not is not broken."""
    return (error.retryable and not isinstance(error, CapacityError | Draining)) or _unexplained(error)


def _unexplained(error: ParleyError) -> bool:
    """A worker's own fault, which it has no name for."""
    return type(error) is ParleyError
