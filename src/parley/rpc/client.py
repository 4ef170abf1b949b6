"""The caller's side of ``parley.tts.v1``: a Synthesizer over gRPC, and a worker's handles.

One channel per worker, kept warm. A session's StartSession is sent once for each voice model and
its lease kept, so that an utterance costs one stream and no round trip before it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from parley import clock
from parley.audio.frame import AudioFrame
from parley.errors import (
    ConfigError,
    EngineError,
    InvalidRequest,
    NotFound,
    ParleyError,
    PreconditionFailed,
    UnavailableError,
)
from parley.interfaces import Synthesis
from parley.rpc.convert import capabilities_from_proto, frames_from_proto, model_from_proto, voice_to_proto
from parley.rpc.gen import tts_pb2 as pb
from parley.rpc.gen import tts_pb2_grpc
from parley.rpc.options import CHANNEL_OPTIONS
from parley.rpc.status import error_of
from parley.rpc.values import Capabilities, ModelStatus
from parley.values import Voice

_CALL_LIMIT = 10.0
_START_LIMIT = 330.0
"""A session may have to wait for its model to be read from disk."""
_SERVICE = pb.DESCRIPTOR.services_by_name["TtsService"].full_name


@dataclass(frozen=True, slots=True)
class WorkerAccess:
    """How to talk to workers: what they are trusted by and what they trust."""

    api_key: str = ""
    """Sent as ``authorization: Bearer KEY``; empty sends none."""
    tls: bool = False
    """Speak TLS."""
    ca: str = ""
    """PEM file with the authority of the worker's certificate; empty takes the system's."""
    cert: str = ""
    """PEM file with our own certificate, for mutual TLS."""
    key: str = ""
    """PEM file with its private key."""
    server_name: str = ""
    """Name that the worker's certificate is checked for, where it is not the address."""
    session_idle: float = 120.0
    """Seconds without an utterance after which a session's lease is given back."""


def open_channel(address: str, access: WorkerAccess = WorkerAccess()) -> grpc.aio.Channel:
    """Return a channel to ``address`` (host:port) that connects on first use. Raises ConfigError for a bad file."""
    options: list[tuple[str, Any]] = list(CHANNEL_OPTIONS)
    if not access.tls:
        return grpc.aio.insecure_channel(address, options=options)
    if access.server_name:
        options.append(("grpc.ssl_target_name_override", access.server_name))
    credentials = grpc.ssl_channel_credentials(_pem(access.ca), _pem(access.key), _pem(access.cert))
    return grpc.aio.secure_channel(address, credentials, options=options)


def _pem(path: str) -> bytes | None:
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"The TLS file {path} can not be read ({error.strerror}).") from error


def _metadata(access: WorkerAccess) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {access.api_key}"),) if access.api_key else ()


