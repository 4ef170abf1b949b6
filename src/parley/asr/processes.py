"""A recogniser over decoder processes: each hears one turn at a time, turns wait in order.

Processes are started when they are needed, up to a bound. While a turn waits its audio is kept,
and a decoder catches up several times faster than real time. A process that dies fails its own
turn; the next turn gets a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from parley.asr import wire
from parley.asr.decoder import RATE, from_json
from parley.errors import CapacityError, ConfigError, EngineError, InvalidRequest, TimedOut

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Sequence

    from parley.asr.decoder import DecoderSpec
    from parley.asr.settings import AsrSettings
    from parley.audio.frame import AudioFrame
    from parley.values import Transcript

_LOAD_LIMIT = 300.0
_QUIT_LIMIT = 2.0
_LOST = "The recogniser's process ended while it was listening; say it again, another one is being started."


class DecoderProcess:
    """One child and the turn that it hears."""

    def __init__(self, spec: DecoderSpec) -> None:
        self._spec = spec
        self._process: asyncio.subprocess.Process | None = None
        self._turn = 0
        self._messages: asyncio.Queue[tuple[bytes, bytes]] = asyncio.Queue()
        self._reading: asyncio.Task[None] | None = None
        self.alive = False

    async def open(self) -> None:
        """Start the child and wait until its engine is loaded. ConfigError says what is missing."""
        arguments = {"target": self._spec.target, "arguments": self._spec.arguments}
        self._process = await asyncio.create_subprocess_exec(
            self._spec.python or sys.executable, "-m", "parley.asr.child", json.dumps(arguments),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=_environment(self._spec.python),
        )  # fmt: skip
        self._reading = asyncio.create_task(self._read())
        try:
            async with asyncio.timeout(_LOAD_LIMIT):
                kind, body = await self._messages.get()
        except TimeoutError:
            raise TimedOut(f"The recogniser {self._spec.name} did not load within {_LOAD_LIMIT:.0f} s.") from None
        if not kind:
            raise EngineError(f"The recogniser {self._spec.name} ended while it was loading; see its messages above.")
        if kind != wire.READY:
            raise ConfigError(json.loads(body)["message"])
        self.alive = True

    @property
    def pid(self) -> int:
        """0 before it is started."""
        return self._process.pid if self._process else 0

    def start(self, language: str, hot_words: Sequence[str]) -> None:
        """Begin a turn."""
        self._turn += 1
        body = {"turn": self._turn, "language": language, "hot_words": list(hot_words)}
        self._write(wire.START, json.dumps(body).encode())

    async def feed(self, pcm: bytes) -> None:
        """Hand over audio; waits while the pipe is full."""
        self._write(wire.AUDIO, pcm)
        assert self._process
        assert self._process.stdin
        with contextlib.suppress(ConnectionError):
            await self._process.stdin.drain()

    def finish(self) -> None:
        """Ask for the final transcript."""
        self._write(wire.FINISH)

    def abandon(self) -> None:
        """Leave the turn as it is."""
        self._write(wire.ABANDON)

    async def transcript(self) -> Transcript:
        """The turn's next transcript. EngineError when the engine fails or the process ends."""
        while True:
            kind, body = await self._messages.get()
            if not kind:
                raise EngineError(_LOST)
            message = json.loads(body)
            if message["turn"] != self._turn:
                continue
            if kind == wire.TRANSCRIPT:
                return from_json(message["transcript"])
            raise EngineError(f"The recogniser {self._spec.name} failed: {message['message']}")

    async def close(self, *, kill: bool = False) -> None:
        """End the child, and wait until it is gone."""
        self.alive = False
        process = self._process
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        if kill and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        try:
            async with asyncio.timeout(_QUIT_LIMIT):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if self._reading:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        process._transport.close()  # type: ignore[attr-defined]  # nothing public closes its pipes at once

    def _write(self, kind: bytes, body: bytes = b"") -> None:
        assert self._process
        assert self._process.stdin
        if not self._process.stdin.is_closing():
            self._process.stdin.write(wire.pack(kind, body))

    async def _read(self) -> None:
        """Read messages until the process ends, so that nobody who waits for one can cut it in half."""
        assert self._process
        assert self._process.stdout
        source = self._process.stdout
        try:
            while True:
                kind, size = wire.HEADER.unpack(await source.readexactly(wire.HEADER.size))
                self._messages.put_nowait((kind, await source.readexactly(size)))
        except asyncio.IncompleteReadError:
            self.alive = False
            self._messages.put_nowait((b"", b""))


def _environment(python: str) -> dict[str, str] | None:
    """Another environment's interpreter finds Parley's own modules, which need no more than numpy there."""
    if not python:
        return None
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


