"""A TTS worker as a process: the gRPC server around the servicer, its health, its end.

``serve`` runs one until it is told to stop; ``Worker`` is the same for those who own the loop.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from parley import clock
from parley.certificates import RenewedPair
from parley.errors import ConfigError
from parley.loop_watch import LoopWatch
from parley.rounds import rounds
from parley.rpc.options import SERVER_OPTIONS
from parley.stopping import stopping
from parley.worker.calls import SERVICE
from parley.worker.cloning import Cloning
from parley.worker.figures import Reading, as_log_fields, readings, serve_figures
from parley.worker.grpc_wire import handlers, interceptors
from parley.worker.local_wire import LocalServer
from parley.worker.memory import settle_allocator
from parley.worker.model_manager import ModelManager
from parley.worker.servicer import TtsServicer
from parley.worker.settings import WorkerSettings
from parley.worker.voice_calls import VoiceCalls
from parley.worker.watch import PackWatch

if TYPE_CHECKING:
    from parley.worker.voicepacks import Catalog

_log = logging.getLogger(__name__)
_GRACE = 2.0
_TELL_EVERY = 60.0
"""Seconds between two lines about what was spoken, while anything is."""
_SWITCH_INTERVAL = 0.0005
"""Seconds after which an engine's thread lets the event loop run: the default 5 ms is a quarter of a frame."""


