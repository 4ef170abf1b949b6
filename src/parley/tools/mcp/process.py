"""An MCP server as a program: its messages are the lines of its standard streams, and it ends with us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import INTERNAL_ERROR, ErrorData, JSONRPCError, jsonrpc_message_adapter
from pydantic import ValidationError

import parley.children
from parley.tools.mcp.bounds import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

_KEEPER = Path(parley.children.__file__).with_name("keeper.py")
_INHERITED = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER")
"""Variables of ours that a program sees: none that may hold a secret of Parley's."""
_READ = 65_536
_LAST_WORDS = 2_000
_ENDING = 2.0
"""Seconds that a program has to end by itself once nobody speaks to it; its keeper allows as many again."""
_ID = re.compile(rb'^\s*\{[^{}\[\]]*?"id"\s*:\s*(\d+)')
_LINES_WAITING = 64


class Program:
    """One run of a program. ``ended`` is called when it says nothing more."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: str, *, ended: Callable[[], None]
    ) -> None:
        self._ended = ended
        self._command = list(command)
        self._environment = {**{name: os.environ[name] for name in _INHERITED if name in os.environ}, **environment}
        self._folder = folder or None
        self._errors = b""

    @property
    def last_words(self) -> str:
        """Its last line on standard error; empty where it said nothing."""
        lines = self._errors.decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    @contextlib.asynccontextmanager
    async def streams(
        self,
    ) -> AsyncGenerator[
        tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]
    ]:
        """Start it; messages from it and to it. Nothing of it is left when the block is over. Raises OSError."""
        theirs, ours = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", str(_KEEPER), str(theirs), *self._command,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                env=self._environment, cwd=self._folder, pass_fds=(theirs,),
                start_new_session=True,  # Ctrl-C is for us
            )  # fmt: skip
        except BaseException:  # our own code, a cancelled start among it: the pipe is closed
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        inbox_in, inbox = anyio.create_memory_object_stream[SessionMessage | Exception](_LINES_WAITING)
        outbox, outbox_out = anyio.create_memory_object_stream[SessionMessage](0)
        tasks = [
            asyncio.create_task(self._listen(process, inbox_in), name="an MCP server's answers"),
            asyncio.create_task(self._speak(process, outbox_out, inbox_in), name="requests to an MCP server"),
            asyncio.create_task(self._overhear(process), name="an MCP server's errors"),
        ]
        try:
            yield inbox, outbox
        finally:
            await _whatever_happens(self._end(process, ours, tasks))
            for stream in (inbox_in, inbox, outbox, outbox_out):
                stream.close()

    async def _listen(
        self, process: asyncio.subprocess.Process, inbox: MemoryObjectSendStream[SessionMessage | Exception]
    ) -> None:
        """Its lines, one message each; of one that is too long, that it is."""
        assert process.stdout is not None
        line, skipping = bytearray(), False
        with inbox, contextlib.suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            while data := await process.stdout.read(_READ):
                for number, piece in enumerate(data.split(b"\n")):
                    if number:
                        if line and not skipping:
                            await inbox.send(_message(bytes(line)))
                        line, skipping = bytearray(), False
                    if skipping:
                        continue
                    line += piece
                    if len(line) > MAX_BYTES:
                        await inbox.send(_too_long(bytes(line[:200])))
                        line, skipping = bytearray(), True
        self._ended()

    async def _speak(
        self,
        process: asyncio.subprocess.Process,
        outbox: MemoryObjectReceiveStream[SessionMessage],
        inbox: MemoryObjectSendStream[SessionMessage | Exception],
    ) -> None:
        assert process.stdin is not None
        try:
            async with outbox:
                async for sent in outbox:
                    line = sent.message.model_dump_json(by_alias=True, exclude_unset=True)
                    process.stdin.write(line.encode() + b"\n")
                    await process.stdin.drain()
        except (OSError, anyio.ClosedResourceError):
            inbox.close()  # it hears nothing any more: whoever waits for an answer is told

    async def _overhear(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        with contextlib.suppress(OSError):
            while data := await process.stderr.read(_READ):
                self._errors = (self._errors + data)[-_LAST_WORDS:]

    async def _end(self, process: asyncio.subprocess.Process, ours: int, tasks: list[asyncio.Task[None]]) -> None:
        """Let it end by itself, or have it ended, with all that it has started."""
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            async with asyncio.timeout(_ENDING):
                await process.wait()
        except TimeoutError:
            pass
        os.close(ours)
        await process.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        transport = getattr(process, "_transport", None)  # its pipes may be held open by what nobody could end
        if transport is not None:
            transport.close()


async def _whatever_happens(ending: Coroutine[Any, Any, None]) -> None:
    """Do it to its end, even if whoever waits is cancelled meanwhile."""
    task = asyncio.ensure_future(ending)
    cancelled = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.done():
                break
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _message(line: bytes) -> SessionMessage | Exception:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValidationError:
        return ValueError("a line that is no message")  # without the line: it may hold what somebody said


def _too_long(beginning: bytes) -> SessionMessage | Exception:
    """The error that stands for an answer that is too long; a notification that is too long is nobody's."""
    asked = _ID.match(beginning)
    if asked is None:
        return ValueError("a line that is too long")
    error = ErrorData(code=INTERNAL_ERROR, message=f"its answer has more than {MAX_BYTES} bytes")
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=int(asked[1]), error=error))
