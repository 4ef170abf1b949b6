"""A worker on the registry's list, for as long as it serves."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from parley.registry import Announcement, Registry, from_capabilities, open_registry
from parley.registry.announcer import Announcer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from parley.registry.settings import RegistrySettings
    from parley.worker.server import Worker


def describe(worker: Worker, instance: str) -> Announcement:
    """What the worker says about itself just now."""
    settings = worker.settings
    return from_capabilities(
        worker.servicer.capabilities(),
        worker.manager.statuses(),
        address=settings.advertise or worker.address,
        instance=instance,
        tags=settings.labels,
    )


@asynccontextmanager
async def announced(
    worker: Worker, settings: RegistrySettings, registry: Registry | None = None
) -> AsyncIterator[Announcer]:
    """Keep a started worker on the list inside the block; ``registry`` is opened from the settings when not given.

    ConfigError when the advertised address is not host:port.
    """
    own = open_registry(settings) if registry is None else registry
    instance = f"{os.getpid()}-{os.urandom(4).hex()}"
    describe(worker, instance)

    async def say() -> Announcement:
        return describe(worker, instance)

    announcer = Announcer(own, say, settings)
    task = asyncio.get_running_loop().create_task(announcer.run(), name="announcer")
    try:
        yield announcer
    finally:
        task.cancel()
        await asyncio.wait((task,))
        if registry is None:
            await own.aclose()
