"""Which LoRAs of one model are in memory, who speaks with them, and which of them goes: pure.

Each reading of a LoRA has a tag of its own, by which the engines know it: one that is read again serves the utterances
that begin from then on, and what was there before stays until the last utterance that began with it has ended.
"""

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
    tag: str = ""
    """Of the reading that serves; empty while there is none."""


class LoraTable:
    """At most ``most`` LoRAs; those that somebody speaks with, and pinned ones, stay."""

    def __init__(self, most: int, ttl: float | None = None) -> None:
        self.most = most
        self.ttl = ttl
        """Seconds after which one that nobody speaks with goes; None for never."""
        self._entries: dict[str, _Entry] = {}
        self._readings = 0
        self._speaking: dict[str, int] = {}
        """Utterances that are under way, by tag."""
        self._retired: dict[str, int] = {}
        """Bytes of readings that serve nobody new, by tag."""

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are in memory, sorted."""
        return tuple(sorted(name for name, entry in self._entries.items() if entry.ready))

    @property
    def size(self) -> int:
        """Bytes that they take, those that only finish what they speak included."""
        return sum(entry.size for entry in self._entries.values()) + sum(self._retired.values())

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

    def new_tag(self, name: str) -> str:
        """What the engines are to call the next reading of one."""
        self._readings += 1
        return f"{name}#{self._readings}"

    def loaded(self, now: float, name: str, size: int, tag: str = "") -> str:
        """It is in memory; returns the tag of an older reading that is to be dropped, empty for none."""
        leaving = self.retire(name)
        entry = self._entries.setdefault(name, _Entry())
        entry.ready, entry.size, entry.used, entry.tag = True, size, now, tag or name
        return leaving

    def begin(self, name: str) -> str:
        """An utterance begins with it; returns the tag that it is spoken with to its end."""
        entry = self._entries.get(name)
        tag = entry.tag if entry is not None and entry.tag else name
        self._speaking[tag] = self._speaking.get(tag, 0) + 1
        return tag

    def end(self, tag: str) -> bool:
        """An utterance has ended; True when this reading has no more to speak and is to be dropped."""
        left = self._speaking.pop(tag, 0) - 1
        if left > 0:
            self._speaking[tag] = left
            return False
        return self._retired.pop(tag, None) is not None

    def retire(self, name: str) -> str:
        """It serves no new utterance; returns the tag that is to be dropped now, empty while one speaks with it."""
        entry = self._entries.get(name)
        if entry is None or not entry.ready:
            return ""
        tag, size = entry.tag, entry.size
        entry.ready, entry.size, entry.tag = False, 0, ""
        if tag not in self._speaking:
            return tag
        self._retired[tag] = size
        return ""

    def named(self, tag: str) -> str:
        """The LoRA whose serving reading this is; empty for none."""
        return next((name for name, entry in self._entries.items() if entry.ready and entry.tag == tag), "")

    def pin(self, name: str, pinned: bool = True) -> None:
        """It stays whoever speaks, or may go again."""
        if name in self._entries:
            self._entries[name].pinned = pinned

    def gone(self, name: str) -> str:
        """It is no longer in memory; returns the tag that it had, empty for none."""
        entry = self._entries.get(name)
        tag = entry.tag if entry is not None else ""
        if entry is not None and entry.users:
            entry.ready, entry.size, entry.tag = False, 0, ""
        else:
            self._entries.pop(name, None)
        return tag

    def idle(self, now: float) -> list[str]:
        """Those that nobody has spoken with for too long."""
        if self.ttl is None:
            return []
        return [name for name in self.names if self._may_go(name) and self._entries[name].used + self.ttl <= now]

    def _may_go(self, name: str) -> bool:
        entry = self._entries[name]
        return entry.ready and not entry.users and not entry.pinned
