"""Models in memory: carries out what ``residency`` decides, off the event loop.

All state lives on the event loop. Loads and unloads run as tasks of the manager, so that whoever
asked for a model may leave without the load being cut off half-way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from parley import clock
from parley.errors import EngineError, NotFound, ParleyError
from parley.rpc.values import ModelState, ModelStatus
from parley.text.speech.lexicon import lexicon_of
from parley.values import ModelInfo, split_lora, with_lora
from parley.worker import adapters
from parley.worker.engine_pool import EnginePool, build_pool
from parley.worker.gate import Gate
from parley.worker.head_start import is_slow
from parley.worker.lora_table import LoraTable
from parley.worker.loras import lora_status
from parley.worker.memory import process_memory, release_memory
from parley.worker.refusals import not_freed, refusal, shutting_down
from parley.worker.residency import (
    Action,
    Counters,
    Grant,
    Instance,
    Refuse,
    Residency,
    ResidencyLimits,
    StartLoad,
    StartUnload,
)  # fmt: skip
from parley.worker.settings import ModelSettings, SynthesisSettings
from parley.worker.tickets import Tickets
from parley.worker.voicepacks import AUTO, Catalog

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Lease:
    """A claim on a model in memory: it stays until :meth:`release`."""

    model_id: str
    owner: str
    pool: EnginePool
    _manager: ModelManager
    _ticket: int
    lora: str = ""
    """Which stays in memory as well."""

    async def put_on(self, lora: str, folder: Path) -> None:
        """Claim a LoRA of the model too. Raises ConfigError, CapacityError or EngineError; then all is given back."""
        try:
            await self.pool.loras.use(lora, folder)
        except BaseException:  # our own code, a cancelled caller among it: the lease is given back
            self.release()
            raise
        self.lora = lora

    def release(self) -> None:
        """Give the claim back. Safe to call twice."""
        lora, self.lora = self.lora, ""
        if lora:
            self.pool.loras.leave(lora)
        self._manager._release(self._ticket)


class ModelManager:
    """Loads, leases and evicts the models of a catalog."""

    def __init__(self, catalog: Catalog, settings: ModelSettings, synthesis: SynthesisSettings | None = None) -> None:
        self._catalog, self._settings, self._synthesis = catalog, settings, synthesis or SynthesisSettings()
        self._policy = Residency(
            ResidencyLimits(
                resident_cap=settings.resident_cap,
                memory_budget=settings.memory_budget_bytes,
                max_parallel_loads=settings.max_parallel_loads,
                min_residency=settings.min_residency_ms / 1000,
                wait=settings.wait_ms / 1000,
            )
        )
        self._gate = Gate(settings.gpu_parallel) if settings.gpu_parallel else None
        self._pools: dict[int, EnginePool] = {}
        self._tickets = Tickets()
        self._failures: dict[str, ParleyError] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self.changed: Callable[[], None] = _nothing
        """Called when a model came, went or could not be read: whoever announces the worker sets it."""
        self._freed: dict[str, int] = {}

    # --- life ---

    async def start(self) -> None:
        """Load the default model and those to preload.

        Raises NotFound or ConfigError when the default model is missing or broken. A preloaded
        model that fails is an error, too: whoever names it relies on it.
        """
        default = self.resolve("")
        await asyncio.get_running_loop().run_in_executor(None, import_engines, self._catalog)
        for name in dict.fromkeys((default, *self._settings.preload_models)):
            await self.load(name)
        self._schedule()

    def refuse_all(self) -> None:
        """The end has begun: whoever waits is refused, and nothing is loaded any more."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        self._tickets.refuse_all(shutting_down)

    async def aclose(self) -> None:
        """Refuse who waits, free every model. What is freed here counts like every other unload."""
        self.refuse_all()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        left = [self._policy.instances[number] for number in self._pools]
        await asyncio.gather(*(self._unload(StartUnload(instance.number, instance.model_id)) for instance in left))

    # --- requests ---

    def resolve(self, name: str, language: str = "") -> str:
        """The model id behind a name; for an empty one the default model's, or the best for ``language``.

        Raises NotFound.
        """
        default = self._settings.default_model
        if not name and default == AUTO:
            return self._catalog.best(language)
        return self._catalog.resolve(name or default)

    async def acquire(self, name: str, owner: str) -> Lease:
        """Wait for a model, and its LoRA, and claim both. NotFound, CapacityError, ConfigError or EngineError."""
        name = self.resolve(name)
        base, lora = split_lora(name)
        model_id = self._describe(base)
        ticket = self._tickets.take(model_id)
        number = await self._ask(ticket, self._policy.acquire(clock.now(), ticket, model_id, owner))
        lease = Lease(model_id, owner, self._pools[number], self, ticket)
        if lora:
            await lease.put_on(lora, self._catalog.lora(name))
        return lease

    async def load(self, name: str, *, pin: bool = False) -> float:
        """Make a model resident. Returns the seconds that it took, 0 when it was there."""
        name = await self._look_up(name, refresh=True)
        base, lora = split_lora(name)
        if lora:
            return await _load_lora(self, name, pin=pin, keep=self._keeps(name))
        model_id = self._describe(base)
        resident = self._policy.serving(model_id) is not None
        if resident and not pin:
            return 0.0
        began, ticket = clock.now(), self._tickets.take(model_id)
        await self._ask(ticket, self._policy.load(began, ticket, model_id, pin=pin))
        return 0.0 if resident else clock.now() - began

    async def unload(self, name: str) -> int:
        """Free a model. Returns the bytes that it had taken. Raises PreconditionFailed while it is used."""
        base, lora = split_lora(self.resolve(name))
        if lora:
            return await pool.loras.drop(lora) if (pool := self._serving(base)) is not None else 0
        model_id = self._describe(base)
        ticket = self._tickets.take(model_id)
        self._freed.pop(model_id, None)
        await self._ask(ticket, self._policy.unload(clock.now(), ticket, model_id))
        return self._freed.pop(model_id, 0)

    async def reload(self, name: str) -> None:
        """Read a resident model again from disk; loads it when it is not resident.

        When that fails, what was serving goes on, and the error says why it failed.
        """
        name = await self._look_up(name, refresh=True)
        base, lora = split_lora(name)
        pool, model_id = self._serving(base), self._describe(base)
        if pool is None or (lora and not pool.loras.table.ready(lora)):
            await self.load(name)
        elif lora:
            await pool.loras.reload(lora, self._catalog.lora(name))
        else:
            ticket = self._tickets.take(model_id)
            await self._ask(ticket, self._policy.reload(clock.now(), ticket, model_id))

    # --- what is known ---

    def statuses(self) -> list[ModelStatus]:
        """Every model of the catalog and where it is in its life, sorted by id."""
        broken = [ModelStatus(info, "failed", error=str(problem)) for info, problem in self._catalog.broken()]
        known = [self.status(info) for info in self._catalog.models()]
        return sorted(known + broken, key=lambda status: status.info.model_id)

    def status(self, info: ModelInfo) -> ModelStatus:
        """Where one model, or one LoRA of a model, is in its life."""
        model_id, lora = split_lora(info.model_id)
        pool, is_default = self._serving(model_id), info.model_id == self._default()
        if lora:
            table = pool.loras.table if pool is not None else None
            return lora_status(info, table, lora, pinned=self._keeps(info.model_id), is_default=is_default)
        pinned = self._policy.pinned(model_id) or model_id in self._settings.pinned_models
        said = self._state(model_id), self._policy.leases(model_id), pinned, is_default, self._policy.failure(model_id)
        factor, told = (pool.real_time_factor, pool.info.word_marks) if pool is not None else (0.0, info.word_marks)
        took = self._policy.counters.seconds.get(model_id, 0.0)
        return ModelStatus(replace(info, word_marks=told), *said, round(factor, 3), round(took, 2))

    def _serving(self, model_id: str) -> EnginePool | None:
        """The model as it is in memory."""
        instance = self._policy.serving(model_id)
        return self._pools.get(instance.number) if instance is not None else None

    def info(self, model_id: str) -> ModelInfo:
        """What a model is. Raises NotFound."""
        for info in self._catalog.models():
            if info.model_id == model_id:
                return info
        self._catalog.create(model_id)
        raise NotFound(f"There is no model called {model_id!r}.")

    @property
    def memory_used(self) -> int:
        """Bytes that models take, as estimated or measured, whichever is more."""
        return self._policy.memory_used

    @property
    def counters(self) -> Counters:
        """Loads, unloads, evictions, grants and refusals since the start."""
        return self._policy.counters

    def resident(self) -> tuple[str, ...]:
        """Ids of the models that serve, sorted."""
        return _names(self._policy.instances.values(), self._pools)

    def _default(self) -> str:
        try:
            return self.resolve("")
        except NotFound:
            return ""

    def _state(self, model_id: str) -> ModelState:
        if self._policy.serving(model_id) is not None:
            return "resident"
        if self._policy.loading(model_id) is not None:
            return "loading"
        if any(i.model_id == model_id for i in self._policy.instances.values()):
            return "evicting"
        return "failed" if self._policy.failure(model_id) else "available"

    def _keeps(self, name: str) -> bool:
        """Whether a LoRA stays, by its id in the catalog."""
        return name in (*self._settings.pinned_models, *self._catalog.pins, self._default())

    async def _look_up(self, name: str, *, refresh: bool = False) -> str:
        """Resolve a name, looking at the disk again when it is not known or when asked to."""
        known = False
        with contextlib.suppress(NotFound):
            self.resolve(name)
            known = True
        if not known or refresh:
            await asyncio.get_running_loop().run_in_executor(None, self._catalog.refresh)
        return self.resolve(name)

    def _describe(self, model_id: str) -> str:
        """Tell the policy what the model needs, as the catalog has it now."""
        info = next((info for info in self._catalog.models() if info.model_id == model_id), None)
        estimate = info.memory_bytes * self._settings.engine_slots if info is not None else 0
        kept = self._settings.ttl_ms < 0 or model_id == split_lora(self._default())[0]
        ttl = None if kept else self._settings.ttl_ms / 1000
        pins = {split_lora(name)[0] for name in (*self._settings.pinned_models, *self._catalog.pins)}
        self._policy.describe(model_id, estimate=estimate, pinned=model_id in pins, ttl=ttl)
        return model_id

    # --- carrying out ---

    async def _ask(self, ticket: int, actions: list[Action]) -> int:
        """Perform what a request brought about and wait for its answer."""
        if self._closing:
            self._tickets.refuse(ticket, shutting_down())
        self._perform(actions)
        try:
            return await self._tickets.answer(ticket)
        except asyncio.CancelledError:
            self._perform(self._policy.cancel(clock.now(), ticket))
            raise

    def _release(self, ticket: int) -> None:
        if not self._closing:
            self._perform(self._policy.release(clock.now(), ticket))

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case StartLoad() | StartUnload() if self._closing:
                    continue  # nothing begins any more; what is in memory, the end frees
                case StartLoad():
                    self._spawn(self._load(action))
                case StartUnload():
                    self._spawn(self._unload(action))
                case Grant():
                    self._tickets.grant(action.ticket, action.instance)
                case Refuse():
                    model_id = self._tickets.model_of(action.ticket)
                    error = refusal(action, model_id, self._policy, self._failures.get(model_id))
                    self._tickets.refuse(action.ticket, error)
        self._schedule()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load(self, action: StartLoad) -> None:
        began = time.perf_counter()
        try:
            pool = await self._build(action.model_id)
        except ParleyError as error:
            self._failures[action.model_id] = error
            self._perform(self._policy.load_failed(clock.now(), action.instance, error.message))
            self.changed()
            return
        self._failures.pop(action.model_id, None)
        pool.info = replace(pool.info, speakers=self.info(action.model_id).speakers)  # some may have come meanwhile
        self._pools[action.instance] = pool
        _tell(pool)
        seconds = time.perf_counter() - began
        self._perform(self._policy.loaded(clock.now(), action.instance, pool.memory_bytes, seconds))
        pool.loras.changed = partial(_resized, self, action.instance, pool.loras.table)
        pool.loras.changed()

    async def _build(self, model_id: str) -> EnginePool:
        """Whatever fails: whoever asked for the model waits for the answer."""
        try:
            synthesis = self._synthesis
            pool = pool_of(self.info(model_id), self._catalog, self._settings, self._gate)
            await pool.load(measure=synthesis.loudness, target_lufs=synthesis.target_lufs, slowest=synthesis.slowest)
            if (before := self._serving(model_id)) is not None:
                await pool.loras.follow(before.loras, lambda lora: self._catalog.lora(with_lora(model_id, lora)))
        except ParleyError:
            raise
        except Exception as error:  # our own code: engines' failures have become ours further down
            raise EngineError(f"The model {model_id} can not be loaded: {error!r}.") from error
        return pool

    async def _unload(self, action: StartUnload) -> None:
        pool = self._pools.pop(action.instance, None)
        failure: Exception | None = None
        taken, before = (pool.memory_bytes if pool is not None else 0), process_memory()
        if pool is not None:
            try:
                await pool.unload()
            except Exception as error:  # noqa: BLE001  (somebody else's code, an engine's; the books stay right)
                _log.exception("model not unloaded", extra={"model": action.model_id})
                failure = error.with_traceback(None)  # which would keep the engine in memory
            del pool
            await asyncio.get_running_loop().run_in_executor(None, release_memory)
            self._freed[action.model_id] = taken
        if failure is None:
            self._perform(self._policy.unloaded(clock.now(), action.instance))
        else:
            self._not_freed(action, failure, max(0, taken - max(0, before - process_memory())))
        self.changed()

    def _not_freed(self, action: StartUnload, failure: Exception, lost: int) -> None:
        """The model serves nobody any more, though its engine would not let it go."""
        self._failures[action.model_id] = error = not_freed(action.model_id, failure, lost)
        _log.error(error.message, extra={"model": action.model_id, "lost_bytes": lost})
        self._perform(self._policy.unload_failed(clock.now(), action.instance, error.message, lost))

    def _schedule(self) -> None:
        """Wake the policy for the next deadline, and every now and then for idle models."""
        if self._closing:
            return
        if self._timer is not None:
            self._timer.cancel()
        now = clock.now()
        delay = self._settings.evict_check_interval_ms / 1000
        due = self._policy.next_wakeup(now) if self._policy.waiting else None
        if due is not None:
            delay = min(delay, due - now + 0.001)
        self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        for pool in self._pools.values():
            pool.loras.sweep()
        self._perform(self._policy.tick(clock.now()))


