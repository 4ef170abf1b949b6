"""An engine in a child process: for libraries that are not re-entrant, never give memory back, or exit.

One thread per child owns it: starts it, gives it one text at a time, reads its audio. When the
child dies, the text that it was speaking fails, a new child is started and the queue goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from parley.children.backoff import Backoff
from parley.children.process import ChildGone, ChildProcess
from parley.errors import EngineError, ParleyError, UnavailableError
from parley.interfaces import TtsAdapter
from parley.worker import engine_wire as say
from parley.worker.job import Job, take_next
from parley.worker.memory import process_memory

if TYPE_CHECKING:
    from pathlib import Path

    from parley.values import WordMarks

LOAD_LIMIT = 300.0
"""Seconds that loading may take before the child is ended."""
_RESTART_PAUSE = 2.0
"""Seconds before another start is tried when the last one failed; then twice as many, and so on."""

_DROPS = (say.DROP_LORA, say.DROP_VOICE)


class _Change:
    """A LoRA or a voice that is to come or go."""

    def __init__(self, kind: bytes, name: str, payload: bytes, loop: asyncio.AbstractEventLoop) -> None:
        self.kind, self.name, self.payload = kind, name, payload
        self.answer: asyncio.Future[int] = loop.create_future()
        self._loop = loop

    def settle(self, size: int, error: ParleyError | None) -> None:
        """Tell whoever waits; called on the engine's thread."""
        with contextlib.suppress(RuntimeError):  # the loop may be gone; then nobody waits
            self._loop.call_soon_threadsafe(self._settle, size, error)

    def _settle(self, size: int, error: ParleyError | None) -> None:
        if self.answer.done():
            return
        if error is None:
            self.answer.set_result(size)
        else:
            self.answer.set_exception(error)


