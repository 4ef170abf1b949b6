"""Which LoRAs of one model are in memory, who speaks with them, and which of them goes: pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Entry:
    users: int = 0
    used: float = 0.0
    """When somebody began or ceased to speak with it, on the caller's clock."""
    size: int = 0
    ready: bool = False
    pinned: bool = False


class LoraTable:
    """At most ``most`` LoRAs; those that somebody speaks with, and pinned ones, stay."""

    def __init__(self, most: int, ttl: float | None = None) -> None:
        self.most = most
        self.ttl = ttl
        """Seconds after which one that nobody speaks with goes; None for never."""
        self._entries: dict[str, _Entry] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are in memory, sorted."""
        return tuple(sorted(name for name, entry in self._entries.items() if entry.ready))

    @property
    def size(self) -> int:
        """Bytes that they take."""
        return sum(entry.size for entry in self._entries.values())

    def users(self, name: str) -> int:
        """How many speak with one, or wait for it."""
        return self._entries[name].users if name in self._entries else 0

    def ready(self, name: str) -> bool:
        """Whether it is in memory."""
        return name in self._entries and self._entries[name].ready

    def pinned(self, name: str) -> bool:
        """Whether it stays."""
        return name in self._entries and self._entries[name].pinned

    def enter(self, now: float, name: str) -> None:
        """Somebody wants to speak with it: from now on it stays."""
        entry = self._entries.setdefault(name, _Entry())
        entry.users += 1
        entry.used = now

    def leave(self, now: float, name: str) -> None:
        """Somebody no longer does."""
        entry = self._entries.get(name)
        if entry is None:
            return
        entry.users = max(0, entry.users - 1)
        entry.used = now
        if not entry.users and not entry.ready:
            del self._entries[name]

    def room(self, name: str) -> str | None:
        """What has to go before ``name`` is read: empty for nothing, None when nothing can go."""
        others = [other for other, entry in self._entries.items() if entry.ready and other != name]
        if len(others) < self.most:
            return ""
        idle = [other for other in others if self._may_go(other)]
        return min(idle, key=lambda other: self._entries[other].used, default=None)

    def loaded(self, now: float, name: str, size: int) -> None:
        """It is in memory."""
        entry = self._entries.setdefault(name, _Entry())
        entry.ready, entry.size, entry.used = True, size, now

    def pin(self, name: str, pinned: bool = True) -> None:
        """It stays whoever speaks, or may go again."""
        if name in self._entries:
            self._entries[name].pinned = pinned

    def gone(self, name: str) -> None:
        """It is no longer in memory."""
        entry = self._entries.get(name)
        if entry is not None and entry.users:
            entry.ready, entry.size = False, 0
        else:
            self._entries.pop(name, None)

    def idle(self, now: float) -> list[str]:
        """Those that nobody has spoken with for too long."""
        if self.ttl is None:
            return []
        return [name for name in self.names if self._may_go(name) and self._entries[name].used + self.ttl <= now]

    def _may_go(self, name: str) -> bool:
        entry = self._entries[name]
        return entry.ready and not entry.users and not entry.pinned
