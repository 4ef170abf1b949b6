"""The exception tree of ``parley.errors`` as gRPC status codes, and back.

The trailing metadata carries what a status code can not: ``parley-code`` (which error of the tree
it was) and ``retry-after-ms`` (when another try makes sense).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc

from parley import errors

CODE_KEY = "parley-code"
RETRY_KEY = "retry-after-ms"

_STATUS: dict[type[errors.ParleyError], grpc.StatusCode] = {
    errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.Unauthorized: grpc.StatusCode.UNAUTHENTICATED,
    errors.PreconditionFailed: grpc.StatusCode.FAILED_PRECONDITION,
    errors.RequestError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.CapacityError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Draining: grpc.StatusCode.UNAVAILABLE,
    errors.EngineError: grpc.StatusCode.UNAVAILABLE,
    errors.UnavailableError: grpc.StatusCode.UNAVAILABLE,
    errors.TimedOut: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.ConfigError: grpc.StatusCode.FAILED_PRECONDITION,
}
_BY_STATUS: dict[grpc.StatusCode, type[errors.ParleyError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidRequest,
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.UNAUTHENTICATED: errors.Unauthorized,
    grpc.StatusCode.PERMISSION_DENIED: errors.Unauthorized,
    grpc.StatusCode.FAILED_PRECONDITION: errors.PreconditionFailed,
    grpc.StatusCode.OUT_OF_RANGE: errors.InvalidRequest,
    grpc.StatusCode.UNIMPLEMENTED: errors.PreconditionFailed,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.CapacityError,
    grpc.StatusCode.UNAVAILABLE: errors.UnavailableError,
    grpc.StatusCode.CANCELLED: errors.UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.TimedOut,
}


def status_of(error: errors.ParleyError) -> tuple[grpc.StatusCode, tuple[tuple[str, str], ...]]:
    """Return the status code of an error and the trailing metadata that goes with it."""
    code = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), grpc.StatusCode.INTERNAL)
    trailing: tuple[tuple[str, str], ...] = ((CODE_KEY, error.code),)
    if isinstance(error, errors.CapacityError):
        trailing += ((RETRY_KEY, str(max(0, round(error.retry_after * 1000)))),)
    return code, trailing


def error_of(failure: grpc.RpcError, *, peer: str = "") -> errors.ParleyError:
    """Return the error of the tree that a failed call stands for; ``peer`` names the other side."""
    call: Any = failure
    status: grpc.StatusCode = call.code()
    details = str(call.details() or status.name)
    trailing = _as_dict(call.trailing_metadata())
    code = trailing.get(CODE_KEY, "")
    error = errors.from_code(code, details) if code else _by_status(status, details, peer)
    if isinstance(error, errors.CapacityError):
        error.retry_after = _seconds(trailing.get(RETRY_KEY, ""))
    return error


def _by_status(status: grpc.StatusCode, details: str, peer: str) -> errors.ParleyError:
    """What a status alone stands for: the worker's server, or the way to it, has failed the call."""
    kind = _BY_STATUS.get(status, errors.ParleyError)
    if kind is errors.UnavailableError:
        details = f"The worker {peer or '(unnamed)'} cannot be reached: {details}"
    return kind(details)


def _as_dict(metadata: Iterable[tuple[str, Any]] | None) -> dict[str, str]:
    return {key: value for key, value in metadata or () if isinstance(value, str)}


def _seconds(retry_ms: str) -> float:
    return int(retry_ms) / 1000 if retry_ms.isdecimal() else 1.0
