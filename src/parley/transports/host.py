"""What every way in needs from the server behind it: who may talk, with whom, and how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from parley.values import Role

if TYPE_CHECKING:
    from parley.interfaces import Transport
    from parley.messages import StartSession
    from parley.transports.bounds import ClientBounds
    from parley.transports.websocket_settings import WebSocketSettings


class Gate(Protocol):
    """Who may ask."""

    def check_origin(self, origin: str, host: str) -> None:
        """Raise Unauthorized when a page from ``origin`` (empty: not a browser) may not use ``host``."""

    def check_key(self, key: str, role: Role = Role.TALK, *, tokens: bool = False) -> None:
        """Raise Unauthorized when the key is missing or wrong, Forbidden when it has not this role.

        ``tokens``: this opens or belongs to one conversation, for which a token that is good once will do.
        """


class Sessions(Protocol):
    """Who holds the conversations."""

    bounds: ClientBounds

    async def run_session(self, transport: Transport, start: StartSession) -> None:
        """Hold one conversation until it ends. CapacityError or UnavailableError before it has begun."""


class Host(Gate, Sessions, Protocol):
    """Who may talk, and with whom."""


class WebSocketHost(Host, Protocol):
    """The same, for the endpoint of WebSockets."""

    websocket: WebSocketSettings