class WorkerClient:
    """One worker's handles: models, capabilities, health. Methods raise errors of the tree."""

    def __init__(self, address: str, access: WorkerAccess = WorkerAccess(), *, channel: Any = None) -> None:
        self.address = address
        self._own = channel is None
        self._channel = channel if channel is not None else open_channel(address, access)
        self._stub: Any = tts_pb2_grpc.TtsServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._metadata = _metadata(access)

    async def models(self) -> list[ModelStatus]:
        """All models of the worker's catalog, sorted by id."""
        answer = await self._call(self._stub.ListModels, pb.ListModelsRequest())
        return [model_from_proto(model) for model in answer.models]

    async def load(
        self, model_id: str, *, pin: bool = False, timeout: float = _START_LIMIT
    ) -> tuple[ModelStatus, float]:
        """Make a model resident. Returns it and the seconds that it took (0: it was there)."""
        answer = await self._call(self._stub.LoadModel, pb.LoadModelRequest(model_id=model_id, pin=pin), timeout)
        return model_from_proto(answer.model), answer.load_ms / 1000

    async def unload(self, model_id: str) -> int:
        """Free a model. Returns the bytes that came back. Raises PreconditionFailed while it is used."""
        answer = await self._call(self._stub.UnloadModel, pb.UnloadModelRequest(model_id=model_id), 60.0)
        return int(answer.freed_bytes)

    async def reload(self, model_id: str, *, timeout: float = _START_LIMIT) -> None:
        """Read a model again from disk; what was serving stays when that fails."""
        request = pb.ControlRequest(command=pb.CONTROL_COMMAND_RELOAD, model_id=model_id)
        await self._call(self._stub.Control, request, timeout)

    async def capabilities(self, *, timeout: float = _CALL_LIMIT) -> Capabilities:
        """What the worker is, has and does right now."""
        return capabilities_from_proto(
            await self._call(self._stub.GetCapabilities, pb.GetCapabilitiesRequest(), timeout)
        )

    async def healthy(self, *, timeout: float = 2.0) -> bool:
        """True when the worker serves; False when it drains, starts or can not be reached."""
        stub: Any = health_pb2_grpc.HealthStub(self._channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=_SERVICE), timeout=timeout)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    async def aclose(self) -> None:
        """Close the channel, when it is this client's own."""
        if self._own:
            await self._channel.close()

    async def _call(self, method: Any, request: Any, timeout: float = _CALL_LIMIT) -> Any:
        try:
            return await method(request, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as failure:
            raise error_of(failure, peer=self.address) from failure


@dataclass(slots=True)
class _RemoteSession:
    """A StartSession on the worker, shared by the utterances of one session with one model."""

    wire_id: str
    model: str
    started: asyncio.Task[None]
    used: float
    speaking: int = 0
    outdated: bool = False
    voice: Voice = field(default_factory=Voice)
    ending: asyncio.Task[None] | None = None


class GrpcSynthesizer:
    """``interfaces.Synthesizer`` over one worker."""

    def __init__(self, address: str, access: WorkerAccess = WorkerAccess()) -> None:
        self.address = address
        self._access = access
        self._channel = open_channel(address, access)
        self._stub: Any = tts_pb2_grpc.TtsServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._metadata = _metadata(access)
        self._sessions: dict[str, _RemoteSession] = {}
        self._open: dict[str, _RemoteSession] = {}
        """Every session that the worker may hold a lease for, by its name there: retired ones as well."""
        self._numbers = itertools.count()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False
        self.worker = WorkerClient(address, access, channel=self._channel)
        """Models, capabilities and health of the same worker, over the same channel."""

    # --- Synthesizer ---

    def synthesize(self, text: AsyncIterable[str], *, voice: Voice, session_id: str, utterance_id: str) -> Synthesis:
        """Start speaking ``text`` as its pieces arrive. Errors come out of the iteration."""
        if self._closed:
            raise UnavailableError(f"The connection to the worker {self.address} is closed.")
        session = self._session(session_id, voice)
        return GrpcSynthesis(self, session, text, voice, utterance_id)

    def check(self, voice: Voice) -> None:
        """Every voice passes: what the worker has, it alone knows, and StartSession refuses the rest."""

    async def aclose(self) -> None:
        """End all sessions, those included that have gone on with another model, and close the channel."""
        if self._closed:
            return
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._sessions.clear()
        await asyncio.gather(*map(self._ending, list(self._open.values())), return_exceptions=True)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._channel.close()

    # --- sessions ---

    async def prepare(self, *, voice: Voice, session_id: str) -> None:
        """Connect and open the session on the worker, so that the first utterance starts at once.

        Loads the model when it is not resident. Raises what StartSession refuses with.
        """
        await asyncio.shield(self._session(session_id, voice).started)

    async def end_session(self, session_id: str) -> None:
        """Give a session's lease back. Unknown sessions are ignored."""
        session = self._sessions.pop(session_id, None)
        if session is not None:
            await asyncio.shield(self._ending(session))

    def _session(self, session_id: str, voice: Voice) -> _RemoteSession:
        """The session's StartSession for this model; opens a new one when there is none or it failed."""
        session = self._sessions.get(session_id)
        now = clock.now()
        if session is not None and _usable(session, voice):
            session.used = now
            return session
        if session is not None:
            self._retire(session)
        wire_id = f"{session_id or 'anonymous'}#{next(self._numbers)}"
        task = self._spawn(self._start(wire_id, voice))
        session = _RemoteSession(wire_id, voice.model, task, now, voice=voice)
        self._sessions[session_id] = self._open[wire_id] = session
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(self._access.session_idle / 2, self._sweep)
        return session

    async def _start(self, wire_id: str, voice: Voice) -> None:
        with _sendable("voice"):
            request = pb.StartSessionRequest(session_id=wire_id, voice=voice_to_proto(voice))
        try:
            await self._stub.StartSession(request, timeout=_START_LIMIT, metadata=self._metadata)
        except grpc.RpcError as failure:
            raise error_of(failure, peer=self.address) from failure

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever awaited it has seen it; nobody else needs to

    def _retire(self, session: _RemoteSession) -> None:
        """The session goes on with another model: end this one once its last utterance is over."""
        session.outdated = True
        if not session.speaking:
            self._ending(session)

    def _released(self, session: _RemoteSession) -> None:
        """One of its utterances is over."""
        session.speaking -= 1
        session.used = clock.now()
        if session.outdated and not session.speaking and not self._closed:
            self._ending(session)

    def _lost(self, session: _RemoteSession) -> None:
        """The worker does not know the session (any more): the next utterance opens a new one."""
        for session_id, known in list(self._sessions.items()):
            if known is session:
                del self._sessions[session_id]
        self._open.pop(session.wire_id, None)

    def _ending(self, session: _RemoteSession) -> asyncio.Task[None]:
        """Give its lease back, once, however many ask for it."""
        if session.ending is None:
            session.ending = self._spawn(self._end(session))
        return session.ending

    async def _end(self, session: _RemoteSession) -> None:
        if not session.started.done():
            session.started.cancel()
        request = pb.EndSessionRequest(session_id=session.wire_id)
        with contextlib.suppress(grpc.RpcError):
            await self._stub.EndSession(request, timeout=2.0, metadata=self._metadata)
        self._open.pop(session.wire_id, None)

    def _sweep(self) -> None:
        """Give back the leases of sessions that have been quiet for long."""
        self._sweeper = None
        oldest = clock.now() - self._access.session_idle
        for session_id, session in list(self._sessions.items()):
            if not session.speaking and session.used < oldest:
                del self._sessions[session_id]
                self._ending(session)
        if self._sessions:
            self._sweeper = asyncio.get_running_loop().call_later(self._access.session_idle / 2, self._sweep)


def _usable(session: _RemoteSession, voice: Voice) -> bool:
    """True when the voice's model is this session's and its StartSession has not failed."""
    if session.model != voice.model or session.voice.lora != voice.lora:
        return False
    started = session.started
    return not started.done() or (not started.cancelled() and started.exception() is None)


class GrpcSynthesis:
    """One utterance: a stream of its own. Pulls audio when it is asked for, so the worker's stays bounded."""

    def __init__(
        self, owner: GrpcSynthesizer, session: _RemoteSession, text: AsyncIterable[str], voice: Voice, utterance_id: str
    ) -> None:
        self._owner, self._session, self._voice, self._utterance_id = owner, session, voice, utterance_id
        self._frames: deque[AudioFrame] = deque()
        self._call: Any = None
        self._opened = asyncio.Event()
        self._closed = self._done = self._sent = False
        self.opened = False
        """The worker has text: what happens to it from now on may be the text's doing."""
        self._held = asyncio.Event()
        self._held.set()
        self._failure: ParleyError | None = None
        session.speaking += 1
        self._feeder = owner._spawn(self._feed(text))

    def __aiter__(self) -> AsyncIterator[AudioFrame]:
        return self

    async def __anext__(self) -> AudioFrame:
        while not self._frames:
            await self._opened.wait()
            if self._failure is not None and not self._closed:
                raise self._failure
            if self._closed or self._done:
                raise StopAsyncIteration
            self._accept(await self._read())
        return self._frames.popleft()

    def _accept(self, message: Any) -> None:
        if message is None:
            return
        self._frames.extend(frames_from_proto(message))
        if message.final:
            self._finish()

    async def _read(self) -> Any:
        """The next message; None when the stream is over."""
        try:
            message = await self._call.read()
            if message is not grpc.aio.EOF:
                return message
            failure = await self._ended()
        except grpc.RpcError as error:
            failure = error_of(error, peer=self._owner.address)
        except asyncio.CancelledError:
            if not (self._closed or self._failure) or _is_cancelled():
                raise
            failure = self._failure  # the call was cancelled from here, not this task
        self._finish()
        if failure is None or self._closed:
            return None
        if isinstance(failure, NotFound):
            self._owner._lost(self._session)
        raise self._failure or failure

    async def _ended(self) -> ParleyError | None:
        """Why a stream ended before its final frame."""
        code = await self._call.code()
        if code == grpc.StatusCode.OK:
            return EngineError(f"The worker {self._owner.address} ended the utterance without a final frame.")
        details = await self._call.details()
        trailing = await self._call.trailing_metadata()
        return error_of(grpc.aio.AioRpcError(code, None, trailing, details=details), peer=self._owner.address)

    async def _feed(self, text: AsyncIterable[str]) -> None:
        """Send the text as it comes. The stream is opened with the first piece."""
        try:
            await self._session_started()
            first = True
            async with contextlib.aclosing(self._pieces(text)) as pieces:
                async for piece in pieces:
                    await self._held.wait()
                    await self._send(piece, first)
                    first = False
            if first:
                await self._send("", first)
            await self._call.done_writing()
        except ParleyError as error:
            self._fail(error)
        except (grpc.RpcError, asyncio.InvalidStateError):
            return  # the reader learns the reason from the stream itself
        except asyncio.CancelledError:
            self._fail(_too_early(self._utterance_id) if self._call is None else None)
            raise

    async def _session_started(self) -> None:
        started = self._session.started
        try:
            await asyncio.shield(started)
        except asyncio.CancelledError:
            if not started.cancelled():
                raise
            raise _too_early(self._utterance_id) from None

    async def _pieces(self, text: AsyncIterable[str]) -> AsyncGenerator[str, None]:
        """The text as it comes. Where its source breaks, that is nothing that the worker did."""
        try:
            async for piece in text:
                if piece:
                    yield piece
        except ParleyError:
            raise
        except Exception as error:
            # Its own words could hold what was said; its kind is enough.
            kind = type(error).__name__
            raise InvalidRequest(f"The text of the utterance {self._utterance_id} broke off: {kind}.") from error

    async def _send(self, piece: str, first: bool) -> None:
        if self._call is None:
            if self._closed:
                raise asyncio.CancelledError
            self._call = self._owner._stub.Synthesize(metadata=self._owner._metadata)
            self._opened.set()
        with _sendable("text"):
            request = self._message(piece, first)
        self._sent = self._sent or first
        await self._call.write(request)
        self.opened = True

    def _message(self, piece: str, first: bool) -> pb.SynthesizeRequest:
        if not first:
            return pb.SynthesizeRequest(text=piece)
        return pb.SynthesizeRequest(
            session_id=self._session.wire_id,
            utterance_id=self._utterance_id,
            text=piece,
            voice=voice_to_proto(self._voice),
        )

    def _fail(self, error: ParleyError | None) -> None:
        """The text side broke: the iteration raises why."""
        if error is not None and self._failure is None:
            self._failure = error
        if self._call is not None:
            self._call.cancel()
        self._opened.set()
        self._finish()

    def _finish(self) -> None:
        if not self._done:
            self._done = True
            self._owner._released(self._session)

    # --- control ---

    async def pause(self) -> int:
        """Hold synthesis; frames already made stay available. Returns the last sequence made (-1: none)."""
        if not self._sent:
            self._held.clear()
            return -1
        return await self._control(pb.CONTROL_COMMAND_PAUSE)

    async def resume(self) -> None:
        """Go on from the next frame."""
        self._held.set()
        if self._sent:
            await self._control(pb.CONTROL_COMMAND_RESUME)

    async def _control(self, command: Any) -> int:
        request = pb.ControlRequest(session_id=self._session.wire_id, utterance_id=self._utterance_id, command=command)
        owner = self._owner
        try:
            answer = await owner._stub.Control(request, timeout=_CALL_LIMIT, metadata=owner._metadata)
        except grpc.RpcError as failure:
            raise error_of(failure, peer=owner.address) from failure
        return int(answer.last_sequence)

    async def aclose(self) -> None:
        """Stop, free everything. Safe to call twice and while another task iterates."""
        if self._closed:
            return
        self._closed = True
        self._frames.clear()
        self._held.set()
        if self._call is not None:
            self._call.cancel()
        self._opened.set()
        self._finish()
        if not self._feeder.done():
            self._feeder.cancel()
            await asyncio.wait((self._feeder,))


@contextlib.contextmanager
def _sendable(what: str) -> Iterator[None]:
    """What cannot be written as UTF-8 is the caller's fault, and found here: no worker has seen it."""
    try:
        yield
    except UnicodeEncodeError:
        raise InvalidRequest(
            f"The {what} holds half a surrogate pair and cannot be sent; join the halves or leave it out."
        ) from None


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _too_early(utterance_id: str) -> PreconditionFailed:
    return PreconditionFailed(f"The session was ended before the utterance {utterance_id} began.")


__all__ = ["GrpcSynthesis", "GrpcSynthesizer", "WorkerAccess", "WorkerClient", "open_channel"]