async def _load_lora(manager: ModelManager, name: str, *, pin: bool, keep: bool) -> float:
    """Make a LoRA and its model resident. Returns the seconds that it took, 0 when it was there."""
    base, lora = split_lora(name)
    began, there = clock.now(), name in manager.resident()
    await manager.load(base, pin=pin)
    lease = await manager.acquire(name, "load")
    if pin or keep:
        lease.pool.loras.table.pin(lora)
    lease.release()
    return 0.0 if there else clock.now() - began


def _loras_in(pools: Iterable[EnginePool]) -> list[str]:
    """Catalog ids of the LoRAs in memory of these models."""
    return [with_lora(pool.info.model_id, name) for pool in pools for name in pool.loras.table.names]


def _resized(manager: ModelManager, number: int, table: LoraTable) -> None:
    """A model came, or LoRAs of it came or went."""
    manager._perform(manager._policy.resized(clock.now(), number, table.size))
    manager.changed()


async def voice_changed(manager: ModelManager, model_id: str, name: str, *, gone: bool) -> None:
    """A recording came into a model's pack as a speaker, or went: the model, where it is in memory, learns of it.

    Raises what its engines raise that can not speak as it.
    """
    await asyncio.get_running_loop().run_in_executor(None, manager._catalog.refresh)
    speakers = manager.info(model_id).speakers
    serving = [pool for pool in manager._pools.values() if pool.info.model_id == model_id]
    try:
        await asyncio.gather(*(pool.hear(name, gone=gone, speakers=speakers) for pool in serving))
    finally:
        manager.changed()


