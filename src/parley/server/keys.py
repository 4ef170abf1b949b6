"""Keys with roles, an end and limits of their own, as a file holds them, and tokens that are good once (pure)."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any

from parley.errors import CapacityError, Forbidden, InvalidRequest, TooManyRequests, Unauthorized
from parley.values import Role

KEY_PREFIX, TOKEN_PREFIX = "pk_", "pt_"
MOST_KEYS = 1000
MOST_TOKENS = 20_000
MOST_OF_ONE = 5_000
"""Tokens that are kept for one key: those that were used within the last hour among them."""
SHORTEST, USUAL, LONGEST = 10, 60, 3600
"""Seconds in which a token opens its conversation."""
REMEMBERED = 3600.0
"""Seconds for which a token that was used goes on with its conversation after a connection was lost."""
_NAME = 64
_MINUTE = 60.0
_FIRST, _LAST = 2000, 9000
"""Years in which a key may end."""


def digest_of(key: str) -> str:
    """What stands in place of a key: SHA-256 as 64 hex digits. Keys are long and random, so none can be guessed."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


@dataclass(frozen=True, slots=True)
class Key:
    """One key, without the key itself. ``until``: seconds since 1970, None for no end; limits of 0 are none."""

    name: str
    sha256: str
    roles: frozenset[Role]
    until: float | None = None
    max_sessions: int = 0
    sessions_per_minute: int = 0

    def check(self, role: Role) -> None:
        """Raise Forbidden when it does not open what ``role`` is asked for."""
        if role not in self.roles and Role.ADMIN not in self.roles:
            raise Forbidden(f"The API key {self.name} has not the role {role.value}, which this needs.")


@dataclass(frozen=True, slots=True)
class Holder:
    """Whoever showed a key: the key, and the token's digest where it was a token that they showed."""

    key: Key
    token: str = ""


SERVER_KEY = Key("server.api_key", "", frozenset({Role.ADMIN}))
"""The one key of the settings; opens everything."""
NOBODY = Holder(Key("", "", frozenset(Role)))
"""Whoever comes where no key is asked for."""


def read_keys(data: Any, path: str) -> tuple[Key, ...]:
    """The keys of a file's content (YAML or JSON, read already). Raises InvalidRequest, which names file and entry."""
    listed = data.get("keys", []) if isinstance(data, Mapping) else data
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise InvalidRequest(f"{path} must hold a list `keys` of at most {MOST_KEYS} entries.")
    keys = tuple(_key(entry, f"{path}: entry {number}") for number, entry in enumerate(listed, 1))
    for what in ("name", "sha256"):
        counted = Counter(getattr(key, what) for key in keys)
        if twice := next((each for each, times in counted.items() if times > 1), ""):
            raise InvalidRequest(f"{path} has the {what} {twice} twice.")
    return keys


def as_entry(key: Key) -> dict[str, Any]:
    """How a key stands in its file."""
    entry: dict[str, Any] = {"name": key.name, "sha256": key.sha256, "roles": sorted(role.value for role in key.roles)}
    if key.until is not None:
        entry["expires"] = datetime.fromtimestamp(key.until, UTC).isoformat(timespec="seconds")
    if key.max_sessions:
        entry["max_sessions"] = key.max_sessions
    if key.sessions_per_minute:
        entry["sessions_per_minute"] = key.sessions_per_minute
    return entry


def told_of(key: Key) -> dict[str, Any] | None:
    """As another process of this server is told: None for the server's own key, which all of them have."""
    return as_entry(key) if key.sha256 else None


def learnt(told: dict[str, Any] | None) -> Key:
    """What ``told_of`` has said."""
    return SERVER_KEY if told is None else read_keys([told], "another process")[0]


def _key(entry: Any, where: str) -> Key:
    if not isinstance(entry, Mapping):
        raise InvalidRequest(f"{where} must be a mapping with name, sha256 and roles.")
    known = {"name", "sha256", "roles", "expires", "max_sessions", "sessions_per_minute"}
    if strange := ", ".join(sorted(set(map(str, entry)) - known)):
        raise InvalidRequest(f"{where} has {strange}, which no key has; there are {', '.join(sorted(known))}.")
    name, sha256 = entry.get("name"), entry.get("sha256")
    if not isinstance(name, str) or not name.strip() or len(name) > _NAME or not name.isprintable():
        raise InvalidRequest(f"{where} needs a name of 1 to {_NAME} printable characters.")
    if name == SERVER_KEY.name:
        raise InvalidRequest(f"{where} is called {name}, as the server's own key is.")
    where = f"{where} ({name})"
    if not isinstance(sha256, str) or len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
        raise InvalidRequest(f"{where} needs sha256: the key's SHA-256 as 64 lower-case hex digits, never the key.")
    roles = entry.get("roles")
    if not isinstance(roles, list) or not roles or set(map(str, roles)) - set(Role):
        raise InvalidRequest(f"{where} needs roles: a list of some of {', '.join(Role)}.")
    return Key(
        name,
        sha256,
        frozenset(Role(str(role)) for role in roles),
        _until(entry.get("expires"), where),
        *(_count(entry.get(limit, 0), limit, where) for limit in ("max_sessions", "sessions_per_minute")),
    )