class Worker:
    """A worker on the running loop. ``start`` it, ``drain`` or ``aclose`` it."""

    def __init__(self, settings: WorkerSettings, catalog: Catalog, *, stall_after: float = 0.0) -> None:
        """``stall_after``: see ``loop_watch.LoopWatch``."""
        self.settings = settings
        self._stall_after = stall_after
        self._watch: LoopWatch | None = None
        self.manager = ModelManager(catalog, settings.models, settings.synthesis)
        self._catalog = catalog
        self.servicer = TtsServicer(settings, self.manager)
        cloning = Cloning(self.manager, catalog, settings.cloning)
        self._voices = VoiceCalls(cloning, self.servicer.sessions)
        self.address = ""
        """host:port, once it is started."""
        self._server: grpc.aio.Server | None = None
        self._local: LocalServer | None = None
        self._health = health.aio.HealthServicer()
        self._housekeeping: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._told = 0, 0.0
        """The number of utterances that the log was told of last, and when."""
        self._ended = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._figures: asyncio.Server | None = None

    @property
    def local_socket(self) -> str:
        """Name of its socket for orchestrators of this machine; empty when it has none."""
        return self.servicer.local_socket

    async def start(self) -> None:
        """Load the default and preloaded models, then listen.

        Raises NotFound or ConfigError when the default model is missing or broken, a file of the
        certificate can not be read, or the port is taken.
        """
        settle_allocator()
        sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_INTERVAL))
        server = grpc.aio.server(options=SERVER_OPTIONS, interceptors=interceptors(self.settings.api_key))
        self._bind(server)
        try:
            await self.manager.start()
            await self._announce(health_pb2.HealthCheckResponse.SERVING)
            await server.start()
            self._listen_here()
            if self.settings.metrics_port:
                self._figures = await serve_figures(
                    self.settings.metrics_port, self._read_figures, host=self.settings.metrics_host
                )
        except BaseException:  # our own code, a cancelled start among it: nothing goes on listening
            self._close_figures()
            await self._leave_here(0)
            await server.stop(0)
            await self.manager.aclose()
            raise
        self._server = server
        self._watch = LoopWatch(self.servicer.stats.lags.add, stall_after=self._stall_after)
        self._watch.start()
        every = min(10.0, self.settings.session_idle_ms / 2000)
        keeping = rounds("the worker's housekeeping", self._keep_house, every, at_once=False)
        self._told = 0, clock.now()
        self._housekeeping = asyncio.get_running_loop().create_task(keeping)
        if self.settings.models.watch_ms:
            watch = PackWatch(self._catalog, self.manager)
            self._watching = asyncio.get_running_loop().create_task(watch.run(self.settings.models.watch_ms / 1000))

    def _bind(self, server: grpc.aio.Server) -> None:
        server.add_generic_rpc_handlers((handlers(self.servicer, self._voices),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        wanted = f"{self.settings.host}:{self.settings.port}"
        credentials = _credentials(self.settings)
        try:
            if credentials is None:
                port = server.add_insecure_port(wanted)
            else:
                port = server.add_secure_port(wanted, credentials)
        except RuntimeError as error:
            raise ConfigError(f"The worker can not listen on {wanted}: {error}; choose another port.") from error
        self.address = f"{self.settings.host}:{port}"
        self.servicer.name = self.settings.name or self.address

    def _listen_here(self) -> None:
        """Offer a socket to orchestrators of this machine. Without one they come over gRPC, as others do."""
        if not self.settings.local_wire or self.settings.tls_cert:
            return  # whoever wants certificates wants to see one
        local = LocalServer(self.servicer, self._voices, api_key=self.settings.api_key)
        try:
            self.servicer.local_socket = local.start()
        except OSError as error:
            _log.info("The worker has no socket for this machine, so all come over gRPC: %s", error)
        else:
            self._local = local

    async def _leave_here(self, grace: float) -> None:
        if self._local is not None:
            await self._local.aclose(grace)

    async def drain(self) -> bool:
        """Finish what is spoken, refuse the rest, then end. False when something had to be cut off."""
        self.servicer.sessions.draining = True
        self.manager.changed()
        await self._announce(health_pb2.HealthCheckResponse.NOT_SERVING)
        clean = await self.servicer.drain(self.settings.drain_ms / 1000)
        await self.aclose()
        return clean

    async def aclose(self) -> None:
        """Stop at once. Safe to call twice and to be cut short: what has begun ends, and whoever asks again waits."""
        server, self._server = self._server, None
        if server is not None:
            self.manager.refuse_all()
            self._closing = asyncio.get_running_loop().create_task(self._close(server))
        if self._closing is not None:
            await asyncio.shield(self._closing)

    async def _close(self, server: grpc.aio.Server) -> None:
        if self._housekeeping is not None:
            self._housekeeping.cancel()
        if self._watching is not None:
            self._watching.cancel()
        if self._watch is not None:
            self._watch.close()
        self._close_figures()
        self.servicer.close()
        try:
            await asyncio.gather(server.stop(_GRACE), self._leave_here(_GRACE))
        finally:
            await self.manager.aclose()
            self._ended.set()

    async def wait(self) -> None:
        """Return when the worker has ended."""
        await self._ended.wait()

    def _read_figures(self) -> list[Reading]:
        return list(readings(self.servicer.capabilities(), self.servicer.stats, self.manager.counters))

    def _close_figures(self) -> None:
        if self._figures is not None:
            self._figures.close()

    async def _announce(self, status: Any) -> None:
        for service in ("", SERVICE):
            await self._health.set(service, status)

    async def _keep_house(self) -> None:
        self.servicer.sessions.close_idle()
        utterances = self.servicer.stats.utterances
        told, at = self._told
        if utterances != told and clock.now() - at >= _TELL_EVERY:
            self._told = utterances, clock.now()
            _log.info("worker figures", extra=as_log_fields(self._read_figures()))


async def serve(
    settings: WorkerSettings,
    catalog: Catalog,
    *,
    ready: Callable[[Worker], Awaitable[None]] | None = None,
    stall_after: float = 0.0,
) -> bool:
    """Run a worker until SIGTERM or SIGINT, then drain it. False when something had to be cut off.

    ``ready`` is awaited once the worker listens (its ``address`` is known): print the address,
    announce the worker to a registry. A second signal cuts the drain short. Raises ConfigError or
    NotFound when the worker can not start.
    """
    gc.freeze()  # what has been imported never dies: looking through it for garbage would only delay frames
    worker = Worker(settings, catalog, stall_after=stall_after)
    with stopping() as stop:
        await worker.start()
        _log.info("worker ready", extra={"address": worker.address})
        try:
            if ready is not None:
                await ready(worker)
            await stop.asked.wait()
            return bool(await stop.unless_hurried(worker.drain()))
        finally:
            await worker.aclose()


# --- certificates -----------------------------------------------------------------------


def _credentials(settings: WorkerSettings) -> grpc.ServerCredentials | None:
    if not settings.tls_cert and not settings.tls_key:
        if settings.tls_client_ca:
            raise ConfigError("tls_client_ca is set, but tls_cert and tls_key are not; set all three for mutual TLS.")
        return None

    def told(reason: str) -> None:
        _log.warning("the renewed certificate cannot be used, the old one stays: %s", reason)

    pair = RenewedPair(settings.tls_cert, settings.tls_key, settings.tls_client_ca, told=told)

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        """Asked in a thread of gRPC's for whoever connects; None leaves all as it is."""
        if not pair.newer():
            return None
        try:
            found = _certificates(settings)
        except ConfigError as error:  # one of them is gone again
            told(str(error))
            return None
        _log.info("renewed certificate taken: %s", settings.tls_cert)
        return found

    return grpc.dynamic_ssl_server_credentials(
        _certificates(settings), renewed, require_client_authentication=bool(settings.tls_client_ca)
    )


def _certificates(settings: WorkerSettings) -> grpc.ServerCertificateConfiguration:
    pair = (_read(settings.tls_key, "tls_key"), _read(settings.tls_cert, "tls_cert"))
    authority = _read(settings.tls_client_ca, "tls_client_ca") if settings.tls_client_ca else None
    return grpc.ssl_server_certificate_configuration([pair], authority)


def _read(path: str, key: str) -> bytes:
    if not path:
        raise ConfigError(f"{key} is missing; TLS needs both tls_cert and tls_key.")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{key}: {path} can not be read ({error.strerror}).") from error
