"""Who may do what: the server's one key, the keys of a file, and tokens that are good once."""

from __future__ import annotations

import asyncio
import os
import secrets
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

_MADE, _USED = "token-made", "token-used"
_LOOK = 1.0
"""Seconds between two looks at whether the file of keys has changed."""


def _wall_clock() -> float:
    return datetime.now(UTC).timestamp()


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
        self._sessions: dict[str, Key] = {}
        self._sibling: Sibling | None = None
        self._audit = AuditLog(settings.audit, wall_clock=wall_clock) if settings.audit else None

    @property
    def asks(self) -> bool:
        """Whether a key is needed at all. A file without a key lets nobody in."""
        return bool(self._settings.api_key or self._settings.keys)

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
            return Holder(owner, digest)
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

    async def begin(self, session_id: str, goes_on: str) -> None:
        """Count a conversation for whoever asks. Raises TooManyRequests; Unauthorized for a token that was used.

        ``goes_on``: the earlier conversation that it takes up; empty for none.
        """
        try:
            await self._begin(asking().holder, session_id, goes_on)
        except ParleyError as error:
            self._refused(error, Role.TALK)
            raise

    async def _begin(self, holder: Holder, session_id: str, goes_on: str) -> None:
        key = holder.key
        if key.sha256 and not self._ring.knows(key):
            raise Unauthorized(f"The API key {key.name} has been taken back.")
        self._held.begin(key, clock.now())
        try:
            if holder.token:
                await self._use(holder.token, session_id, goes_on)
        except BaseException:  # our own code, a cancelled client among it: nothing stays counted
            self._held.end(key)
            raise
        self._sessions[session_id] = key

    def release(self, session_id: str) -> None:
        """It counts no more; the second time is no matter."""
        if (key := self._sessions.pop(session_id, None)) is not None:
            self._held.end(key)

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
                raise Unauthorized("The token opens another conversation at this moment; each opens one.") from None

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
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError):
        raise InvalidRequest(f"{path} is no YAML.") from None
    return read_keys(data if data is not None else {}, path)


def _stamp_of(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
