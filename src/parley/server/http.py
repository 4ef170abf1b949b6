"""What all HTTP routes share: who may ask, and how errors are said."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from parley.errors import (
    CapacityError,
    Forbidden,
    InvalidRequest,
    NotFound,
    ParleyError,
    PreconditionFailed,
    RequestError,
    TooManyRequests,
    Unauthorized,
)
from parley.nesting import DEEPEST, deeper, is_text
from parley.transports.host import Gate as Gate
from parley.values import Role as Role

Handler = Callable[[Request], Awaitable[Response]]


def guarded(
    gate: Gate,
    handler: Handler,
    told: Callable[[ParleyError], Response] | None = None,
    *,
    role: Role = Role.TALK,
    tokens: bool = False,
) -> Handler:
    """Check who asks, and turn errors into answers; ``told`` says how, for routes of other people's shape.

    ``role`` and ``tokens`` are those of ``Gate.check_key``.
    """

    async def answer(request: Request) -> Response:
        try:
            check(gate, request, role, tokens=tokens)
            return await handler(request)
        except ParleyError as error:
            return (told or error_response)(error)

    return answer


def check(gate: Gate, request: Request, role: Role = Role.TALK, *, tokens: bool = False) -> None:
    """Raise Unauthorized when whoever asks has not the key, or is a page from elsewhere; Forbidden for its role."""
    gate.check_origin(request.headers.get("origin", ""), request.headers.get("host", ""))
    gate.check_key(bearer_key(request), role, tokens=tokens)


def bearer_key(request: Request) -> str:
    """The key of an ``Authorization: Bearer`` header; empty when there is none."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


async def json_body(request: Request, most: int) -> Any:
    """The body, of at most ``most`` bytes. Raises InvalidRequest."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise InvalidRequest(f"The request is larger than {most} bytes.")
    try:
        data = json.loads(bytes(body))
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise InvalidRequest("The request is no JSON.") from None
    if deeper(data):
        raise InvalidRequest(f"The request has more than {DEEPEST} lists and objects inside each other.")
    if not is_text(data):
        raise InvalidRequest("The request holds half of a character (a lone surrogate); send valid Unicode.")
    return data


def error_response(error: ParleyError) -> Response:
    """An error as JSON with the status that fits."""
    headers: dict[str, str] = {}
    if isinstance(error, CapacityError):
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    return JSONResponse({"code": error.code, "message": error.message}, status_of(error), headers)


def status_of(error: ParleyError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, Unauthorized):
        return 401
    if isinstance(error, Forbidden):
        return 403
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, PreconditionFailed):
        return 412
    if isinstance(error, RequestError):
        return 400
    if isinstance(error, TooManyRequests):
        return 429
    return 503 if error.retryable else 500
