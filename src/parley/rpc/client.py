"""The caller's side of ``parley.tts.v1``: a Synthesizer over gRPC.

One channel per worker, kept warm. A session's StartSession is sent once for each voice model and
its lease kept, so that an utterance costs one stream and no round trip before it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterable, Coroutine
from dataclasses import dataclass
from typing import Any

import grpc

from parley import clock
from parley.errors import UnavailableError
from parley.interfaces import Synthesis
from parley.rpc.access import WorkerAccess, metadata_of, open_channel
from parley.rpc.convert import voice_to_proto
from parley.rpc.gen import tts_pb2 as pb
from parley.rpc.gen import tts_pb2_grpc
from parley.rpc.handles import CALL_LIMIT, START_LIMIT, WorkerClient
from parley.rpc.local.stub import NearestStub
from parley.rpc.status import error_of
from parley.rpc.utterance import GrpcSynthesis, sendable, too_early
from parley.values import Voice, Wording

__all__ = ["GrpcSynthesis", "GrpcSynthesizer", "WorkerAccess", "WorkerClient", "open_channel"]


@dataclass(slots=True, eq=False)
class _RemoteSession:
    """A StartSession on the worker, shared by the utterances of one session with one model."""

    owner: GrpcSynthesizer
    wire_id: str
    voice: Voice
    started: asyncio.Task[None]
    used: float
    speaking: int = 0
    outdated: bool = False
    ending: asyncio.Task[None] | None = None

    def usable(self, voice: Voice) -> bool:
        """True when the voice's model is this session's and its StartSession has not failed."""
        if self.voice.model != voice.model or self.voice.lora != voice.lora:
            return False
        return not self.started.done() or (not self.started.cancelled() and self.started.exception() is None)

    # --- for its utterances (``utterance.WorkerSession``) ---

    @property
    def address(self) -> str:
        return self.owner.address

    async def ready(self) -> None:
        try:
            await asyncio.shield(self.started)
        except asyncio.CancelledError:
            if not self.started.cancelled():
                raise
            raise too_early() from None

    def call(self, more: tuple[tuple[str, str], ...] = ()) -> Any:
        return self.owner._stub.Synthesize(metadata=(*self.owner._metadata, *more))

    async def control(self, utterance_id: str, command: pb.ControlCommand) -> int:
        request = pb.ControlRequest(session_id=self.wire_id, utterance_id=utterance_id, command=command)
        try:
            answer = await self.owner._stub.Control(request, timeout=CALL_LIMIT, metadata=self.owner._metadata)
        except grpc.RpcError as failure:
            raise error_of(failure, peer=self.address) from failure
        return int(answer.last_sequence)

    def began(self) -> None:
        self.speaking += 1

    def released(self) -> None:
        self.speaking -= 1
        self.used = clock.now()
        self.owner._released(self)

    def lost(self) -> None:
        self.owner._lost(self)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self.owner._spawn(work)


class GrpcSynthesizer:
    """``interfaces.Synthesizer`` over one worker."""

    def __init__(self, address: str, access: WorkerAccess = WorkerAccess(), *, local_socket: str = "") -> None:
        """``local_socket``: name of the worker's socket, which is used where it is on this machine."""
        self.address = address
        self._access = access
        self._channel = open_channel(address, access)
        far = tts_pb2_grpc.TtsServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._stub = NearestStub(far, "" if access.tls else local_socket)
        self._metadata = metadata_of(access)
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

    def synthesize(
        self,
        text: AsyncIterable[str],
        *,
        voice: Voice,
        session_id: str,
        utterance_id: str,
        wording: Wording = Wording(),
    ) -> Synthesis:
        """Start speaking ``text`` as its pieces arrive. Errors come out of the iteration."""
        if self._closed:
            raise UnavailableError(f"The connection to the worker {self.address} is closed.")
        session = self._session(session_id, voice)
        return GrpcSynthesis(session, text, voice, utterance_id, wording)

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
        await self._stub.aclose()
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
        if session is not None and session.usable(voice):
            session.used = now
            return session
        if session is not None:
            self._retire(session)
        wire_id = f"{session_id or 'anonymous'}#{next(self._numbers)}"
        task = self._spawn(self._start(wire_id, voice))
        session = _RemoteSession(self, wire_id, voice, task, now)
        self._sessions[session_id] = self._open[wire_id] = session
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(self._access.session_idle / 2, self._sweep)
        return session

    async def _start(self, wire_id: str, voice: Voice) -> None:
        with sendable("voice"):
            request = pb.StartSessionRequest(session_id=wire_id, voice=voice_to_proto(voice))
        try:
            await self._stub.StartSession(request, timeout=START_LIMIT, metadata=self._metadata)
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
