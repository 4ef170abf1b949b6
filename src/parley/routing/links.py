"""The pool over gRPC: the way to real workers, and workers that are known by address alone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING

from parley.errors import EngineError, ParleyError
from parley.registry import Announcement, Registry, from_capabilities
from parley.registry.memory import MemoryRegistry
from parley.routing.pool import PooledSynthesizer
from parley.rpc.client import GrpcSynthesizer, WorkerAccess, WorkerClient

if TYPE_CHECKING:
    from parley.routing.settings import RoutingSettings

log = logging.getLogger(__name__)

PROBE_INTERVAL = 1.0
PROBE_LEASE = 5.0
PATIENCE = 10
"""Probes without an answer before somebody is told: a worker that starts together with us needs a moment."""
HEALTH_LIMIT = 1.0
"""Seconds for a worker to say that it is there."""


class GrpcLink(GrpcSynthesizer):
    """One worker over gRPC."""

    async def load_model(self, model_id: str) -> None:
        """Make a model resident."""
        await self.worker.load(model_id)

    async def healthy(self) -> bool:
        """Whether the worker answers; one that drains does not count as well."""
        return await self.worker.healthy(timeout=HEALTH_LIMIT)


def worker_access(settings: RoutingSettings) -> WorkerAccess:
    """Key and certificates for the way to the workers."""
    tls = settings.tls
    return WorkerAccess(
        api_key=settings.api_key,
        tls=tls.enabled,
        ca=tls.ca,
        cert=tls.certificate,
        key=tls.key,
        server_name=tls.server_name,
    )


def grpc_connect(settings: RoutingSettings) -> Callable[[Announcement], GrpcLink]:
    """Connects to announced workers."""
    access = worker_access(settings)

    def connect(announcement: Announcement) -> GrpcLink:
        name = announcement.local_socket if settings.local_wire else ""
        return GrpcLink(announcement.address, access, local_socket=name)

    return connect


class ProbedWorkers(MemoryRegistry):
    """Workers that are named by address: asked for their capabilities now and then, and listed while they answer."""

    def __init__(self, addresses: tuple[str, ...], access: WorkerAccess, *, interval: float = PROBE_INTERVAL) -> None:
        super().__init__()
        self._addresses = addresses
        self._access = access
        self._interval = interval
        self._probes: list[asyncio.Task[None]] = []

    def watch(self) -> AsyncGenerator[tuple[Announcement, ...], None]:
        """Whoever watches has them asked."""
        if not self._probes:
            loop = asyncio.get_running_loop()
            self._probes = [loop.create_task(self._probe(each), name=f"probe {each}") for each in self._addresses]
        return super().watch()

    async def aclose(self) -> None:
        probes, self._probes = self._probes, []
        for probe in probes:
            probe.cancel()
        if probes:
            await asyncio.wait(probes)
        await super().aclose()

    async def _probe(self, address: str) -> None:
        client = WorkerClient(address, self._access)
        failures, life = 0, 0
        try:
            while True:
                try:
                    life += bool(failures)  # who was gone may be another process now
                    announcement = await describe(client, address, instance=str(life))
                    await self.announce(announcement, lease=PROBE_LEASE)
                    failures = 0
                except ParleyError as error:
                    failures += 1
                    if failures == PATIENCE:
                        log.warning("The worker at %s does not answer: %s", address, error)
                except Exception:
                    # Our own code: the worker is not known meanwhile, and is asked again.
                    failures += 1
                    if failures == 1:
                        log.exception("What the worker at %s says could not be taken in.", address)
                await asyncio.sleep(self._interval)
        finally:
            await client.aclose()


async def describe(client: WorkerClient, address: str, *, instance: str = "") -> Announcement:
    """Ask a worker for what it would announce. EngineError when it cannot be true."""
    said = from_capabilities(
        await client.capabilities(timeout=5.0), await client.models(), address=address, instance=instance
    )
    try:
        said.check()
    except ValueError as error:
        raise EngineError(f"The worker at {address} says of itself what cannot be: {error}.") from None
    return said


def open_pool(settings: RoutingSettings, registry: Registry) -> PooledSynthesizer:
    """The voices of all workers that the registry lists and that the settings name. ``start`` it in its loop."""
    registries: list[Registry] = [registry]
    if settings.workers:
        registries.append(ProbedWorkers(settings.workers, worker_access(settings)))
    return PooledSynthesizer(registries, settings, grpc_connect(settings))
