"""Errors as OpenAI's clients read them: ``{"error": {"message", "type", "param", "code"}}``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from parley.errors import CapacityError, ParleyError, RequestError, Unauthorized
from parley.server import http
from parley.server.http import Role, status_of

if TYPE_CHECKING:
    from parley.server.http import Gate, Handler


def guarded(gate: Gate, handler: Handler, *, role: Role = Role.TALK) -> Handler:
    """Check who asks, and turn errors into answers of that shape."""
    return http.guarded(gate, handler, error_response, role=role)


def error_response(error: ParleyError) -> Response:
    """The status that fits, with the time after which another try is worth it."""
    return JSONResponse({"error": described(error)}, status_of(error), _again(error))


def _again(error: ParleyError) -> dict[str, str]:
    return {"Retry-After": str(max(1, round(error.retry_after)))} if isinstance(error, CapacityError) else {}


def both(error: ParleyError) -> Response:
    """The same beside Parley's own shape, for routes that both kinds of clients ask."""
    said = {"error": described(error), "code": error.code, "message": error.message}
    return JSONResponse(said, status_of(error), _again(error))


def described(error: ParleyError) -> dict[str, Any]:
    """What stands under ``error``."""
    kind = "server_error"
    if isinstance(error, Unauthorized):
        kind = "authentication_error"
    elif isinstance(error, RequestError):
        kind = "invalid_request_error"
    elif isinstance(error, CapacityError):
        kind = "rate_limit_error"
    return {"message": error.message, "type": kind, "param": None, "code": error.code}
