"""``POST /v1/tokens``: a token for a browser, which opens one conversation, so that no page has to hold a key.

The body is empty or ``{"seconds": 60}``: how long it may take until the conversation begins. It goes on with that
conversation after a connection was lost, for an hour after the last one began, and opens nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from parley.errors import InvalidRequest, PreconditionFailed
from parley.server.http import guarded, json_body
from parley.server.keys import LONGEST, SHORTEST, USUAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from parley.server.access import Access
    from parley.server.http import Gate

_MOST_BYTES = 1024


def token_routes(gate: Gate, access: Access, wall_clock: Callable[[], float]) -> list[Route]:
    """The route. ``wall_clock``: seconds since 1970."""

    async def make(request: Request) -> Response:
        if not access.asks:
            raise PreconditionFailed("This server asks for no key, so nobody needs a token.")
        asked = await json_body(request, _MOST_BYTES) if request.headers.get("content-length", "0") != "0" else {}
        if not isinstance(asked, dict) or set(asked) - {"seconds"}:
            raise InvalidRequest('The body must be empty or {"seconds": 60}.')
        seconds = asked.get("seconds", USUAL)
        if isinstance(seconds, bool) or not isinstance(seconds, int) or not SHORTEST <= seconds <= LONGEST:
            raise InvalidRequest(f"seconds must be a whole number from {SHORTEST} to {LONGEST}.")
        expires = int(wall_clock()) + seconds
        said = {"token": await access.token(seconds), "expires_at": expires}
        return JSONResponse(said, 201, {"Cache-Control": "no-store"})

    return [Route("/v1/tokens", guarded(gate, make), methods=["POST"])]
