"""Keys for browsers: made for a session, good for many, and gone after a while (pure)."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parley.api.realtime.session_object import SessionObject
from parley.errors import CapacityError
from parley.server.keys import SERVER_KEY, Key, learnt, told_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX = "ek_"
SHORTEST, USUAL, LONGEST = 10, 600, 7_200
"""Seconds that one is good for."""
MOST = 500
MOST_CHARACTERS = 4_000_000
"""Of all sessions together that keys are good for, as JSON."""


@dataclass(frozen=True, slots=True)
class Secret:
    """One that is good, and what a session begins with that is opened with it."""

    session: SessionObject
    until: float
    length: int
    """Characters of the session, as JSON."""
    key: Key = SERVER_KEY
    """With which it was made."""


class Secrets:
    """Kept in memory only. ``make`` makes the random part of a key.

    Keys are found by their digests, so that how long it takes to refuse one says nothing of those there are.
    """

    def __init__(self, make: Callable[[], str]) -> None:
        self._make = make
        self._known: OrderedDict[bytes, Secret] = OrderedDict()

    def new(self, session: SessionObject, seconds: float, now: float, made_with: Key = SERVER_KEY) -> str:
        """A key, made with another one. Raises CapacityError where there are too many."""
        key = PREFIX + self._make()
        self._keep(_digest(key), session, seconds, now, made_with)
        return key

    def _keep(self, digest: bytes, session: SessionObject, seconds: float, now: float, key: Key) -> None:
        self._forget(now)
        length = session.length
        kept = sum(secret.length for secret in self._known.values())
        if len(self._known) >= MOST or kept + length > MOST_CHARACTERS:
            raise CapacityError("Too many client secrets are in use; wait until some expire.", retry_after=60)
        self._known[digest] = Secret(session, now + seconds, length, key)

    def told(self, key: str, now: float) -> dict[str, Any]:
        """What another process has to know to take this key, which there is: neither the key nor when it was made."""
        digest = _digest(key)
        secret = self._known[digest]
        session = {"kind": secret.session.kind, "model": secret.session.model, "data": secret.session.data}
        made_with = told_of(secret.key)
        return {"digest": digest.hex(), "session": session, "seconds": secret.until - now, "key": made_with}

    def learn(self, told: Mapping[str, Any], now: float) -> None:
        """Take a key that another process has made. Raises CapacityError where there are too many."""
        self._keep(
            bytes.fromhex(told["digest"]), SessionObject(**told["session"]), told["seconds"], now, learnt(told["key"])
        )

    def find(self, key: str, now: float) -> Secret | None:
        """What a key stands for; None for one that is not known, or not good any more."""
        secret = self._known.get(_digest(key)) if key.startswith(PREFIX) else None
        return secret if secret is not None and now < secret.until else None

    def _forget(self, now: float) -> None:
        for digest in [digest for digest, secret in self._known.items() if secret.until <= now]:
            del self._known[digest]


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()
