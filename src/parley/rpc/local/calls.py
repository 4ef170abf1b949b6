"""The caller's end of the local wire, in the shape of ``grpc.aio``: users need not know which of the two they have."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import grpc

from parley.rpc.gen import tts_pb2 as pb
from parley.rpc.local.connection import Connection
from parley.rpc.local.frames import CALL, CANCEL, END, MESSAGE, STATUS, BrokenWire, Opening, Status, frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from parley.rpc.local.connection import CallStream

GREETING_LIMIT = 0.5
"""Seconds for a worker of this machine to answer a connection."""
Metadata = tuple[tuple[str, str], ...]
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_GONE = Status(grpc.StatusCode.UNAVAILABLE.value[0], "it has closed its socket")
_CANCELLED = Status(grpc.StatusCode.CANCELLED.value[0], "the caller has cancelled the call")
_LATE = Status(grpc.StatusCode.DEADLINE_EXCEEDED.value[0], "Deadline Exceeded")
_SILENT = Status(grpc.StatusCode.INTERNAL.value[0], "the worker ended the call without an answer")


class LocalCall:
    """One call, as ``grpc.aio.StreamStreamCall`` is. It is opened with its first message, or when it is read."""

    def __init__(
        self, channel: LocalChannel, stream: CallStream, opening: Opening, answer: Callable[[bytes], Any]
    ) -> None:
        self._channel, self._stream, self._answer = channel, stream, answer
        self._opening = frame(CALL, stream.number, opening.pack())
        """What is sent first; empty once it was."""
        self._status: asyncio.Future[Status] = asyncio.get_running_loop().create_future()

    async def write(self, request: Any) -> None:
        """Send a message; waits while the worker has not taken those before."""
        self._refuse_when_over()
        await self._stream.send(request.SerializeToString(), before=self._take_opening())
        self._refuse_when_over()

    async def done_writing(self) -> None:
        """No more messages."""
        if not self._status.done():
            self.send(END)

    async def read(self) -> Any:
        """The next message; EOF behind the last one. Raises AioRpcError when the call has failed."""
        if self._opening and not self._status.done():
            self._channel.write(self._take_opening())
        payload = await self._stream.receive()
        if payload is not None:
            return self._answer(payload)
        status = await self._ended()
        if status.code:
            raise _error(status)
        return grpc.aio.EOF

    def cancel(self) -> bool:
        """Nobody wants the rest. False when it is over already."""
        if self._status.done():
            return False
        if not self._opening:
            self.send(CANCEL)
        self._stream.let_go()
        self.settle(_CANCELLED)
        return True

    async def code(self) -> grpc.StatusCode:
        """How it ended; waits for that."""
        return _code(await self._ended())

    async def details(self) -> str:
        """What that means here."""
        return (await self._ended()).details

    async def trailing_metadata(self) -> Metadata:
        """What came with it."""
        return (await self._ended()).trailing

    # --- for the channel ---

    def send(self, kind: int, payload: bytes = b"", *, behind: bytes = b"") -> None:
        """Send a frame of this call at once, and what stands ``behind`` it."""
        self._channel.write(self._take_opening() + frame(kind, self._stream.number, payload) + behind)

    def settle(self, status: Status) -> None:
        """The call is over; what came before can still be read."""
        if not self._status.done():
            self._status.set_result(status)
        self._channel.forget(self._stream)
        self._stream.ended()

    async def _ended(self) -> Status:
        return await asyncio.shield(self._status)

    def _refuse_when_over(self) -> None:
        if self._status.done():
            raise _error(self._status.result())

    def _take_opening(self) -> bytes:
        opening, self._opening = self._opening, b""
        return opening


class LocalChannel:
    """A connection to one worker of this machine, with the methods of ``TtsServiceStub``."""

    def __init__(self) -> None:
        self._connection = Connection(self._took, self._lost)
        self._numbers = itertools.count(1)
        self._calls: dict[int, LocalCall] = {}

    async def connect(self, path: Path) -> None:
        """Connect to the worker's socket. Raises OSError or TimeoutError when nobody answers there."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(GREETING_LIMIT):
                await loop.create_unix_connection(lambda: self._connection, str(path))
                await asyncio.wait((self._connection.ready,))
        except BaseException:  # our own code, a cancelled try among it: no half-open socket stays behind
            self._connection.close()
            raise
        if self._connection.ready.cancelled():
            raise ConnectionError(f"whoever listens at {path} speaks another protocol")

    @property
    def usable(self) -> bool:
        """It is connected."""
        return self._connection.ready.done() and not self._connection.lost

    def close(self) -> None:
        """Hang up; calls that are not over fail."""
        self._connection.close()

    # --- the service ---

    def Synthesize(self, *, metadata: Metadata = ()) -> LocalCall:
        """Open an utterance's stream."""
        return self._open("Synthesize", metadata, pb.AudioFrame.FromString)

    async def StartSession(self, request: Any, **how: Any) -> pb.StartSessionResponse:
        """Open a session."""
        answer: pb.StartSessionResponse = await self._ask("StartSession", request, pb.StartSessionResponse, **how)
        return answer

    async def Control(self, request: Any, **how: Any) -> pb.ControlResponse:
        """Hold, continue or stop what a session speaks."""
        answer: pb.ControlResponse = await self._ask("Control", request, pb.ControlResponse, **how)
        return answer

    async def EndSession(self, request: Any, **how: Any) -> pb.EndSessionResponse:
        """Close a session."""
        answer: pb.EndSessionResponse = await self._ask("EndSession", request, pb.EndSessionResponse, **how)
        return answer

    async def _ask(
        self, method: str, request: Any, answer: Any, *, timeout: float | None = None, metadata: Metadata = ()
    ) -> Any:
        """A call of one message and one answer. Raises AioRpcError."""
        call = self._open(method, metadata, answer.FromString)
        number = call._stream.number
        try:
            async with asyncio.timeout(timeout):
                call.send(MESSAGE, request.SerializeToString(), behind=frame(END, number))
                said = await call.read()
        except TimeoutError:
            raise _error(_LATE) from None
        finally:
            call.cancel()
        if said is grpc.aio.EOF:
            raise _error(_SILENT)
        return said

    def _open(self, method: str, metadata: Metadata, answer: Callable[[bytes], Any]) -> LocalCall:
        number = next(self._numbers)
        call = LocalCall(self, self._connection.open(number), Opening(method, tuple(metadata)), answer)
        self._calls[number] = call
        if not self.usable:
            call.settle(_GONE)
        return call

    # --- for its calls, and for the connection ---

    def write(self, data: bytes) -> None:
        """Send at once."""
        self._connection.write(data)

    def forget(self, stream: CallStream) -> None:
        """A call is over."""
        self._calls.pop(stream.number, None)
        self._connection.forget(stream.number)

    def _took(self, kind: int, number: int, payload: bytes) -> None:
        if kind != STATUS:
            raise BrokenWire("a frame that only callers send")
        call = self._calls.get(number)
        if call is not None:
            call.settle(Status.unpack(payload))

    def _lost(self) -> None:
        for call in list(self._calls.values()):
            call.settle(_GONE)


def _code(status: Status) -> grpc.StatusCode:
    return _CODES.get(status.code, grpc.StatusCode.UNKNOWN)


def _error(status: Status) -> grpc.aio.AioRpcError:
    trailing: Any = status.trailing
    return grpc.aio.AioRpcError(_code(status), grpc.aio.Metadata(), trailing, details=status.details)