def _count(value: Any, what: str, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidRequest(f"{where}: {what} must be a whole number, 0 for no limit.")
    return value


def _until(value: Any, where: str) -> float | None:
    """A date is good until its end; a time without a zone is UTC."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value) if len(value) > len("2030-01-31") else date.fromisoformat(value)
        except ValueError:
            raise InvalidRequest(f"{where}: expires must be a date or time such as 2030-01-31.") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time.max)
    if not isinstance(value, datetime):
        raise InvalidRequest(f"{where}: expires must be a date or time such as 2030-01-31.")
    if not _FIRST <= value.year <= _LAST:
        raise InvalidRequest(f"{where}: expires must lie between the years {_FIRST} and {_LAST}.")
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()


class KeyRing:
    """All keys that are good. Keys are found by digest, so how long a refusal takes says nothing of those there are."""

    def __init__(self, keys: tuple[Key, ...] = (), api_key: str = "") -> None:
        self._keys = {key.sha256: key for key in keys}
        if api_key:
            self._keys[digest_of(api_key)] = SERVER_KEY

    def __bool__(self) -> bool:
        return bool(self._keys)

    def present(self, key: Key, wall: float) -> Key:
        """What a key that was shown a while ago opens by now. Raises Unauthorized when it is good no more."""
        if not key.sha256:
            return key  # the server's own, or where none is asked for
        found = self._keys.get(key.sha256)
        if found is None:
            raise Unauthorized(f"The API key {key.name} has been taken back.")
        return _in_time(found, wall)

    def find(self, key: str, wall: float) -> Key:
        """What stands for a key that is good at ``wall``, in seconds since 1970. Raises Unauthorized."""
        found = self._keys.get(digest_of(key))
        if found is None:
            raise Unauthorized("The API key is missing or wrong.")
        return _in_time(found, wall)


def _in_time(key: Key, wall: float) -> Key:
    if key.until is not None and wall > key.until:
        raise Unauthorized(f"The API key {key.name} has expired.")
    return key


@dataclass(slots=True)
class _Held:
    """What one key's conversations amount to."""

    now: int = 0
    begun: deque[float] = field(default_factory=deque)


class Held:
    """Conversations by key, within each key's limits. Times in seconds of one clock."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}

    def begin(self, key: Key, now: float, *, known: bool = False) -> None:
        """Count one more. Raises TooManyRequests, and counts nothing.

        ``known``: an earlier conversation goes on, which none begins with.
        """
        held = self._held.setdefault(key.name, _Held())
        while held.begun and now - held.begun[0] >= _MINUTE:
            held.begun.popleft()
        if key.max_sessions and held.now >= key.max_sessions:
            raise TooManyRequests(f"The API key {key.name} may hold {key.max_sessions} conversations at a time.")
        if key.sessions_per_minute and not known:
            if len(held.begun) >= key.sessions_per_minute:
                raise TooManyRequests(
                    f"The API key {key.name} may begin {key.sessions_per_minute} conversations a minute.",
                    retry_after=held.begun[0] + _MINUTE - now,
                )
            held.begun.append(now)
        held.now += 1

    def undo(self, key: Key, *, known: bool = False) -> None:
        """It has not begun after all."""
        begun = self._held[key.name].begun
        if begun and not known:
            begun.pop()
        self.end(key)

    def end(self, key: Key) -> None:
        """One of them is over."""
        held = self._held[key.name]
        held.now -= 1
        if not held.now and not held.begun:
            del self._held[key.name]


@dataclass(slots=True)
class _Token:
    key: Key
    until: float
    session: str = ""
    """The conversation that it has opened; empty before."""
    before: str = ""
    """The one that this goes on with, whose client may not know yet how it is called now."""
    last: str = ""
    """What stood in ``session``, should it not begin after all."""


class Tokens:
    """Tokens for browsers, in memory: each opens one conversation, and goes on with that one. Times of one clock."""

    def __init__(self) -> None:
        self._tokens: dict[str, _Token] = {}
        self._of: Counter[str] = Counter()
        """How many each key has, by its name."""

    def add(self, digest: str, key: Key, until: float, now: float) -> None:
        """One more. Raises CapacityError where there are too many, TooManyRequests where this key has too many."""
        if len(self._tokens) >= MOST_TOKENS or self._of[key.name] >= MOST_OF_ONE:
            for old in [each for each, token in self._tokens.items() if token.until <= now]:
                self._of[self._tokens.pop(old).key.name] -= 1
        if self._of[key.name] >= MOST_OF_ONE:
            raise TooManyRequests(
                f"The API key {key.name} has too many tokens; wait until some expire.", retry_after=60
            )
        if len(self._tokens) >= MOST_TOKENS:
            raise CapacityError("Too many tokens are in use; wait until some expire.", retry_after=60)
        self._tokens[digest] = _Token(key, until)
        self._of[key.name] += 1

    def find(self, digest: str, now: float) -> Key | None:
        """Whose token it is; None for one that is not known, or whose time is over."""
        token = self._tokens.get(digest)
        return token.key if token is not None and now < token.until else None

    def check(self, digest: str, goes_on: str, now: float) -> None:
        """Raise Unauthorized where it does not open a conversation that goes on with this one (empty: with none)."""
        token = self._tokens.get(digest)
        if token is None or now >= token.until:
            raise Unauthorized("The token is not known here, or has expired.")
        if token.session and not (goes_on and goes_on in (token.session, token.before)):
            raise Unauthorized("The token has opened a conversation already; each opens one.")

    def open(self, digest: str, session: str, goes_on: str, now: float) -> None:
        """Use it for the conversation ``session``, which may go on with an earlier one. Raises Unauthorized."""
        self.check(digest, goes_on, now)
        token = self._tokens[digest]
        token.last, token.session, token.before, token.until = token.session, session, goes_on, now + REMEMBERED

    def undo(self, digest: str, session: str) -> None:
        """The conversation did not begin: its client may try again."""
        token = self._tokens.get(digest)
        if token is not None and token.session == session:
            token.session = token.last

    def opened_elsewhere(self, digest: str, session: str, goes_on: str, now: float) -> None:
        """The same, told by another process. Raises Unauthorized where it is used here; one unknown is no matter."""
        if digest in self._tokens:
            self.open(digest, session, goes_on, now)
