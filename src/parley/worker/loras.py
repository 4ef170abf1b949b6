"""The LoRAs of one model in memory: read when somebody wants to speak with one, dropped while others go on."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from parley import clock
from parley.errors import CapacityError, ParleyError, PreconditionFailed, UnavailableError
from parley.rpc.values import ModelStatus
from parley.values import with_lora
from parley.worker.lora_table import LoraTable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path
    from typing import Any

    from parley.rpc.values import ModelState
    from parley.values import ModelInfo
    from parley.worker.job import Engine

_log = logging.getLogger(__name__)
MOST = 8


class Loras:
    """On all engines of a model, or on none. One comes or goes at a time; texts are spoken meanwhile."""

    def __init__(self, model_id: str, engines: Sequence[Engine]) -> None:
        self.table = LoraTable(MOST)
        self.changed: Callable[[], None] = _nothing
        """Called when one has come or gone."""
        self._model_id, self._engines = model_id, engines
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading = ""
        """The tag that engines are reading."""
        self._unread: ParleyError | None = None
        """Why one of them had it and has it no longer."""
        for engine in engines:
            engine.lora_lost = self._lost

    async def use(self, name: str, folder: Path) -> None:
        """Somebody speaks with it until :meth:`leave`. Raises ConfigError, CapacityError or EngineError."""
        self.table.enter(clock.now(), name)
        try:
            await self._finished(self._bring(name, folder))
        except BaseException:  # our own code, a cancelled caller among it: nobody speaks with it after all
            self.leave(name)
            raise

    def leave(self, name: str) -> None:
        """Somebody no longer speaks with it."""
        self.table.leave(clock.now(), name)

    def begin(self, name: str) -> str:
        """An utterance begins; returns what the engines call the LoRA that it is spoken with until :meth:`end`."""
        return self.table.begin(name)

    def end(self, tag: str) -> None:
        """An utterance has ended: what only it was still spoken with goes."""
        if self.table.end(tag):
            self._spawn(self._forget(tag))

    async def reload(self, name: str, folder: Path) -> None:
        """Read one again, for the utterances that begin from then on; what was serving stays when that fails."""
        await self._finished(self._bring(name, folder, again=True))

    async def drop(self, name: str) -> int:
        """Take one out of memory; returns the bytes that it took. Raises PreconditionFailed while it is used."""
        before = self.table.size
        if users := self.table.users(name):
            raise PreconditionFailed(
                f"The LoRA {with_lora(self._model_id, name)} is in use by {users} session{'s' * (users != 1)}."
            )
        await self._finished(self._remove(name))
        return max(0, before - self.table.size)

    async def follow(self, other: Loras, folder_of: Callable[[str], Path | None]) -> None:
        """Take those over that ``other``, the same model before it was read again, has in memory."""
        for name in other.table.names:
            folder = folder_of(name)
            try:
                if folder is not None:
                    await self._finished(self._bring(name, folder))
                    self.table.pin(name, other.table.pinned(name))
            except ParleyError as error:
                model_id = with_lora(self._model_id, name)
                _log.warning("a LoRA is gone with its model", extra={"model": model_id, "reason": error.message})

    def sweep(self) -> None:
        """Those that nobody has spoken with for too long go."""
        for name in self.table.idle(clock.now()):
            self._spawn(self._remove(name, only_idle=True))

    async def aclose(self) -> None:
        """The engines end: nothing is begun any more."""
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- inside ---

    async def _finished(self, work: Coroutine[Any, Any, None]) -> None:
        """Whoever asked may leave without the work being cut off half-way."""
        task = self._spawn(work)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
            raise UnavailableError(f"The model {self._model_id} has been unloaded.") from None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:  # told to whoever waits; nobody may
            _log.debug("a LoRA could not be changed", extra={"model": self._model_id})

    async def _bring(self, name: str, folder: Path, *, again: bool = False) -> None:
        async with self._one_at_a_time:
            if self.table.ready(name) and not again:
                return
            leaving = self.table.room(name)
            if leaving is None:
                raise CapacityError(
                    f"The model {self._model_id} has {self.table.most} LoRAs in memory, all of them in use or pinned; "
                    "raise worker.models.lora_cap, or end a session that speaks with another.",
                    retry_after=1.0,
                )
            if leaving:
                await self._drop(leaving)
            await self._load(name, folder)
        self.changed()

    async def _load(self, name: str, folder: Path) -> None:
        """Beside what serves now, which is touched once this one is there on all engines."""
        tag = self._reading = self.table.new_tag(name)
        self._unread = None
        results = await asyncio.gather(
            *(engine.load_lora(tag, folder) for engine in self._engines), return_exceptions=True
        )
        failures = [result for result in (*results, self._unread) if isinstance(result, BaseException)]
        if failures:
            await asyncio.gather(*(engine.drop_lora(tag) for engine in self._engines), return_exceptions=True)
            raise failures[0]
        size = sum(size for size in results if isinstance(size, int))
        if leaving := self.table.loaded(clock.now(), name, size, tag):
            await self._forget(leaving)

    def _lost(self, tag: str, error: ParleyError) -> None:
        """An engine that was started again could not read one again: nobody may count on it."""
        if tag == self._reading:
            self._unread = error
        name = self.table.named(tag)
        if not name:
            return
        model_id = with_lora(self._model_id, name)
        _log.warning("a LoRA is gone with its engine", extra={"model": model_id, "reason": error.message})
        if leaving := self.table.retire(name):
            self._spawn(self._forget(leaving))
        if not self.table.users(name):
            self.table.gone(name)
        self.changed()

    async def _forget(self, tag: str) -> None:
        await asyncio.gather(*(engine.drop_lora(tag) for engine in self._engines), return_exceptions=True)
        self.changed()

    async def _remove(self, name: str, *, only_idle: bool = False) -> None:
        async with self._one_at_a_time:
            if not self.table.ready(name) or (only_idle and name not in self.table.idle(clock.now())):
                return
            await self._drop(name)
        self.changed()

    async def _drop(self, name: str) -> None:
        if tag := self.table.gone(name):
            await asyncio.gather(*(engine.drop_lora(tag) for engine in self._engines))


def lora_status(
    info: ModelInfo, table: LoraTable | None, lora: str, *, pinned: bool = False, is_default: bool = False
) -> ModelStatus:
    """Where one is in its life; ``table`` is that of its model, None where that is not in memory."""
    there = table is not None and table.ready(lora)
    users = table.users(lora) if table is not None else 0
    state: ModelState = "resident" if there else "loading" if users else "available"
    pinned = pinned or (table is not None and table.pinned(lora))
    return ModelStatus(info, state, users, pinned, is_default)


def _nothing() -> None:
    """Nobody announces this worker."""
