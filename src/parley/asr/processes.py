"""A recogniser over decoder processes that all open turns share: ``sharing`` says who is heard next.

Processes are started when they are needed, up to a bound. One that dies or hangs is replaced, and what it had
heard of its turn is given to the next.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parley import clock, tracing
from parley.asr import wire as ask
from parley.asr.decoder import RATE, Cut, from_json
from parley.asr.decoding import Decoding
from parley.asr.sharing import Leave, Listen, Pace, Sharing
from parley.asr.stretches import Stretches
from parley.asr.workload import Workload
from parley.children import wire
from parley.children.process import ChildGone, ChildProcess
from parley.errors import CapacityError, ConfigError, EngineError, InvalidRequest, ParleyError, UnavailableError

if TYPE_CHECKING:
    from parley.asr.decoder import DecoderSpec
    from parley.asr.settings import AsrSettings
    from parley.audio.frame import AudioFrame
    from parley.values import Transcript

_log = logging.getLogger(__name__)
_LOAD_LIMIT = 300.0
_MOST_DEATHS = 3
"""Processes that may die over one turn; then it is what is said, or how, that kills them."""


@dataclass(slots=True)
class _Memory:
    """What decoders have learnt of one session's microphone."""

    state: str = ""


class DecoderProcess:
    """One child and its decoder. Every method raises ChildGone when it has died, or taken too long."""

    def __init__(self, spec: DecoderSpec, limit: float, threads: ThreadPoolExecutor) -> None:
        self._spec, self._limit, self._threads = spec, limit, threads
        self._child: ChildProcess | None = None

        self.last = 0.0
        """Seconds that the child worked on the last question, by its own clock."""

    @property
    def pid(self) -> int:
        """0 while there is none."""
        return self._child.pid if self._child else 0

    async def open(self) -> None:
        """Have a child whose engine is loaded. ConfigError says what is missing."""
        if self._child is not None:
            return
        self._child = child = await self._spawn()
        try:
            await self._ask(ask.LOAD, json.dumps({"copies": self._spec.copies}).encode(), limit=_LOAD_LIMIT)
        except ChildGone as gone:
            raise EngineError(f"The recogniser {self._spec.name} ended while it was loading ({gone}).") from None
        except ParleyError as error:
            self._child = None
            await asyncio.to_thread(child.close)
            raise ConfigError(error.message) from None

    async def _spawn(self) -> ChildProcess:
        arguments = json.dumps({"target": self._spec.target, "arguments": self._spec.arguments})
        starting = asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: ChildProcess("parley.asr.child", (arguments,), python=self._spec.python)
        )
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            child = await starting
            child.kill()
            child.close()
            raise

    def has(self, turn: _Turn) -> bool:
        """Whether it has heard what there was of this turn."""
        return self._child is not None and turn.child is self._child

    async def start(self, turn: _Turn, still_open: Iterable[int]) -> None:
        """Begin a turn, or its next stretch."""
        body = ask.pack_start(turn.number, turn.language, turn.memory.state, still_open, turn.hot_words)
        await self._ask(ask.START, body)
        turn.child = self._child

    async def feed(self, turn: _Turn, pcm: bytes) -> Transcript | None:
        said = (await self._ask(ask.FEED, ask.pack_audio(turn.number, pcm)))["transcript"]
        return from_json(said) if said is not None else None

    async def pause(self, turn: _Turn) -> Transcript:
        """All that was understood so far."""
        return from_json((await self._ask(ask.PAUSE, json.dumps({"turn": turn.number}).encode()))["transcript"])

    async def finish(self, turn: _Turn) -> tuple[Transcript, str]:
        """The final transcript, and what has been learnt of the microphone."""
        said = await self._ask(ask.FINISH, json.dumps({"turn": turn.number}).encode())
        return from_json(said["transcript"]), said["memory"]

    async def cut(self, turn: _Turn) -> tuple[Cut, str]:
        """What is certain, and what has been learnt."""
        said = await self._ask(ask.CUT, json.dumps({"turn": turn.number}).encode())
        turn.child = None
        return Cut(from_json(said["transcript"]), said["samples"]), said["memory"]

    def kill(self) -> None:
        """End the child; whoever waits for it hears of it."""
        if self._child is not None:
            self._child.kill()

    async def aclose(self) -> None:
        """End the child, and wait until it is gone."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            await asyncio.to_thread(child.close)

    async def _ask(self, kind: bytes, body: bytes = b"", *, limit: float = 0.0) -> Any:
        child = self._child
        assert child is not None
        try:
            said, answer = await asyncio.get_running_loop().run_in_executor(
                self._threads, lambda: child.ask(kind, body, limit=limit or self._limit)
            )
        except ChildGone:
            child.close()  # it has ended: nothing to wait for
            self._child = None
            raise
        if said == ask.FAILED:
            error = wire.unpack_error(answer)
            assert error is not None
            raise error
        read = json.loads(answer) if answer else None
        self.last = read.get("seconds", 0.0) if read else 0.0
        return read


class _Turn:
    """One open turn, between the audio that comes and whoever reads its transcripts."""

    def __init__(
        self, number: int, language: str, memory: _Memory, longest: int, hot_words: Sequence[str] = ()
    ) -> None:
        self.number, self.language, self.memory, self.hot_words = number, language, memory, hot_words
        self.audio = Stretches()
        self.child: ChildProcess | None = None
        """Which has heard what there was of it."""
        self.deaths = 0
        self.speaking = True
        self.room = longest
        """Samples that may still come."""
        self.work = Decoding()
        self._partial: Transcript | None = None
        self._end: asyncio.Future[Transcript] = asyncio.get_running_loop().create_future()
        self._news = asyncio.Event()

    def decoded(self, what: str, decoder: DecoderProcess) -> None:
        """Somebody worked on it until now."""
        self.work.add(what, decoder.last, decoder.pid)

    def tell(self, said: Transcript) -> None:
        """A partial transcript that is not read before the next one comes is not read at all."""
        self._partial = self.audio.whole(said)
        self._news.set()

    def end(self, said: Transcript) -> None:
        if not self._end.done():
            self._end.set_result(self.audio.whole(said))
        self._news.set()

    def fail(self, error: Exception) -> None:
        if not self._end.done():
            self._end.set_exception(error)
            self._end.exception()  # nobody may be reading any more
        self._news.set()

    async def transcripts(self) -> AsyncGenerator[Transcript, None]:
        while not self._end.done():
            self._news.clear()
            partial, self._partial = self._partial, None
            if partial is not None:
                yield partial
            else:
                await self._news.wait()
        yield self._end.result()


def _pace(spec: DecoderSpec) -> Pace:
    """Copies keep their turns, however long; who has settled a turn at a pause is spared the silence."""
    return Pace(longest=0 if spec.copies else Pace().longest, silence=not spec.settles)


class ProcessRecognizer:
    """A Recognizer whose engine lives in decoder processes."""

    def __init__(self, spec: DecoderSpec, settings: AsrSettings) -> None:
        self._spec, self._settings = spec, settings
        self._threads = ThreadPoolExecutor(settings.decoders, thread_name_prefix=f"asr-{spec.name}")
        self._sharing = Sharing(settings.decoders, _pace(spec))
        self._turns: dict[int, _Turn] = {}
        self._number = 0
        self._decoders: list[DecoderProcess] = []
        self._serving: list[asyncio.Task[None]] = []
        self._work = asyncio.Event()
        self._closed = False
        self.deaths = 0
        """Processes that died or hung over a turn."""
        self._busy = 0

    def transcribe(self, audio: AsyncIterable[AudioFrame], *, language: str = "") -> AsyncGenerator[Transcript, None]:
        """Hear one turn of somebody unknown. See :class:`parley.interfaces.Recognizer`."""
        return self.for_session().transcribe(audio, language=language)

    def for_session(self, hot_words: Sequence[str] = ()) -> _SessionEars:
        """With a memory and hot words of its own."""
        return _SessionEars(self, hot_words)

    @property
    def spec(self) -> DecoderSpec:
        """How its processes make their decoders: for whoever wants to hear one alone."""
        return self._spec

    @property
    def workload(self) -> Workload:
        """What there is to do (``workload.Working``)."""
        waiting = [self._sharing.waiting(number) / RATE for number in self._turns]
        return Workload(
            len(waiting), sum(waiting), max(waiting, default=0.0), len(self.pids), self._busy, self.deaths
        )  # fmt: skip

    @property
    def pids(self) -> list[int]:
        """Of the processes that run."""
        return [decoder.pid for decoder in self._decoders if decoder.pid]

    async def aclose(self) -> None:
        """End the processes; turns that are being heard fail."""
        self._closed = True
        for turn in self._turns.values():
            turn.fail(UnavailableError("The recogniser is shut down."))
        for decoder in self._decoders:
            decoder.kill()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await asyncio.gather(*(decoder.aclose() for decoder in self._decoders))
        self._threads.shutdown(wait=False)

    async def hear(
        self, audio: AsyncIterable[AudioFrame], language: str, memory: _Memory, hot_words: Sequence[str] = ()
    ) -> AsyncGenerator[Transcript, None]:
        """Transcripts of one turn; what is learnt of its microphone goes into ``memory``."""
        self._admit()
        self._number += 1
        number, settings = self._number, self._settings
        longest = int(settings.max_turn * RATE)
        turn = self._turns[number] = _Turn(number, language or settings.language, memory, longest, hot_words)
        self._sharing.open(number)
        span = tracing.begin("recogniser", parley__engine=self._spec.name)
        collecting = asyncio.create_task(self._collect(audio, number, turn))
        try:
            async for transcript in turn.transcripts():
                yield transcript
        finally:
            self._close(number)
            collecting.cancel()
            span.note(parley__audio_s=round((longest - max(0, turn.room)) / RATE, 3), **turn.work.summary())
            span.end()
            turn.work.trace(span)
            await asyncio.gather(collecting, return_exceptions=True)

    def _admit(self) -> None:
        if self._closed:
            raise UnavailableError("The recogniser is shut down.")
        limit = self._settings.decoders + self._settings.max_waiting
        if len(self._turns) >= limit:
            raise CapacityError(
                f"The recogniser {self._spec.name} hears {limit} turns already; try again in a moment, "
                "or raise asr.decoders."
            )

    def _close(self, number: int) -> None:
        self._turns.pop(number, None)
        self._sharing.close(number)
        self._wake()

    async def _collect(self, audio: AsyncIterable[AudioFrame], number: int, turn: _Turn) -> None:
        """Keep the turn's audio, within its bound, until a decoder wants it."""
        try:
            async for frame in audio:
                if frame.sample_rate != RATE:
                    raise InvalidRequest(f"The recogniser hears audio at {RATE} Hz, not at {frame.sample_rate} Hz.")
                turn.room -= frame.samples
                if turn.room < 0:
                    break
                turn.audio.add(frame.pcm)
                self._sharing.heard(number, frame.samples)
                if turn.speaking and not frame.speaking:
                    self._sharing.silent(number, clock.now())
                elif frame.speaking and not turn.speaking:
                    self._sharing.goes_on(number)
                turn.speaking = frame.speaking
                self._wake()
        except Exception as error:  # noqa: BLE001  (somebody else's code, the sound's source: it is the turn's)
            self._fail(number, error)
            return
        self._sharing.ended(number, clock.now())
        self._wake()

    # --- decoders ------------------------------------------------------------------------

    def _wake(self) -> None:
        """There may be something to do. One more process is started where all have their hands full."""
        self._work.set()
        if self._closed or len(self._decoders) >= min(self._settings.decoders, self._sharing.wanting):
            return
        decoder = DecoderProcess(self._spec, self._settings.stuck_after, self._threads)
        self._decoders.append(decoder)
        task = asyncio.create_task(self._serve(len(self._serving), decoder))
        task.add_done_callback(self._served)
        self._serving.append(task)

    async def _serve(self, place: int, decoder: DecoderProcess) -> None:
        """Hear turns with one decoder, for ever."""
        while True:
            order = self._sharing.next(place)
            if order is None:
                self._work.clear()
                await self._work.wait()
                continue
            turn = self._turns[order.turn]
            self._busy += 1
            try:
                if isinstance(order, Leave):
                    await self._leave(place, decoder, turn)
                else:
                    await self._listen(decoder, turn, order)
            except ChildGone as gone:
                self._died(turn, str(gone))
            except ParleyError as error:
                self._fail(order.turn, error)
            except Exception as error:  # noqa: BLE001  (our own code: it costs this turn, never the decoder of others)
                _log.error("a turn could not be heard", exc_info=error)
                self._fail(order.turn, EngineError("The recogniser failed at this turn; the server's log says why."))
            finally:
                self._busy -= 1

    async def _listen(self, decoder: DecoderProcess, turn: _Turn, order: Listen) -> None:
        if not decoder.has(turn):
            await decoder.open()
            await self._guarded(decoder.start(turn, self._turns))
        partial: Transcript | None = None
        if order.samples:
            partial = await self._guarded(decoder.feed(turn, turn.audio.take(order.samples)))
            turn.decoded("feed", decoder)
        if order.pause:
            partial = await self._guarded(decoder.pause(turn))
            turn.decoded("pause", decoder)
        if order.turn not in self._turns:  # nobody wants it any more
            return
        if order.last:
            final, turn.memory.state = await self._guarded(decoder.finish(turn))
            turn.decoded("final", decoder)
            turn.end(final)
            self._close(order.turn)
        elif partial is not None:
            turn.tell(partial)

    async def _leave(self, place: int, decoder: DecoderProcess, turn: _Turn) -> None:
        if self._spec.copies:
            self._sharing.left(turn.number, 0, home=place)
            return
        cut, turn.memory.state = await self._guarded(decoder.cut(turn))
        self._sharing.left(turn.number, turn.audio.cut(cut))

    async def _guarded(self, work: Any) -> Any:
        """What the engine says; what it raises is told as its failure."""
        try:
            return await work
        except ParleyError as error:
            raise EngineError(f"The recogniser {self._spec.name} failed: {error.message}") from error

    def _died(self, turn: _Turn, how: str) -> None:
        """Whatever the child had heard, of this turn and of others, is heard again by another one."""
        self.deaths += 1
        turn.deaths += 1
        _log.warning("a recogniser's process ended while it was listening (%s); another one goes on", how)
        for other in self._turns.values():
            if other is turn or (other.child is not None and not other.child.alive):
                other.child = None
                self._sharing.left(other.number, other.audio.lost())
        if turn.deaths >= _MOST_DEATHS:
            self._fail(
                turn.number,
                EngineError(
                    f"The recogniser's process ended {turn.deaths} times while it was listening; say it again."
                ),
            )

    def _fail(self, number: int, error: Exception) -> None:
        if (turn := self._turns.get(number)) is not None:
            turn.fail(error)
            self._close(number)

    def _served(self, task: asyncio.Task[None]) -> None:
        """A fault of our own ends every turn loudly: nobody would be heard any more."""
        if not task.cancelled() and (error := task.exception()) is not None:
            assert isinstance(error, Exception)
            for number in list(self._turns):
                self._fail(number, error)
            raise error


class _SessionEars:
    """The recogniser as one session has it: what is learnt of its microphone stays here."""

    def __init__(self, shared: ProcessRecognizer, hot_words: Sequence[str] = (), memory: _Memory | None = None) -> None:
        self._shared, self._hot_words = shared, tuple(hot_words)
        self._memory = memory or _Memory()

    def transcribe(self, audio: AsyncIterable[AudioFrame], *, language: str = "") -> AsyncGenerator[Transcript, None]:
        return self._shared.hear(audio, language, self._memory, self._hot_words)

    def for_session(self, hot_words: Sequence[str] = ()) -> _SessionEars:
        return _SessionEars(self._shared, hot_words, self._memory)

    async def aclose(self) -> None:
        """Left to whoever made the recogniser."""