class ProcessEngine:
    """Runs one adapter, which must be picklable before it is loaded, in a process of its own.

    ``python``: the interpreter of the environment that its library lives in; empty for this one.
    """

    def __init__(self, adapter: TtsAdapter, python: str = "") -> None:
        self._name = adapter.info.model_id
        self._python = python
        self._pickled = say.pack_adapter(adapter)
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._current: Job | None = None
        self._number = 0
        self._cancelled = 0
        self._closed = False
        self._child: ChildProcess | None = None
        self._dead = False
        self._backoff = Backoff(_RESTART_PAUSE, 60.0)
        self._not_before = 0.0
        self._thread: threading.Thread | None = None
        self._memory = 0
        self._marks: WordMarks = adapter.info.word_marks
        self._changes: deque[_Change] = deque()
        self._asked: _Change | None = None
        """The change that the child has been told of and has not answered."""
        self._loras: dict[str, bytes] = {}
        """Those that a child has to be given anew."""
        self.restarts = 0
        """How often the child was started again after it had died."""
        self.lora_lost: Callable[[str, ParleyError], None] = lambda name, error: None
        """Called on the event loop with a LoRA that a child which was started again could not read, and why."""
        self._loop: asyncio.AbstractEventLoop | None = None

    async def load(self) -> None:
        """Start the child and load the adapter in it. Raises what the adapter raises."""
        loop = self._loop = asyncio.get_running_loop()
        loaded: asyncio.Future[ParleyError | None] = loop.create_future()

        def settle(error: ParleyError | None) -> None:
            if not loaded.done():
                loaded.set_result(error)

        def report(error: ParleyError | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop may be gone; then nobody waits
                loop.call_soon_threadsafe(settle, error)

        self._thread = threading.Thread(target=self._run, args=(report,), name=f"engine-{self._name}", daemon=True)
        self._thread.start()
        try:
            error = await asyncio.shield(loaded)
        except BaseException:  # our own code, a cancelled load: the child is not left alone
            await asyncio.shield(self.unload())
            raise
        if error is not None:
            raise error

    def submit(self, job: Job) -> None:
        with self._changed:
            if not self._closed:
                self._waiting.append(job)
                self._changed.notify()
                return
        job.finished(_unloaded(self._name))

    def wake(self) -> None:
        with self._changed:
            self._changed.notify()
            job = self._current
            if job is not None and job.cancelled:
                self._cancel_current()

    async def load_lora(self, name: str, folder: Path) -> int:
        return await self._change(say.TAKE_LORA, name, say.pack_lora(name, folder))

    async def drop_lora(self, name: str) -> None:
        await self._change(say.DROP_LORA, name, name.encode())

    async def take_voice(self, name: str) -> None:
        await self._change(say.TAKE_VOICE, name, name.encode())

    async def drop_voice(self, name: str) -> None:
        await self._change(say.DROP_VOICE, name, name.encode())

    async def _change(self, kind: bytes, name: str, payload: bytes) -> int:
        change = _Change(kind, name, payload, asyncio.get_running_loop())
        with self._changed:
            if self._closed:
                raise _unloaded(self._name)
            self._changes.append(change)
            self._changed.notify()
        return await asyncio.shield(change.answer)

    @property
    def load_factor(self) -> int:
        return len(self._waiting) + (self._current is not None)

    @property
    def memory_bytes(self) -> int:
        return self._memory

    @property
    def word_marks(self) -> WordMarks:
        return self._marks

    @property
    def pid(self) -> int:
        """Of the child; 0 when there is none."""
        return self._child.pid if self._child is not None else 0

    async def unload(self) -> None:
        """End the child, fail what is left."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            child = self._child
            if child is not None and self._current is not None:
                child.kill()  # its audio is not wanted, and it may not come to look at its orders for long
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    # --- on the thread ---

    def _run(self, report: Callable[[ParleyError | None], None]) -> None:
        error = self._start()
        if error is not None:
            self._closed = True
        report(error)
        while (task := self._next()) is not None:
            if isinstance(task, _Change):
                self._obey(task)
            else:
                self._serve(task)
        self._end_child()
        while self._waiting:
            self._waiting.popleft().finished(_unloaded(self._name))
        for change in filter(None, (self._asked, *self._changes)):
            change.settle(0, _unloaded(self._name))

    def _next(self) -> Job | _Change | None:
        """Wait for something to do; restart a child that died while it was idle. None when the engine is to end."""
        while True:
            with self._changed:
                while not self._waiting and not self._changes and not self._closed and not self._may_restart():
                    self._changed.wait(self._not_before - time.perf_counter() if self._dead else None)
                if self._closed:
                    return None
                if self._changes:
                    return self._changes.popleft()
                job = take_next(self._waiting) if self._waiting else None
                self._current = job
            if job is not None:
                return job
            self._restart()

    def _obey(self, change: _Change) -> None:
        """Have the child take or drop a LoRA or a voice while nothing is spoken."""
        if self._dead and change.kind in _DROPS:
            _dropped(change, self._loras)
            return
        error = self._restart() if self._dead else None
        if error is not None:
            change.settle(0, error)
            return
        child, self._asked = self._child, change
        assert child is not None
        try:
            self._answered(child.ask(change.kind, change.payload, limit=LOAD_LIMIT)[1])
        except ChildGone as gone:
            self._lost(gone)

    def _answered(self, payload: bytes) -> None:
        """The child has answered the change that it was told of."""
        change, self._asked = self._asked, None
        assert change is not None
        size, error = say.unpack_changed(payload)
        if change.kind == say.DROP_LORA:
            self._loras.pop(change.name, None)
        elif error is None and change.kind == say.TAKE_LORA:  # voices lie on the disk, where every child finds them
            self._loras[change.name] = change.payload
        change.settle(size, error)

    def _lost(self, gone: ChildGone) -> None:
        """The child is dead, and with it the answer that was waited for."""
        self._dead = True
        change, self._asked = self._asked, None
        if change is not None and change.kind in _DROPS:
            _dropped(change, self._loras)
        elif change is not None:
            change.settle(0, EngineError(f"The engine process of the model {self._name} died ({gone})."))

    def _may_restart(self) -> bool:
        return self._dead and time.perf_counter() >= self._not_before

    def _restart(self) -> ParleyError | None:
        self.restarts += 1
        began = time.perf_counter()
        error = self._start()
        now = time.perf_counter()
        self._not_before = now + self._backoff.after(now - began) if error is not None else now
        return error

    def _serve(self, job: Job) -> None:
        error: ParleyError | None = None
        if not job.cancelled:
            if self._dead:
                error = self._restart()
            if error is None:
                error = self._speak(job)
        with self._changed:
            self._current = None
        job.finished(error)

    def _speak(self, job: Job) -> ParleyError | None:
        """Let the child speak one text; returns what went wrong."""
        child = self._child
        assert child is not None
        with self._changed:
            self._number += 1
        number = self._number
        job.started(child.pid)
        try:
            child.send(say.SPEAK, say.pack_job(number, job.text, job.voice))
            while self._may_read(job):
                kind, payload = child.receive(limit=LOAD_LIMIT if self._asked is not None else 0.0)
                if kind == say.CHANGED:
                    self._answered(payload)
                    continue
                if kind == say.END:
                    if self._asked is not None:
                        self._answered(child.receive(limit=LOAD_LIMIT)[1])
                    return say.unpack_end(payload)[1]
                _, audio, seconds = say.unpack_audio(payload)
                job.push(audio, seconds)
            return _unloaded(self._name)
        except ChildGone as gone:
            self._lost(gone)
            return EngineError(f"The engine process of the model {self._name} died ({gone}) while it was speaking.")

    def _may_read(self, job: Job) -> bool:
        """Wait until the job wants more, is cancelled or keeps others waiting. False when the engine is to end."""
        with self._changed:
            while not self._closed:
                if job.cancelled:
                    self._cancel_current()
                    return True
                if self._changes and self._asked is None:
                    self._asked = change = self._changes.popleft()
                    assert self._child is not None
                    self._child.send(change.kind, change.payload)
                if self._asked is not None or self._waiting or job.wants_more():
                    return True
                self._changed.wait()
        return False

    def _cancel_current(self) -> None:
        """Tell the child, once, that nobody wants what it is speaking. Holds the lock."""
        child = self._child
        if child is None or self._cancelled >= self._number:
            return
        self._cancelled = self._number
        with contextlib.suppress(ChildGone):
            child.send(say.CANCEL, str(self._number).encode())

    def _start(self) -> ParleyError | None:
        """Start a child and load the adapter in it; returns what went wrong, and then there is no child."""
        self._end_child()
        self._child = child = ChildProcess("parley.worker.engine_child", python=self._python)
        self._number = self._cancelled = 0
        try:
            error, self._marks = say.unpack_ready(child.ask(say.LOAD, self._pickled, limit=LOAD_LIMIT)[1])
            if error is None:
                self._give_loras(child)
        except ChildGone as gone:
            error = EngineError(f"The engine process of the model {self._name} ended while it was loading ({gone}).")
        if error is not None:
            self._end_child()
            self._dead = True
            return error
        self._dead = False
        self._memory = process_memory(child.pid)
        threading.Thread(target=self._watch, args=(child,), name=f"watch-{self._name}", daemon=True).start()
        return None

    def _give_loras(self, child: ChildProcess) -> None:
        """What another child had read; who waits for one that this one can not read is told. Raises ChildGone.

        One that a child dies of is not given to the next one.
        """
        for name, lora in list(self._loras.items()):
            try:
                _, error = say.unpack_changed(child.ask(say.TAKE_LORA, lora, limit=LOAD_LIMIT)[1])
            except ChildGone as gone:
                self._lose(name, EngineError(f"The engine process of the model {self._name} died of it ({gone})."))
                raise
            if error is not None:
                self._lose(name, error)

    def _lose(self, name: str, error: ParleyError) -> None:
        del self._loras[name]
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop may be gone; then nobody counts on it
                self._loop.call_soon_threadsafe(lambda: self.lora_lost(name, error))

    def _watch(self, child: ChildProcess) -> None:
        """Notice when a child dies that nobody is listening to."""
        child.wait()
        with self._changed:
            if child is self._child and not self._closed:
                self._dead = True
                self._changed.notify()

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.close(last_words=say.QUIT)


def _dropped(change: _Change, loras: dict[str, bytes]) -> None:
    """It has gone with its child: no other child is given it."""
    if change.kind == say.DROP_LORA:
        loras.pop(change.name, None)
    change.settle(0, None)


def _unloaded(name: str) -> UnavailableError:
    return UnavailableError(f"The model {name} has been unloaded.")
