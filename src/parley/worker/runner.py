"""An engine on one owned thread: audio is pulled from it chunk by chunk.

The thread always works on the job that has the least audio waiting to be taken, so a new
utterance's first frame comes before another one's tenth second. Nothing is pulled for a job
that has enough; an engine that can speak one text at a time finishes that text all the same when
others wait, so that a held session never blocks another.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parley.errors import EngineError, ParleyError, UnavailableError
from parley.interfaces import TtsAdapter
from parley.values import SynthesizedAudio, WordMarks
from parley.worker.job import Job, take_next
from parley.worker.memory import process_memory

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(slots=True)
class _Active:
    """A job whose text the engine is speaking."""

    job: Job
    audio: Generator[SynthesizedAudio, None, None]


@dataclass(slots=True)
class _Order:
    """Something to do on the thread besides speaking."""

    work: Callable[[], None]
    future: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop
    last: bool = False


class ThreadEngine:
    """Runs one adapter inside this process."""

    def __init__(self, adapter: TtsAdapter, *, name: str = "") -> None:
        self._adapter: Any = adapter
        self._name = name or adapter.info.model_id
        self._concurrency = max(1, adapter.info.concurrency)
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._active: list[_Active] = []
        self._orders: deque[_Order] = deque()
        self._closed = self._ended = False
        self._thread: threading.Thread | None = None
        self._memory = 0
        self._marks: WordMarks = adapter.info.word_marks
        self.lora_lost: Callable[[str, ParleyError], None] = lambda name, error: None
        """Never called: what a thread has read goes with the whole process."""

    async def load(self) -> None:
        """Start the thread and load the adapter on it. Raises what the adapter raises; then the thread is gone."""
        self._thread = threading.Thread(target=self._run, name=f"engine-{self._name}", daemon=True)
        self._thread.start()
        try:
            await self._do(self._load)
        except BaseException:  # somebody else's code, the engine's, or a cancelled load: no thread is left
            with contextlib.suppress(Exception):  # somebody else's code, as above: why it could not be loaded says more
                await asyncio.shield(self.unload())
            raise

    def submit(self, job: Job) -> None:
        with self._changed:
            if not self._closed:
                self._waiting.append(job)
                self._changed.notify()
                return
        job.finished(UnavailableError(f"The model {self._name} has been unloaded."))

    def wake(self) -> None:
        with self._changed:
            self._changed.notify()

    @property
    def load_factor(self) -> int:
        return len(self._waiting) + len(self._active)

    @property
    def memory_bytes(self) -> int:
        return self._memory

    @property
    def word_marks(self) -> WordMarks:
        return self._marks

    async def load_lora(self, name: str, folder: Path) -> int:
        sizes: list[int] = []
        await self._do(lambda: sizes.append(self._adapter.load_lora(name, folder)))
        return sizes[0]

    async def drop_lora(self, name: str) -> None:
        await self._do(lambda: self._adapter.drop_lora(name))

    async def take_voice(self, name: str) -> None:
        await self._do(lambda: self._adapter.take_voice(name))

    async def drop_voice(self, name: str) -> None:
        await self._do(lambda: self._adapter.drop_voice(name))

    async def unload(self) -> None:
        """Stop what is spoken, unload the adapter on its thread, end the thread. Raises what the adapter raises."""
        if self._closed or self._thread is None:
            return
        with self._changed:
            self._closed = True
        try:
            await self._do(self._unload, last=True)
        finally:
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    async def _do(self, work: Callable[[], None], *, last: bool = False) -> None:
        loop = asyncio.get_running_loop()
        order = _Order(work, loop.create_future(), loop, last)
        with self._changed:
            if self._ended:
                raise UnavailableError(f"The model {self._name} has been unloaded.")
            self._ended = last
            self._orders.append(order)
            self._changed.notify()
        await asyncio.shield(order.future)

    # --- on the thread ---

    def _run(self) -> None:
        while True:
            task = self._next()
            if isinstance(task, _Order):
                self._obey(task)
                if task.last:
                    return
            else:
                self._step(task)

    def _next(self) -> _Order | _Active:
        """Wait for something to do. Orders first, then cancelled jobs, then the hungriest one."""
        with self._changed:
            while True:
                if self._orders:
                    return self._orders.popleft()
                active = self._hungriest()
                if active is not None:
                    return active
                self._changed.wait()

    def _hungriest(self) -> _Active | None:
        if self._waiting and any(job.cancelled for job in self._waiting):
            for job in [job for job in self._waiting if job.cancelled]:
                self._waiting.remove(job)
                job.finished(None)
        for active in self._active:
            if active.job.cancelled:
                return active
        if self._waiting and len(self._active) < self._concurrency:
            return self._begin()
        ready = [active for active in self._active if self._waiting or active.job.wants_more()]
        if len(ready) < 2:
            return ready[0] if ready else None
        return min(ready, key=lambda active: active.job.ahead())

    def _begin(self) -> _Active:
        job = take_next(self._waiting)
        active = _Active(job, self._adapter.synthesize(job.text, voice=job.voice))
        self._active.append(active)
        job.started()
        return active

    def _step(self, active: _Active) -> None:
        """Pull one chunk and pass it on."""
        if active.job.cancelled:
            self._end(active, None)
            return
        began = time.perf_counter()
        try:
            audio = next(active.audio, None)
        except ParleyError as error:
            self._end(active, error)
        except Exception as error:  # noqa: BLE001  (somebody else's code, an engine's: only its own job may suffer)
            self._end(active, EngineError(f"The model {self._name} failed while speaking: {error!r}."))
        else:
            if audio is None:
                self._end(active, None)
            else:
                active.job.push(audio, time.perf_counter() - began)

    def _end(self, active: _Active, error: ParleyError | None) -> None:
        self._active.remove(active)
        with contextlib.suppress(Exception):  # somebody else's code: the job has ended, whatever the engine says
            active.audio.close()
        active.job.finished(error)

    def _obey(self, order: _Order) -> None:
        error: BaseException | None = None
        try:
            order.work()
        except Exception as caught:  # noqa: BLE001  (somebody else's code: told to whoever gave the order)
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop may be gone; then nobody waits
            order.loop.call_soon_threadsafe(_settle, order.future, error)

    def _load(self) -> None:
        before = process_memory()
        try:
            self._adapter.load()
        except ParleyError:
            raise
        except Exception as error:  # somebody else's code: an engine may raise anything while it loads
            raise EngineError(f"The model {self._name} can not be loaded: {error!r}.") from error
        self._memory = max(0, process_memory() - before)
        self._marks = self._adapter.info.word_marks

    def _unload(self) -> None:
        gone = UnavailableError(f"The model {self._name} has been unloaded.")
        for active in list(self._active):
            self._end(active, gone)
        while self._waiting:
            self._waiting.popleft().finished(gone)
        adapter, self._adapter = self._adapter, None  # whatever unload() leaves behind dies with it
        adapter.unload()


def _settle(future: asyncio.Future[Any], error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
