"""Parley's errors in LiveKit's terms."""

from __future__ import annotations

from livekit.agents import APIConnectionError, APIError, APIStatusError, APITimeoutError

from parley.errors import CapacityError, ParleyError, RequestError, TimedOut


def translated(error: ParleyError) -> APIError:
    """The same failure: what may be retried stays what may be retried."""
    if isinstance(error, CapacityError):
        return APIStatusError(error.message, status_code=429)
    if isinstance(error, RequestError):
        return APIStatusError(error.message, status_code=400)
    if isinstance(error, TimedOut):
        return APITimeoutError(error.message)
    if error.retryable:
        return APIConnectionError(error.message)
    return APIError(error.message, retryable=False)
