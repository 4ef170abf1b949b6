"""Session histories that outlive their connection, so that a client that comes back goes on where it was.

A session id is the key to its history: whoever names it in ``StartSession.resume_session`` gets it. The
orchestrator makes ids that cannot be guessed, and a snapshot lives only for a short while.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from parley.conversation import Item, item_from, plain
from parley.conversation.history import NO_IMAGE

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from parley.registry.settings import RegistrySettings

log = logging.getLogger(__name__)

MAX_BYTES = 1_000_000
"""A longer history is cut from its start until it fits."""
MAX_SESSIONS = 10_000
"""The memory store forgets the oldest beyond this."""


@dataclass(frozen=True, slots=True)
class SessionSnapshot:
    """What a session has to know to go on elsewhere."""

    session_id: str
    items: tuple[Item, ...] = ()
    """The conversation, with every reply cut to what was heard."""

    def to_json(self) -> str:
        """JSON of at most about MAX_BYTES; the oldest images go first, then the oldest items."""
        items = [plain(item) for item in self.items]
        shown = [(item, item.pop("images")) for item in items if "images" in item]
        while len(text := self._written(items)) > MAX_BYTES and items:
            items = items[len(items) // 2 + 1 :]
        room = MAX_BYTES - len(text)
        for item, images in reversed(shown):
            room -= sum(len(image["url"]) for image in images)
            if room >= 0:
                item["images"] = images
            else:
                item["text"] = f"{item['text']} {NO_IMAGE}".strip()
        return self._written(items) if shown else text

    def _written(self, items: list[dict[str, Any]]) -> str:
        return json.dumps({"session_id": self.session_id, "items": items}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> SessionSnapshot:
        """Read :meth:`to_json`, or what earlier versions wrote: messages alone. ValueError when malformed."""
        try:
            data: dict[str, Any] = json.loads(text)
            items = data["items"] if "items" in data else data.get("history", ())
            return cls(data["session_id"], tuple(item_from(item) for item in items))
        except (AttributeError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"not a session snapshot: {error}") from error


class SnapshotStore(Protocol):
    """Keeps snapshots for a while. A store that is out of reach never disturbs a session."""

    async def save(self, snapshot: SessionSnapshot) -> bool:
        """Keep it for the store's time to live from now on; False when the store is out of reach."""

    async def load(self, session_id: str) -> SessionSnapshot | None:
        """The latest, or None when it is unknown, expired or out of reach."""

    async def renew(self, session_id: str) -> None:
        """The session is still alive: count its snapshot's time from now on again."""

    async def aclose(self) -> None: ...


class MemorySnapshots:
    """Snapshots in this process's memory."""

    def __init__(self, ttl: float = 30.0) -> None:
        self._ttl = ttl
        self._kept: dict[str, tuple[float, SessionSnapshot]] = {}

    async def save(self, snapshot: SessionSnapshot) -> bool:
        now = asyncio.get_running_loop().time()
        self._kept.pop(snapshot.session_id, None)
        self._kept[snapshot.session_id] = (now + self._ttl, snapshot)
        while self._kept:  # insertion order is order of expiry
            oldest = next(iter(self._kept))
            if self._kept[oldest][0] > now and len(self._kept) <= MAX_SESSIONS:
                break
            del self._kept[oldest]
        return True

    async def load(self, session_id: str) -> SessionSnapshot | None:
        expires, snapshot = self._kept.get(session_id, (0.0, None))
        return snapshot if expires > asyncio.get_running_loop().time() else None

    async def renew(self, session_id: str) -> None:
        snapshot = await self.load(session_id)
        if snapshot is not None:
            await self.save(snapshot)

    async def aclose(self) -> None:
        self._kept.clear()


class RedisSnapshots:
    """Snapshots in Redis, under ``<prefix>:session:<id>``."""

    def __init__(self, settings: RegistrySettings) -> None:
        from parley.registry.redis import LOST, connect  # 20 MB, which most orchestrators do not need

        self._lost = LOST
        self._redis = connect(settings.url)
        self._key = f"{settings.prefix}:session:"
        self._ttl_ms = round(settings.snapshot_ttl * 1000)

    async def save(self, snapshot: SessionSnapshot) -> bool:
        try:
            await self._redis.set(self._key + snapshot.session_id, snapshot.to_json(), px=self._ttl_ms)
        except self._lost as error:
            known = {"session_id": snapshot.session_id[:8]}
            log.warning("A session's history could not be kept: %s", error, extra=known)
            return False
        return True

    async def load(self, session_id: str) -> SessionSnapshot | None:
        try:
            answer = self._redis.getrange(self._key + session_id, 0, 2 * MAX_BYTES)  # whoever wrote it
            text = await cast("Awaitable[str]", answer)
            return SessionSnapshot.from_json(text) if text else None
        except self._lost as error:
            log.warning("A session's history could not be read: %s", error, extra={"session_id": session_id[:8]})
        except ValueError:
            log.warning("A session's history cannot be understood.", extra={"session_id": session_id[:8]})
        return None

    async def renew(self, session_id: str) -> None:
        try:
            await self._redis.pexpire(self._key + session_id, self._ttl_ms)
        except self._lost as error:
            log.debug("A session's history could not be renewed: %s", error)

    async def aclose(self) -> None:
        try:
            await self._redis.aclose()
        except self._lost:
            log.debug("The snapshot store was gone before it was closed.")


def open_snapshots(settings: RegistrySettings) -> SnapshotStore | None:
    """The store that the settings ask for; None when snapshots are off."""
    if not settings.snapshots:
        return None
    return RedisSnapshots(settings) if settings.url else MemorySnapshots(settings.snapshot_ttl)
