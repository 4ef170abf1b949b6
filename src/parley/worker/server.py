"""A TTS worker as a process: the gRPC server around the servicer, its health, its end.

``serve`` runs one until it is told to stop; ``Worker`` is the same for those who own the loop.
"""

from __future__ import annotations

import asyncio
import gc
import hmac
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from parley import clock
from parley.errors import ConfigError, InvalidRequest, ParleyError
from parley.loop_watch import LoopWatch
from parley.rounds import rounds
from parley.rpc.gen import tts_pb2 as pb
from parley.rpc.options import SERVER_OPTIONS
from parley.rpc.status import CODE_KEY, status_of
from parley.stopping import stopping
from parley.tracing import Place, parent_of, working_for
from parley.worker.cloning import Cloning
from parley.worker.figures import Reading, as_log_fields, readings, serve_figures
from parley.worker.memory import settle_allocator
from parley.worker.model_manager import ModelManager
from parley.worker.servicer import TtsServicer
from parley.worker.settings import WorkerSettings
from parley.worker.voice_calls import VoiceCalls
from parley.worker.watch import PackWatch

if TYPE_CHECKING:
    from parley.worker.voicepacks import Catalog

SERVICE = pb.DESCRIPTOR.services_by_name["TtsService"].full_name
_log = logging.getLogger(__name__)
_MALFORMED = object()
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
        self._health = health.aio.HealthServicer()
        self._housekeeping: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._told = 0, 0.0
        """The number of utterances that the log was told of last, and when."""
        self._ended = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._figures: asyncio.Server | None = None

    async def start(self) -> None:
        """Load the default and preloaded models, then listen.

        Raises NotFound or ConfigError when the default model is missing or broken, a file of the
        certificate can not be read, or the port is taken.
        """
        settle_allocator()
        sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_INTERVAL))
        server = grpc.aio.server(options=SERVER_OPTIONS, interceptors=_interceptors(self.settings.api_key))
        self._bind(server)
        try:
            await self.manager.start()
            await self._announce(health_pb2.HealthCheckResponse.SERVING)
            await server.start()
            if self.settings.metrics_port:
                self._figures = await serve_figures(
                    self.settings.metrics_port, self._read_figures, host=self.settings.metrics_host
                )
        except BaseException:  # our own code, a cancelled start among it: nothing goes on listening
            self._close_figures()
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
        server.add_generic_rpc_handlers((_handlers(self.servicer, self._voices),))
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
            await server.stop(_GRACE)
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


# --- the wire --------------------------------------------------------------------------


def _handlers(servicer: TtsServicer, voices: VoiceCalls) -> grpc.GenericRpcHandler:
    unary: dict[str, tuple[Callable[[Any], Awaitable[Any]], Any]] = {
        "StartSession": (servicer.start_session, pb.StartSessionRequest),
        "Control": (servicer.control, pb.ControlRequest),
        "EndSession": (servicer.end_session, pb.EndSessionRequest),
        "ListModels": (servicer.list_models, pb.ListModelsRequest),
        "LoadModel": (servicer.load_model, pb.LoadModelRequest),
        "UnloadModel": (servicer.unload_model, pb.UnloadModelRequest),
        "AddVoice": (voices.add_voice, pb.AddVoiceRequest),
        "RemoveVoice": (voices.remove_voice, pb.RemoveVoiceRequest),
        "ListVoices": (voices.list_voices, pb.ListVoicesRequest),
        "GetCapabilities": (servicer.get_capabilities, pb.GetCapabilitiesRequest),
    }
    methods: dict[str, Any] = {
        name: grpc.unary_unary_rpc_method_handler(_unary(method), _parser(request), _serialize)
        for name, (method, request) in unary.items()
    }
    methods["Synthesize"] = grpc.stream_stream_rpc_method_handler(
        _stream(servicer.synthesize), _parser(pb.SynthesizeRequest), _serialize
    )
    return grpc.method_handlers_generic_handler(SERVICE, methods)


def _serialize(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data


def _parser(request: Any) -> Callable[[bytes], Any]:
    """A parser that lets the method refuse bad bytes; raising here would be reported as our fault."""

    def parse(data: bytes) -> Any:
        try:
            return request.FromString(data)
        except DecodeError:
            return _MALFORMED

    return parse


def _checked(request: Any) -> Any:
    if request is _MALFORMED:
        raise InvalidRequest("The message can not be read; text has to be UTF-8.")
    return request


async def _checked_stream(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _checked(request)


def _unary(method: Callable[[Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
    async def handle(request: Any, context: Any) -> Any:
        try:
            return await method(_checked(request))
        except ParleyError as error:
            await _abort(context, error)

    return handle


def _stream(method: Callable[[AsyncIterator[Any]], AsyncIterator[Any]]) -> Callable[[Any, Any], Awaitable[None]]:
    async def handle(requests: AsyncIterator[Any], context: Any) -> None:
        try:
            with working_for(partial(_caller, context.invocation_metadata())):
                async with aclosing(method(_checked_stream(requests))) as messages:  # type: ignore[type-var]
                    async for message in messages:
                        await context.write(message)
        except ParleyError as error:
            await _abort(context, error)
        except grpc.aio.InternalError:
            return  # the client has gone while a message was on its way; its utterance is closed by now

    return handle


def _caller(metadata: Any) -> Place | None:
    """The span that a call works for, where its caller named one and this worker tells of its own."""
    return parent_of({str(key): str(value) for key, value in metadata or ()})


async def _abort(context: Any, error: ParleyError) -> None:
    code, trailing = status_of(error)
    await context.abort(code, error.message, trailing)


def _interceptors(api_key: str) -> tuple[grpc.aio.ServerInterceptor, ...]:
    return (_KeyCheck(api_key),) if api_key else ()


class _KeyCheck(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Refuses calls without the key. Health stays open: those who ask for it carry no keys."""

    def __init__(self, api_key: str) -> None:
        self._expected = f"Bearer {api_key}".encode()

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        given = next((value for key, value in details.invocation_metadata or () if key == "authorization"), "")
        known = hmac.compare_digest(str(given).encode(), self._expected)
        if known or details.method.startswith(f"/{health.SERVICE_NAME}/"):
            return await continuation(details)
        handler = await continuation(details)
        if handler is not None and handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(_refuse_stream)
        return grpc.unary_unary_rpc_method_handler(_refuse)


async def _refuse(request: Any, context: Any) -> None:
    await context.abort(
        grpc.StatusCode.UNAUTHENTICATED,
        "The API key is missing or wrong; send it as the metadata 'authorization: Bearer KEY'.",
        ((CODE_KEY, "unauthorized"),),
    )


async def _refuse_stream(requests: Any, context: Any) -> None:
    await _refuse(requests, context)


def _credentials(settings: WorkerSettings) -> grpc.ServerCredentials | None:
    if not settings.tls_cert and not settings.tls_key:
        if settings.tls_client_ca:
            raise ConfigError("tls_client_ca is set, but tls_cert and tls_key are not; set all three for mutual TLS.")
        return None
    pair = (_read(settings.tls_key, "tls_key"), _read(settings.tls_cert, "tls_cert"))
    authority = _read(settings.tls_client_ca, "tls_client_ca") if settings.tls_client_ca else None
    return grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)


def _read(path: str, key: str) -> bytes:
    if not path:
        raise ConfigError(f"{key} is missing; TLS needs both tls_cert and tls_key.")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{key}: {path} can not be read ({error.strerror}).") from error
