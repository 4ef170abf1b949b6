"""The servicer behind a Unix socket, for orchestrators of this machine and this user."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc

from parley.errors import CapacityError, InvalidRequest, ParleyError, Unauthorized, UnavailableError
from parley.rpc.gen import tts_pb2 as pb
from parley.rpc.local.connection import Connection
from parley.rpc.local.folder import bind, new_name
from parley.rpc.local.frames import CALL, CANCEL, END, MESSAGE, STATUS, BrokenWire, Opening, Status, frame
from parley.rpc.local.listener import Listener
from parley.rpc.status import status_of
from parley.tracing import working_for
from parley.worker.calls import NO_KEY, caller, checked, checked_stream, parser, unary_calls

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from parley.rpc.local.connection import CallStream
    from parley.worker.servicer import TtsServicer
    from parley.worker.voice_calls import VoiceCalls

MOST_CONNECTIONS = 256
"""Of orchestrators; each needs one."""
_FAREWELL = 0.5
"""Seconds for those who are hung up on to read what was sent to them."""
MOST_CALLS = 8_192
"""That one connection may have open: more than all its utterances and what is asked about them."""
_FINE = Status(grpc.StatusCode.OK.value[0])
_CUT_OFF = Status(grpc.StatusCode.CANCELLED.value[0], "the call was cut off")
_log = logging.getLogger(__name__)


class LocalServer:
    """Listens on a socket that only this user can open. ``start`` it, ``aclose`` it."""

    def __init__(self, servicer: TtsServicer, voices: VoiceCalls, *, api_key: str) -> None:
        self._servicer = servicer
        calls = unary_calls(servicer, voices)
        self._unary = {name: (method, parser(kind)) for name, (method, kind) in calls.items()}
        self._request = parser(pb.SynthesizeRequest)
        self._expected = f"Bearer {api_key}".encode() if api_key else b""
        self._listener: Listener | None = None
        self._path: Path | None = None
        self._peers: set[_Peer] = set()
        self.closing = False
        """Calls that begin now are refused."""

    def start(self) -> str:
        """Listen; returns the socket's name. Raises OSError when there is no place for one."""
        name = new_name()
        listening, self._path = bind(name)
        self._listener = Listener(listening, self._accept)
        return name

    async def aclose(self, grace: float) -> None:
        """Take no more calls, give those that are open ``grace`` seconds to end, then hang up."""
        self.closing = True
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        if self._listener is not None:
            await self._listener.aclose()
        tasks = [task for peer in self._peers for task in peer.tasks.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._hang_up()

    async def _hang_up(self) -> None:
        """No socket is left behind, those among them that were only just being accepted."""
        connections = [peer.connection for peer in self._peers]
        for connection in connections:
            connection.close()
        if connections:
            await asyncio.wait([connection.gone for connection in connections], timeout=_FAREWELL)
        for connection in connections:
            connection.abort()

    def _accept(self) -> asyncio.Protocol:
        if self.closing or len(self._peers) >= MOST_CONNECTIONS:
            return _Refused()
        peer = _Peer(self, self._peers.discard)
        self._peers.add(peer)
        return peer.connection

    # --- calls, for the peers ---

    def knows(self, opening: Opening) -> bool:
        """The caller has the key, or none is asked for."""
        given = next((value for key, value in opening.metadata if key == "authorization"), "")
        return not self._expected or hmac.compare_digest(given.encode(errors="replace"), self._expected)

    async def serve(self, opening: Opening, stream: CallStream) -> bytes:
        """Answer a call; returns the last message, which its status follows. Raises what the servicer refuses with."""
        if opening.method == "Synthesize":
            with working_for(partial(caller, opening.metadata)):
                await self._speak(stream)
            return b""
        found = self._unary.get(opening.method)
        if found is None:
            raise InvalidRequest(f"There is no call {opening.method[:80]!r}.")
        method, parse = found
        payload = await stream.receive()
        if payload is None:
            raise InvalidRequest("The call ended before its message.")
        answer: bytes = (await method(checked(parse(payload)))).SerializeToString()
        return frame(MESSAGE, stream.number, answer)

    async def _speak(self, stream: CallStream) -> None:
        async with aclosing(self._servicer.synthesize(checked_stream(self._requests(stream)))) as messages:  # type: ignore[type-var]
            async for message in messages:
                await stream.send(message.SerializeToString())

    async def _requests(self, stream: CallStream) -> AsyncIterator[Any]:
        while (payload := await stream.receive()) is not None:
            yield self._request(payload)


class _Refused(asyncio.Protocol):
    """One connection too many, or too late: whoever is hung up on speaks over gRPC."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class _Peer:
    """One orchestrator's connection, and the calls that it has open."""

    def __init__(self, server: LocalServer, gone: Callable[[_Peer], None]) -> None:
        self._server, self._gone = server, gone
        self.connection = Connection(self._took, self._lost)
        self.tasks: dict[int, asyncio.Task[None]] = {}

    def _took(self, kind: int, number: int, payload: bytes) -> None:
        if kind == CALL:
            self._begin(number, Opening.unpack(payload))
        elif kind == END:
            if (stream := self.connection.streams.get(number)) is not None:
                stream.ended()
        elif kind == CANCEL:
            if (task := self.tasks.get(number)) is not None:
                task.cancel()
        else:
            raise BrokenWire("a frame that only workers send")

    def _begin(self, number: int, opening: Opening) -> None:
        if number in self.tasks:
            raise BrokenWire("a call that is open already")
        error = self._refusal(opening)
        if error is not None:
            self._end(number, _status(error))
            return
        stream = self.connection.open(number)
        task = asyncio.get_running_loop().create_task(self._answer(opening, stream))
        self.tasks[number] = task
        task.add_done_callback(partial(self._over, number))

    def _refusal(self, opening: Opening) -> ParleyError | None:
        if not self._server.knows(opening):
            return Unauthorized(NO_KEY)
        if self._server.closing:
            return UnavailableError("The worker has ended.")
        if len(self.tasks) >= MOST_CALLS:
            return CapacityError(f"This orchestrator has {MOST_CALLS} calls open; end some of them first.")
        return None

    async def _answer(self, opening: Opening, stream: CallStream) -> None:
        try:
            last = await self._server.serve(opening, stream)
        except ParleyError as error:
            self._end(stream.number, _status(error))
        except Exception as error:  # noqa: BLE001  (our own code: as with gRPC, both sides hear of it)
            _log.exception("A call failed by a fault of ours.")
            kind = type(error).__name__
            self._end(stream.number, Status(grpc.StatusCode.UNKNOWN.value[0], f"The worker failed: {kind}."))
        else:
            self._end(stream.number, _FINE, last)

    def _end(self, number: int, status: Status, last: bytes = b"") -> None:
        self.connection.forget(number)
        self.connection.write(last + frame(STATUS, number, status.pack()))

    def _over(self, number: int, task: asyncio.Task[None]) -> None:
        del self.tasks[number]
        if task.cancelled():
            self._end(number, _CUT_OFF)  # passed over by a caller who wanted just that

    def _lost(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        self._gone(self)


def _status(error: ParleyError) -> Status:
    code, trailing = status_of(error)
    return Status(code.value[0], error.message, trailing)
