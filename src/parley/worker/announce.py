"""A worker on the registry's list, for as long as it serves."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from parley.registry import Announcement, Registry, from_capabilities, open_registry
from parley.registry.announcement import is_loopback, is_unspecified, split_address
from parley.registry.announcer import Announcer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from parley.registry.settings import RegistrySettings
    from parley.worker.server import Worker

ELSEWHERE = "192.0.2.1"
"""An address that is never this machine's: the way to it is the way to the network."""


def describe(worker: Worker, instance: str, address: str) -> Announcement:
    """What the worker says about itself just now. One without a name goes by its address, which is unique."""
    said = from_capabilities(
        worker.servicer.capabilities(),
        worker.manager.statuses(),
        address=address,
        instance=instance,
        tags=worker.settings.labels,
    )
    return replace(said, name=worker.settings.name or address)


def advertised(worker: Worker, registry_url: str) -> str:
    """host:port under which others find the worker: as set, else where it listens.

    One that listens on every address is found under the one that leads to the registry, or to the network.
    ConfigError when what was set is not host:port.
    """
    address = worker.settings.advertise or worker.address
    host, port = split_address(address)
    if worker.settings.advertise or not is_unspecified(host):
        return address
    own = _own_address(urlsplit(registry_url).hostname or "")
    if is_loopback(own):
        own = _own_address(ELSEWHERE)
    return f"[{own}]:{port}" if ":" in own else f"{own}:{port}"


def _own_address(towards: str) -> str:
    """The address that packets to a host would leave from; nothing is sent."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(towards, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(where)
            return str(probe.getsockname()[0])
    except OSError:
        return "127.0.0.1"


@asynccontextmanager
async def announced(
    worker: Worker, settings: RegistrySettings, registry: Registry | None = None
) -> AsyncIterator[Announcer]:
    """Keep a started worker on the list inside the block; ``registry`` is opened from the settings when not given.

    ConfigError when the advertised address is not host:port.
    """
    own = open_registry(settings) if registry is None else registry
    instance = f"{os.getpid()}-{os.urandom(4).hex()}"
    address = await asyncio.to_thread(advertised, worker, settings.url)

    async def say() -> Announcement:
        return describe(worker, instance, address)

    announcer = Announcer(own, say, settings)
    task = asyncio.get_running_loop().create_task(announcer.run(), name="announcer")
    worker.manager.changed = announcer.announce_now
    try:
        yield announcer
    finally:
        announcer.end()
        task.cancel()
        await asyncio.wait((task,))
        if registry is None:
            await own.aclose()
