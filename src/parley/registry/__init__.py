"""Worker announcements with a lease: in memory for one process tree, in Redis for many hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley.registry.announcement import (
    AnnouncedModel,
    Announcement,
    Registry,
    RegistryHealth,
    WorkerMetrics,
    address_complaint,
    from_capabilities,
)

if TYPE_CHECKING:
    from parley.registry.settings import RegistrySettings

__all__ = [
    "AnnouncedModel",
    "Announcement",
    "Registry",
    "RegistryHealth",
    "WorkerMetrics",
    "address_complaint",
    "from_capabilities",
    "open_registry",
]


def open_registry(settings: RegistrySettings) -> Registry:
    """The registry that the settings ask for: Redis when there is a URL, else this process's memory."""
    if settings.url:
        from parley.registry.redis import RedisRegistry

        return RedisRegistry(settings)
    from parley.registry.memory import MemoryRegistry

    return MemoryRegistry()
