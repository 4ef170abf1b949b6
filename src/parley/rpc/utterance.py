"""One utterance of a worker's session, as its caller sees it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Coroutine, Iterator
from typing import Any, Protocol

import grpc

from parley import tracing
from parley.audio.frame import AudioFrame
from parley.errors import EngineError, InvalidRequest, NotFound, ParleyError, PreconditionFailed
from parley.rpc.convert import frames_from_proto, voice_to_proto, wording_to_proto
from parley.rpc.gen import tts_pb2 as pb
from parley.rpc.status import error_of
from parley.values import Voice, Wording


class WorkerSession(Protocol):
    """A StartSession on a worker, as its utterances see it."""

    wire_id: str

    @property
    def address(self) -> str:
        """host:port of the worker."""

    async def ready(self) -> None:
        """Wait until the worker has opened it. Raises why it has not."""

    def call(self, more: tuple[tuple[str, str], ...] = ()) -> Any:
        """Open an utterance's stream, with ``more`` metadata."""

    async def control(self, utterance_id: str, command: pb.ControlCommand) -> int:
        """Hold or continue an utterance; returns the last sequence that left."""

    def began(self) -> None:
        """One more utterance."""

    def released(self) -> None:
        """One of them is over."""

    def lost(self) -> None:
        """The worker does not know the session (any more)."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something for as long as the connection lasts."""


class GrpcSynthesis:
    """One utterance: a stream of its own. Pulls audio when it is asked for, so the worker's stays bounded."""

    def __init__(
        self, session: WorkerSession, text: AsyncIterable[str], voice: Voice, utterance_id: str, wording: Wording
    ) -> None:
        self._session, self._voice, self._utterance_id = session, voice, utterance_id
        self._wording = wording
        self._frames: deque[AudioFrame] = deque()
        self._call: Any = None
        self._opened = asyncio.Event()
        self._closed = self._done = self._sent = False
        self.opened = False
        """The worker has text: what happens to it from now on may be the text's doing."""
        self._held = asyncio.Event()
        self._held.set()
        self._failure: ParleyError | None = None
        self._span = tracing.begin("speak", "client", server__address=session.address)
        session.began()
        self._feeder = session.spawn(self._feed(text))

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
        self._span.reached("parley.first_audio_s")
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
            failure = error_of(error, peer=self._session.address)
        except asyncio.CancelledError:
            if not (self._closed or self._failure) or _is_cancelled():
                raise
            failure = self._failure  # the call was cancelled from here, not this task
        self._finish(failure)
        if failure is None or self._closed:
            return None
        if isinstance(failure, NotFound):
            self._session.lost()
        raise self._failure or failure

    async def _ended(self) -> ParleyError | None:
        """Why a stream ended before its final frame."""
        code = await self._call.code()
        if code == grpc.StatusCode.OK:
            return EngineError(f"The worker {self._session.address} ended the utterance without a final frame.")
        details = await self._call.details()
        trailing = await self._call.trailing_metadata()
        return error_of(grpc.aio.AioRpcError(code, None, trailing, details=details), peer=self._session.address)

    async def _feed(self, text: AsyncIterable[str]) -> None:
        """Send the text as it comes. The stream is opened with the first piece."""
        try:
            await self._session.ready()
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
            self._fail(too_early() if self._call is None else None)
            raise

    async def _pieces(self, text: AsyncIterable[str]) -> AsyncGenerator[str, None]:
        """The text as it comes. Where its source breaks, that is nothing that the worker did."""
        try:
            async for piece in text:
                if piece:
                    yield piece
        except ParleyError:
            raise
        except Exception as error:  # somebody else's code, the source of the text
            kind = type(error).__name__  # its own words could hold what was said
            raise InvalidRequest(f"The text of the utterance {self._utterance_id} broke off: {kind}.") from error

    async def _send(self, piece: str, first: bool) -> None:
        if self._call is None:
            if self._closed:
                raise asyncio.CancelledError
            self._call = self._session.call(tuple(self._span.headers.items()))
            self._span.reached("parley.first_text_s")
            self._opened.set()
        with sendable("text"):
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
            wording=wording_to_proto(self._wording),
        )

    def _fail(self, error: ParleyError | None) -> None:
        """The text side broke: the iteration raises why."""
        if error is not None and self._failure is None:
            self._failure = error
        if self._call is not None:
            self._call.cancel()
        self._opened.set()
        self._finish(error)

    def _finish(self, error: ParleyError | None = None) -> None:
        if not self._done:
            self._done = True
            self._span.end(error.code if error is not None else "")
            self._session.released()

    # --- control ---

    async def pause(self) -> int:
        """Hold synthesis; frames already made stay available. Returns the last sequence made (-1: none)."""
        if not self._sent:
            self._held.clear()
            return -1
        return await self._session.control(self._utterance_id, pb.CONTROL_COMMAND_PAUSE)

    async def resume(self) -> None:
        """Go on from the next frame."""
        self._held.set()
        if self._sent:
            await self._session.control(self._utterance_id, pb.CONTROL_COMMAND_RESUME)

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
def sendable(what: str) -> Iterator[None]:
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


def too_early() -> PreconditionFailed:
    """Neither the worker's fault nor the text's: whoever asked has changed its mind."""
    return PreconditionFailed("The session was ended before its utterance began.")