class ProcessPool:
    """Lends decoder processes to turns, first come, first served."""

    def __init__(self, spec: DecoderSpec, size: int, max_waiting: int) -> None:
        self._spec, self._size, self._max_waiting = spec, size, max_waiting
        self._idle: list[DecoderProcess] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._lent: set[DecoderProcess] = set()
        self._places = size
        self._closed = False

    @property
    def processes(self) -> list[DecoderProcess]:
        """Those that are loaded."""
        return [*self._idle, *self._lent]

    async def take(self) -> DecoderProcess:
        """Wait for a decoder. CapacityError at once when too many turns wait already."""
        if self._closed:
            raise EngineError("The recogniser is shut down.")
        if self._places == 0 or self._waiting:
            await self._wait()
        else:
            self._places -= 1
        process: DecoderProcess | None = None
        try:
            while self._idle:
                process = self._idle.pop()
                if process.alive:
                    break
                await process.close()
                process = None
            if process is None:
                process = DecoderProcess(self._spec)
                await process.open()
        except BaseException:
            self._vacate()
            if process is not None:
                await process.close(kill=True)
            raise
        self._lent.add(process)
        return process

    async def give(self, process: DecoderProcess, *, usable: bool) -> None:
        """Take a decoder back; one that is not usable any more is ended."""
        self._lent.discard(process)
        if usable and process.alive and not self._closed:
            self._idle.append(process)
            self._vacate()
            return
        self._vacate()
        await process.close(kill=True)

    async def aclose(self) -> None:
        """End every process."""
        self._closed = True
        processes, self._idle, self._lent = self.processes, [], set()
        await asyncio.gather(*(process.close(kill=True) for process in processes))

    async def _wait(self) -> None:
        if len(self._waiting) >= self._max_waiting:
            raise CapacityError(
                f"{len(self._waiting)} turns are waiting for the recogniser {self._spec.name}; try again in a moment, "
                "or raise asr.decoders."
            )
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._vacate()
            else:
                with contextlib.suppress(ValueError):
                    self._waiting.remove(place)
            raise

    def _vacate(self) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._places += 1


class ProcessRecognizer:
    """A Recognizer whose engine lives in decoder processes."""

    def __init__(self, spec: DecoderSpec, settings: AsrSettings) -> None:
        self._settings = settings
        self.pool = ProcessPool(spec, settings.decoders, settings.max_waiting)

    async def transcribe(
        self, audio: AsyncIterable[AudioFrame], *, language: str = "", hot_words: Sequence[str] = ()
    ) -> AsyncGenerator[Transcript, None]:
        """Hear one turn. See :class:`parley.interfaces.Recognizer`."""
        results: asyncio.Queue[Transcript | BaseException] = asyncio.Queue()
        words = (*self._settings.hot_words, *hot_words)
        task = asyncio.create_task(self._hear(audio, language or self._settings.language, words, results))
        try:
            while True:
                result = await results.get()
                if isinstance(result, BaseException):
                    raise result
                yield result
                if result.final:
                    return
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def aclose(self) -> None:
        """End the processes; turns that are being heard fail."""
        await self.pool.aclose()

    async def _hear(
        self,
        audio: AsyncIterable[AudioFrame],
        language: str,
        hot_words: Sequence[str],
        results: asyncio.Queue[Transcript | BaseException],
    ) -> None:
        frames: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        collecting = asyncio.create_task(self._collect(audio, frames))
        try:
            process = await self.pool.take()
            usable = False
            try:
                await self._follow(process, language, hot_words, frames, results)
                usable = True
            except asyncio.CancelledError:
                process.abandon()
                usable = True
                raise
            finally:
                await self.pool.give(process, usable=usable)
        except Exception as error:  # noqa: BLE001 - whatever it is, the reader of the results has to know
            results.put_nowait(error)
        finally:
            collecting.cancel()
            await asyncio.gather(collecting, return_exceptions=True)

    async def _collect(self, audio: AsyncIterable[AudioFrame], frames: asyncio.Queue[bytes | Exception | None]) -> None:
        """Keep the turn's audio, within its bound, until a decoder wants it."""
        room = int(self._settings.max_turn * RATE)
        try:
            async for frame in audio:
                if frame.sample_rate != RATE:
                    raise InvalidRequest(f"The recogniser hears audio at {RATE} Hz, not at {frame.sample_rate} Hz.")
                room -= frame.samples
                if room < 0:
                    break
                frames.put_nowait(frame.pcm)
        except Exception as error:  # noqa: BLE001 - the source's failure is the turn's
            frames.put_nowait(error)
        frames.put_nowait(None)

    async def _follow(
        self,
        process: DecoderProcess,
        language: str,
        hot_words: Sequence[str],
        frames: asyncio.Queue[bytes | Exception | None],
        results: asyncio.Queue[Transcript | BaseException],
    ) -> None:
        process.start(language, hot_words)
        feeding = asyncio.create_task(self._feed(process, frames))
        try:
            while True:
                transcript = await self._next(process, feeding)
                results.put_nowait(transcript)
                if transcript.final:
                    return
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)

    async def _feed(self, process: DecoderProcess, frames: asyncio.Queue[bytes | Exception | None]) -> None:
        while (pcm := await frames.get()) is not None:
            if isinstance(pcm, Exception):
                raise pcm
            await process.feed(pcm)
        process.finish()

    async def _next(self, process: DecoderProcess, feeding: asyncio.Task[None]) -> Transcript:
        """The next transcript; bounded in time once all audio has been handed over."""
        reading = asyncio.create_task(process.transcript())
        try:
            if not feeding.done():
                await asyncio.wait((reading, feeding), return_when=asyncio.FIRST_COMPLETED)
            if feeding.done():
                feeding.result()
            async with asyncio.timeout(self._settings.final_timeout):
                return await reading
        except TimeoutError:
            raise TimedOut(
                f"The final transcript did not come within {self._settings.final_timeout:g} s of the turn's end."
            ) from None
        finally:
            if not reading.done():
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
