"""Who asks, for as long as a request or a connection lasts, and in every task that it begins."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parley.server.keys import NOBODY, Holder

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


_LONGEST = 200
"""Characters of a path that are worth noting."""


@dataclass(slots=True)
class Asking:
    """Where a request comes from, what it is, and by which key; the last once that has been looked at."""

    address: str = ""
    what: str = ""
    """Method and path."""
    holder: Holder = NOBODY


_ASKING: ContextVar[Asking | None] = ContextVar("asking", default=None)


def asking() -> Asking:
    """Whose work this task does; one without an address where nobody asked over HTTP."""
    return _ASKING.get() or Asking()


class WhoAsks:
    """Notes it for everything behind; plain ASGI, nothing per message."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            address = scope["client"][0] if scope.get("client") else ""
            _ASKING.set(Asking(address, f"{scope.get('method', 'WebSocket')} {scope['path'][:_LONGEST]}"))
        await self._app(scope, receive, send)
