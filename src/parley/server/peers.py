"""Everybody who is connected by WebRTC, whatever is spoken over it: one count of offers, one watch, one end."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING

import structlog

from parley.errors import NotFound, ParleyError
from parley.server.pending import PendingOffers
from parley.transports.round_robin import RoundRobin
from parley.transports.rtc_library import RtcLibrary

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from parley.messages import StartSession
    from parley.transports.rtc_settings import WebRtcSettings
    from parley.transports.webrtc import WebRtcTransport

DATAGRAMS_AT_ONCE = 8
"""In one turn of the loop, of all clients together: each takes 0.1 to 0.4 ms to decrypt, read and acknowledge."""
_WATCH_INTERVAL = 1.0

log = structlog.get_logger(__name__)


class Peers:
    """``mark`` begins all names that are given here. Close it before the loop ends.

    Raises ConfigError when the library of WebRTC is not the one that we are written for.
    """

    def __init__(self, settings: WebRtcSettings, mark: str = "") -> None:
        self.library = RtcLibrary()
        self.settings = settings
        self._mark = mark
        self.turns = RoundRobin(DATAGRAMS_AT_ONCE)
        self._sessions: dict[str, WebRtcTransport] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._pending = PendingOffers(
            settings.max_pending, settings.max_pending_per_address, patience=settings.connect_timeout
        )

    def new_name(self) -> str:
        """For a session that nobody can guess."""
        return self._mark + secrets.token_urlsafe(18)

    async def open(
        self,
        name: str,
        make: Callable[[], WebRtcTransport],
        offer: str,
        address: str,
        run: Callable[[Any, StartSession], Awaitable[None]],
    ) -> str:
        """Answer an offer from ``address``; ``run`` holds the session once its client is there. Returns the answer.

        ``make`` is called once the library is there, and not before: it may import what needs it.
        InvalidRequest for an offer that cannot be used, TooManyRequests, CapacityError.
        """
        with contextlib.ExitStack() as place:
            place.enter_context(self._pending.one(address))
            await self.library.ready()
            transport = make()
            try:
                answer = await transport.answer(offer)
            except BaseException:  # our own code, a cancelled request among it: no socket stays open
                await transport.aclose()
                raise
            self._sessions[name] = transport
            session = self._hold(name, transport, place.pop_all(), run)
        task = asyncio.create_task(session, name=f"{transport.kind}-{name[-6:]}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._watch()
        return answer

    def find(self, name: str, kind: str) -> WebRtcTransport:
        """The session of this name. NotFound when there is none, or it speaks something else."""
        transport = self._sessions.get(name)
        if transport is None or transport.kind != kind:
            raise NotFound("There is no such session, or it is over; POST a new offer.")
        return transport

    async def aclose(self) -> None:
        """Hang up on everybody."""
        if self._timer is not None:
            self._timer.cancel()
        for transport in list(self._sessions.values()):
            transport.leave()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _hold(
        self,
        name: str,
        transport: WebRtcTransport,
        place: contextlib.ExitStack,
        run: Callable[[Any, StartSession], Awaitable[None]],
    ) -> None:
        """One session from its first packet to its last; it gives up its place among the pending when it starts."""
        try:
            with place:
                start = await transport.started()
            await run(transport, start)
        except ParleyError as error:
            await transport.end_with(error)
        except Exception:  # our own code: the session ends, the server goes on
            log.exception("session failed", transport=transport.kind)
            await transport.end_with(ParleyError("The session failed; the server's log says why."))
        finally:
            self._sessions.pop(name, None)
            await transport.aclose()

    def _watch(self) -> None:
        """Once a second, give up those who have not been heard for too long."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_WATCH_INTERVAL, self._look)

    def _look(self) -> None:
        self._timer = None
        for transport in list(self._sessions.values()):
            if transport.connected and transport.silent_for() > self.settings.reconnect_grace:
                transport.leave()
        if self._sessions:
            self._watch()
