"""Who may do what: the server's one key, the keys of a file, and tokens that are good once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from parley import clock
from parley.errors import ConfigError, InvalidRequest, ParleyError, RequestError, Unauthorized, UnavailableError
from parley.server.asking import asking
from parley.server.audit import AuditLog
from parley.server.keys import (
    NOBODY,
    TOKEN_PREFIX,
    Held,
    Holder,
    Key,
    KeyRing,
    Tokens,
    digest_of,
    learnt,
    read_keys,
    told_of,
)
from parley.values import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from parley.server.settings import ServerSettings
    from parley.server.siblings import Sibling

log = structlog.get_logger(__name__)

_MADE, _USED, _FREED = "token-made", "token-used", "token-freed"
_LOOK = 1.0
"""Seconds between two looks at whether the file of keys has changed."""


def _wall_clock() -> float:
    return datetime.now(UTC).timestamp()


@dataclass(frozen=True, slots=True)
class _Session:
    """A conversation that is counted."""

    key: Key
    token: str
    known: bool


class Access:
    """Asked before anything is done for somebody. Close it. Raises ConfigError for a file that is none."""

    def __init__(self, settings: ServerSettings, *, wall_clock: Callable[[], float] = _wall_clock) -> None:
        self._settings, self._wall_clock = settings, wall_clock
        self._stamp: tuple[int, int, int] | None = None
        self._ring = KeyRing((), settings.api_key)
        if settings.keys:
            self._stamp = _stamp_of(settings.keys)
            try:
                self._ring = KeyRing(keys_in(settings.keys), settings.api_key)
            except InvalidRequest as error:
                raise ConfigError(error.message) from None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._held, self._tokens = Held(), Tokens()
        self._sessions: dict[str, _Session] = {}
        self._sibling: Sibling | None = None
        self._audit = AuditLog(settings.audit, wall_clock=wall_clock) if settings.audit else None

    @property
    def asks(self) -> bool:
        """Whether a key is needed at all. A file without a key lets nobody in."""
        return bool(self._settings.api_key or self._settings.keys)

    @property
    def audit_lost(self) -> int:
        """Lines of the audit log that could not be written since the last one that was."""
        return self._audit.lost if self._audit is not None else 0

    def close(self) -> None:
        """Look at the file no more, and write the audit log to its end."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._audit is not None:
            self._audit.close()

    # --- keys --------------------------------------------------------------------------

    def check(self, key: str, role: Role, *, tokens: bool) -> None:
        """Note who asks from here on. Raises Unauthorized, Forbidden."""
        who = asking()
        try:
            who.holder = self._holder(key, tokens=tokens)
            who.holder.key.check(role)
        except RequestError as error:
            self._refused(error, role)
            raise
        if role is Role.MODELS:
            self._note("changed", what=who.what)

    def _holder(self, key: str, *, tokens: bool) -> Holder:
        if not self.asks:
            return NOBODY
        if key.startswith(TOKEN_PREFIX):
            digest = digest_of(key)
            owner = self._tokens.find(digest, clock.now()) if tokens else None
            if owner is None:
                raise Unauthorized(
                    "The token is not known here, or has expired." if tokens else "A token opens a conversation only."
                )
            return Holder(self._ring.present(owner, self._wall_clock()), digest)
        return Holder(self._ring.find(key, self._wall_clock()))

    # --- the file ----------------------------------------------------------------------

    def start(self) -> None:
        """Read the file again whenever it changes, from now on."""
        if self._settings.keys:
            self._timer = asyncio.get_running_loop().call_later(_LOOK, self._look)

    def _look(self) -> None:
        stamp = _stamp_of(self._settings.keys)
        if stamp == self._stamp:
            self.start()
            return
        self._stamp = stamp
        # In a thread: a thousand keys take a fifth of a second.
        reading = asyncio.get_running_loop().run_in_executor(None, keys_in, self._settings.keys)
        reading.add_done_callback(self._take)

    def _take(self, reading: asyncio.Future[tuple[Key, ...]]) -> None:
        if self._closed:
            return
        self.start()
        try:
            self._ring = KeyRing(reading.result(), self._settings.api_key)
        except InvalidRequest as error:
            log.error("the keys stay as they were", reason=error.message)
        else:
            self._note("keys read")

    # --- conversations -----------------------------------------------------------------

    def may_begin(self, goes_on: str) -> None:
        """Raise Unauthorized or Forbidden where whoever asks may not, before anything is done for them.

        ``goes_on``: the earlier conversation that they name; empty for none.
        """
        try:
            self._present(asking().holder, goes_on)
        except ParleyError as error:
            self._refused(error, Role.TALK)
            raise

    def may_take_over(self, session_id: str) -> bool:
        """Whether a conversation that is held here is that of whoever asks: nobody goes on with another key's."""
        theirs, mine = self._sessions.get(session_id), asking().holder.key.name
        return theirs is None or not mine or theirs.key.name in ("", mine)

    async def begin(self, session_id: str, goes_on: str, *, known: bool) -> None:
        """Count a conversation for whoever asks. Raises TooManyRequests; Unauthorized for a token that was used.

        ``known``: ``goes_on`` is a conversation that there is.
        """
        try:
            await self._begin(asking().holder, session_id, goes_on, known)
        except ParleyError as error:
            self._refused(error, Role.TALK)
            raise

    def _present(self, holder: Holder, goes_on: str) -> Key:
        """What their key opens by now: it may have changed since they showed it, or since a token was made."""
        key = self._ring.present(holder.key, self._wall_clock())
        key.check(Role.TALK)
        if holder.token:
            self._tokens.check(holder.token, goes_on, clock.now())
        return key

    async def _begin(self, holder: Holder, session_id: str, goes_on: str, known: bool) -> None:
        key = self._present(holder, goes_on)
        self._held.begin(key, clock.now(), known=known)
        try:
            if holder.token:
                await self._use(holder.token, session_id, goes_on)
        except BaseException:  # our own code, a cancelled client among it: nothing stays counted
            self._held.undo(key, known=known)
            raise
        self._sessions[session_id] = _Session(key, holder.token, known)

    def release(self, session_id: str) -> None:
        """It counts no more; the second time is no matter."""
        if (session := self._sessions.pop(session_id, None)) is not None:
            self._held.end(session.key)

    async def undo(self, session_id: str) -> None:
        """It has not begun after all: its client may try again."""
        if (session := self._sessions.pop(session_id, None)) is None:
            return
        self._held.undo(session.key, known=session.known)
        if session.token:
            await self._free(session.token, session_id)

    def began(self, session_id: str, transport: str) -> None:
        """A conversation has begun."""
        self._note("session started", session=session_id[:8], transport=transport)

    def ended(self, session_id: str, seconds: float, code: str) -> None:
        """It is over. ``code``: of the error that ended it; empty for none."""
        self._note("session ended", session=session_id[:8], seconds=round(seconds, 1), code=code)

    # --- tokens ------------------------------------------------------------------------

    def share(self, sibling: Sibling) -> None:
        """Let the processes that share the port know each other's tokens."""
        self._sibling = sibling
        sibling.heard[_MADE] = self._told_of_one
        sibling.heard[_USED] = self._told_of_use
        sibling.heard[_FREED] = self._told_that_it_is_free

    async def token(self, seconds: float) -> str:
        """One that opens a conversation within ``seconds``. Raises CapacityError, UnavailableError."""
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        digest, key = digest_of(token), asking().holder.key
        now = clock.now()
        self._tokens.add(digest, key, now + seconds, now)
        if self._sibling is not None:
            await self._sibling.tell(_MADE, {"digest": digest, "key": told_of(key), "seconds": seconds})
        self._note("token made", seconds=seconds)
        return token

    async def _use(self, digest: str, session: str, goes_on: str) -> None:
        self._tokens.open(digest, session, goes_on, clock.now())
        if self._sibling is not None:
            try:
                await self._sibling.tell(_USED, {"digest": digest, "session": session, "goes_on": goes_on})
            except UnavailableError:
                await self._free(digest, session)
                raise Unauthorized("The token opens another conversation at this moment; each opens one.") from None

    async def _free(self, digest: str, session: str) -> None:
        self._tokens.undo(digest, session)
        if self._sibling is not None:
            with contextlib.suppress(UnavailableError):  # one that has just ended need not know
                await self._sibling.tell(_FREED, {"digest": digest, "session": session})

    def _told_that_it_is_free(self, told: Mapping[str, Any]) -> None:
        self._tokens.undo(told["digest"], told["session"])

    def _told_of_one(self, told: Mapping[str, Any]) -> None:
        now = clock.now()
        self._tokens.add(told["digest"], learnt(told["key"]), now + told["seconds"], now)

    def _told_of_use(self, told: Mapping[str, Any]) -> None:
        self._tokens.opened_elsewhere(told["digest"], told["session"], told["goes_on"], clock.now())

    def _refused(self, error: ParleyError, role: Role) -> None:
        if self._audit is not None:
            who = asking()
            about = {"code": error.code, "role": role.value, "what": who.what}
            self._audit.refused(address=who.address, key=who.holder.key.name, **about)

    def _note(self, event: str, **about: str | float) -> None:
        if self._audit is not None:
            who = asking()
            self._audit.note(event, address=who.address, key=who.holder.key.name, **about)


def keys_in(path: str) -> tuple[Key, ...]:
    """The keys in a file. Raises InvalidRequest when it can not be read or is no file of keys."""
    import yaml

    try:
        data = yaml.load(Path(path).read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except OSError as error:
        raise InvalidRequest(f"{path} can not be read: {error.strerror}.") from None
    except (ValueError, yaml.YAMLError, RecursionError):  # a day that no month has is a ValueError
        raise InvalidRequest(f"{path} is no YAML.") from None
    return read_keys(data if data is not None else {}, path)


def _stamp_of(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