def speaks_as(manager: ModelManager, model_id: str, speaker: str) -> bool:
    """Whether the model, as it is in memory, has that speaker."""
    return any(speaker in pool.info.speakers for pool in manager._pools.values() if pool.info.model_id == model_id)


def _names(instances: Iterable[Instance], pools: Mapping[int, EnginePool]) -> tuple[str, ...]:
    """Ids of models and LoRAs that serve; while all is freed, a pool may have gone before the policy hears of it."""
    serving = {i.model_id: pools[i.number] for i in instances if i.state == "serving" and i.number in pools}
    return tuple(sorted([*serving, *_loras_in(serving.values())]))


def pool_of(info: ModelInfo, catalog: Catalog, settings: ModelSettings, gate: Gate | None) -> EnginePool:
    """The engines of a model as the settings want them, not loaded yet."""
    pool = build_pool(
        info,
        lambda: catalog.create(info.model_id),
        slots=settings.engine_slots,
        isolated=settings.isolate or catalog.isolated(info.model_id),
        python=catalog.interpreter(info.model_id),
        gate=gate if info.needs_gpu else None,
    )
    pool.lexicon = lexicon_of(catalog.lexicon(info.model_id))
    pool.loras.table = LoraTable(settings.lora_cap, settings.ttl_ms / 1000 if settings.ttl_ms >= 0 else None)
    return pool


def _tell(pool: EnginePool) -> None:
    """What somebody may wonder about later: in the log."""
    model, factor = pool.info.model_id, round(pool.real_time_factor, 2)
    if pool.info.word_marks == "proportional":
        _log.info("when its words sound is estimated from the text", extra={"model": model})
    if is_slow(factor):
        _log.warning(
            "this voice is slower than real time here: its first words wait, so that it has no holes",
            extra={"model": model, "real_time_factor": factor, "head_start": "worker.synthesis.head_start"},
        )


def _nothing() -> None:
    """Nobody announces this worker."""


def import_engines(catalog: Catalog) -> None:
    """Import the libraries of the catalog's families, as far as they are installed.

    An import holds the interpreter for a tenth of a second and more; at the start nobody speaks
    who would hear that. Families that run in processes of their own are imported there.
    """
    families = {info.family for info in catalog.models() if not catalog.isolated(info.model_id)}
    for name in sorted(families & set(adapters.family_names())):
        module = adapters.family(name).module
        if module:
            with contextlib.suppress(Exception):  # somebody else's code: whoever loads such a model is told
                import_module(module)
