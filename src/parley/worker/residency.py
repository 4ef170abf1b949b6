"""Which models are in memory: events in, actions out. Pure; knows neither threads nor a clock.

Whoever drives it reports what happened and obeys the actions in order. An instance is one loading
of a model; a model has at most one that loads and one that serves, and after a reload others
that only finish what they speak.

Rules, each of them tested on random histories:

- room is made before a load begins, and what is being evicted counts until it is gone;
- what is used is never evicted; nor is what is pinned, or younger than ``min_residency``;
- a model is never loaded twice at the same time, however many wait for it;
- whoever waits is granted, refused, or has left: nobody is forgotten;
- a load or reload that fails leaves what was serving;
- what did not come back from a model that could not be freed counts against the budget for good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

Refusal = Literal["capacity", "failed", "too_big", "in_use", "busy", "not_resident"]


@dataclass(frozen=True, slots=True)
class ResidencyLimits:
    """Bounds, times in seconds."""

    resident_cap: int = 0
    """0 for no limit."""
    memory_budget: int = 0
    """Bytes; 0 for no limit."""
    max_parallel_loads: int = 1
    min_residency: float = 0.0
    wait: float = 15.0
    """Longest wait for room."""


# --- actions ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartLoad:
    """Read the model from disk; report ``loaded`` or ``load_failed`` with this instance."""

    instance: int
    model_id: str


@dataclass(frozen=True, slots=True)
class StartUnload:
    """Free this instance; report ``unloaded`` when its memory is back."""

    instance: int
    model_id: str


@dataclass(frozen=True, slots=True)
class Grant:
    """The ticket has what it asked for: a lease on this instance, or, for 0, an order carried out."""

    ticket: int
    instance: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """The ticket gets nothing."""

    ticket: int
    reason: Refusal
    detail: str = ""
    retry_after: float = 0.0
    """Seconds after which another try makes sense."""


Action = StartLoad | StartUnload | Grant | Refuse


# --- state -----------------------------------------------------------------------------

InstanceState = Literal["loading", "serving", "retired", "evicting"]


@dataclass(slots=True)
class Instance:
    """One loading of a model."""

    number: int
    model_id: str
    memory: int
    """Bytes: the estimate until it is loaded, then at least what it was seen to take."""
    beside: int = 0
    """Bytes of what came after it was loaded: its LoRAs."""
    state: InstanceState = "loading"
    since: float = 0.0
    used: float = 0.0
    leases: dict[int, str] = field(default_factory=dict)
    """Ticket to owner."""

    @property
    def taken(self) -> int:
        """Bytes in all."""
        return self.memory + self.beside


@dataclass(slots=True)
class _Waiter:
    ticket: int
    model_id: str
    owner: str
    deadline: float
    kind: Literal["lease", "load", "reload"]


@dataclass(slots=True)
class _Model:
    estimate: int = 0
    pinned: bool = False
    ttl: float | None = None
    failure: str = ""
    unload_tickets: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Counters:
    """What has happened since the start."""

    loads: int = 0
    load_failures: int = 0
    unloads: int = 0
    unload_failures: int = 0
    """Models that left with an error; they serve nobody any more and are not among ``unloads``."""
    evictions: int = 0
    """Unloads to make room or because of idleness; the rest were asked for."""
    grants: int = 0
    refusals: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    """Of each model that was loaded: what its last load took."""

    def loaded(self, model_id: str, seconds: float) -> None:
        """Count a load."""
        self.loads += 1
        self.seconds[model_id] = seconds


class Residency:
    """The state machine. Every method takes the time and returns what is to be done, in order."""

    def __init__(self, limits: ResidencyLimits) -> None:
        self.limits = limits
        self.counters = Counters()
        self.instances: dict[int, Instance] = {}
        self._models: dict[str, _Model] = {}
        self._waiters: dict[int, _Waiter] = {}
        self._numbers = 0
        self._slow_load = 1.0
        self.memory_lost = 0
        """Bytes that models which could not be freed have kept."""

    # --- what is known ---

    def describe(self, model_id: str, *, estimate: int, pinned: bool = False, ttl: float | None = None) -> None:
        """Tell what a model needs before it is used. ``ttl`` None means that idleness never evicts it."""
        known = self._models.setdefault(model_id, _Model())
        known.estimate, known.ttl = max(known.estimate, estimate), ttl
        known.pinned = known.pinned or pinned

    def serving(self, model_id: str) -> Instance | None:
        """The instance that new leases get."""
        return self._find(model_id, "serving")

    def loading(self, model_id: str) -> Instance | None:
        """The instance on its way into memory."""
        return self._find(model_id, "loading")

    def failure(self, model_id: str) -> str:
        """Why the last load or unload failed; empty otherwise."""
        return self._model(model_id).failure

    def pinned(self, model_id: str) -> bool:
        return self._model(model_id).pinned

    def leases(self, model_id: str) -> int:
        """Leases on all instances of the model."""
        return sum(len(instance.leases) for instance in self.instances.values() if instance.model_id == model_id)

    @property
    def memory_used(self) -> int:
        """Bytes that loading, loaded and leaving instances take, and those that did not come back."""
        return self.memory_lost + sum(instance.taken for instance in self.instances.values())

    @property
    def waiting(self) -> int:
        """Tickets that are neither granted nor refused."""
        return len(self._waiters)

    def next_wakeup(self, now: float) -> float | None:
        """When :meth:`tick` has something to do: a deadline, a model old enough to leave, an idle one."""
        times = [waiter.deadline for waiter in self._waiters.values()]
        for instance in self.instances.values():
            if instance.state != "serving":
                continue
            if self._waiters and not instance.leases:
                times.append(instance.since + self.limits.min_residency)
            ttl = self._model(instance.model_id).ttl
            if ttl is not None and not instance.leases and not self.pinned(instance.model_id):
                times.append(max(instance.used + ttl, instance.since + self.limits.min_residency))
        return min((time for time in times if time > now), default=None)

    # --- requests ---

    def acquire(self, now: float, ticket: int, model_id: str, owner: str) -> list[Action]:
        """``owner`` wants a lease. Granted with the ticket, which is given back by :meth:`release`."""
        return self._enter(now, _Waiter(ticket, model_id, owner, now + self.limits.wait, "lease"))

    def load(self, now: float, ticket: int, model_id: str, *, pin: bool = False) -> list[Action]:
        """Make a model resident. Granted when it is; the ticket is then forgotten."""
        if pin:
            self._model(model_id).pinned = True
        return self._enter(now, _Waiter(ticket, model_id, "", now + self.limits.wait, "load"))

    def reload(self, now: float, ticket: int, model_id: str) -> list[Action]:
        """Read a resident model again. The old instance serves until the new one is ready."""
        if self.serving(model_id) is None:
            return [self._refuse(ticket, "not_resident", "")]
        if self.loading(model_id) is not None:
            return [self._refuse(ticket, "busy", "")]
        return self._enter(now, _Waiter(ticket, model_id, "", now + self.limits.wait, "reload"))

    def unload(self, now: float, ticket: int, model_id: str) -> list[Action]:
        """Free a model now, whatever its age. Unpins it. Refused while it is used or on its way in."""
        model, instance = self._model(model_id), self.serving(model_id)
        wanted = any(waiter.model_id == model_id for waiter in self._waiters.values())
        if self.loading(model_id) is not None or wanted:
            return [self._refuse(ticket, "busy", "")]
        if self.leases(model_id):
            return [self._refuse(ticket, "in_use", "")]
        model.pinned = False
        model.failure = ""
        if instance is not None:
            model.unload_tickets.append(ticket)
            return [self._evict(instance, evicted=False)]
        if self._find(model_id, "evicting") is not None:
            model.unload_tickets.append(ticket)
            return []
        return [self._granted(ticket, 0)]

    def release(self, now: float, ticket: int) -> list[Action]:
        """A lease ends. Unknown tickets are ignored, so that it may be called twice."""
        for instance in self.instances.values():
            if instance.leases.pop(ticket, None) is not None:
                instance.used = now
                return self._pump(now)
        return []

    def cancel(self, now: float, ticket: int) -> list[Action]:
        """Whoever waits with this ticket has left; a lease that was granted meanwhile ends."""
        if self._waiters.pop(ticket, None) is not None:
            return self._pump(now)
        return self.release(now, ticket)

    # --- reports ---

    def loaded(self, now: float, number: int, memory: int, seconds: float = 0.0) -> list[Action]:
        """An instance is ready and was seen to take ``memory`` bytes (0: not known)."""
        instance = self.instances[number]
        model = self._model(instance.model_id)
        instance.memory = max(instance.memory, memory)
        model.estimate, model.failure = max(model.estimate, memory), ""
        self._slow_load = max(1.0, seconds)
        self.counters.loaded(instance.model_id, seconds)
        old = self.serving(instance.model_id)
        if old is not None:
            old.state = "retired"
        instance.state, instance.since, instance.used = "serving", now, now
        actions: list[Action] = []
        for waiter in [w for w in self._waiters.values() if w.model_id == instance.model_id]:
            del self._waiters[waiter.ticket]
            if waiter.kind == "lease":
                instance.leases[waiter.ticket] = waiter.owner
            actions.append(self._granted(waiter.ticket, number if waiter.kind == "lease" else 0))
        return actions + self._pump(now)

    def resized(self, now: float, number: int, beside: int) -> list[Action]:
        """LoRAs of an instance came or went; ``beside`` is what they take now."""
        if (instance := self.instances.get(number)) is not None:
            instance.beside = beside
        return self._pump(now)

    def load_failed(self, now: float, number: int, error: str) -> list[Action]:
        """An instance could not be loaded and has left nothing behind."""
        instance, self.counters.load_failures = self.instances.pop(number), self.counters.load_failures + 1
        self._model(instance.model_id).failure = error
        serving = self.serving(instance.model_id)
        actions: list[Action] = []
        for waiter in [w for w in self._waiters.values() if w.model_id == instance.model_id]:
            if serving is not None and waiter.kind != "reload":
                continue
            del self._waiters[waiter.ticket]
            actions.append(self._refuse(waiter.ticket, "failed", error))
        return actions + self._pump(now)

    def unloaded(self, now: float, number: int) -> list[Action]:
        """An instance is gone and its memory is back."""
        self.counters.unloads += 1
        tickets = self._gone(number)
        return [*(self._granted(ticket, 0) for ticket in tickets), *self._pump(now)]

    def unload_failed(self, now: float, number: int, error: str, lost: int) -> list[Action]:
        """An instance serves nobody any more, but freeing it failed and ``lost`` bytes have not come back."""
        self.counters.unload_failures += 1
        self.memory_lost += lost
        self._model(self.instances[number].model_id).failure = error
        tickets = self._gone(number)
        return [*(self._refuse(ticket, "failed", error) for ticket in tickets), *self._pump(now)]

    def tick(self, now: float) -> list[Action]:
        """Time has passed: refuse who has waited too long, let idle models go."""
        actions: list[Action] = []
        for waiter in list(self._waiters.values()):
            if waiter.deadline <= now and not self._on_its_way(waiter):
                del self._waiters[waiter.ticket]
                actions.append(self._no_room(now, waiter))
        for instance in list(self.instances.values()):
            ttl = self._model(instance.model_id).ttl
            if ttl is not None and self._evictable(now, instance) and instance.used + ttl <= now:
                actions.append(self._evict(instance))
        return actions + self._pump(now)

    # --- inside ---

    def _gone(self, number: int) -> list[int]:
        """Forget an instance; returns who waited for its model to leave, once none of it is left."""
        model_id = self.instances.pop(number).model_id
        if self._find(model_id, "evicting") is not None:
            return []
        model = self._model(model_id)
        tickets, model.unload_tickets = model.unload_tickets, []
        return tickets

    def _enter(self, now: float, waiter: _Waiter) -> list[Action]:
        instance = self.serving(waiter.model_id)
        if instance is not None and waiter.kind != "reload":
            if waiter.kind == "load":
                return [self._granted(waiter.ticket, 0)]
            instance.leases[waiter.ticket] = waiter.owner
            instance.used = now
            return [self._granted(waiter.ticket, instance.number)]
        estimate = self._model(waiter.model_id).estimate
        if self.limits.memory_budget and estimate + self.memory_lost > self.limits.memory_budget:
            return [self._refuse(waiter.ticket, "too_big", str(estimate))]
        self._waiters[waiter.ticket] = waiter
        actions = self._pump(now)
        still = self._waiters.get(waiter.ticket)
        if still is not None and still.deadline <= now and not self._on_its_way(still):
            del self._waiters[waiter.ticket]
            actions.append(self._no_room(now, still))
        return actions

    def _pump(self, now: float) -> list[Action]:
        """Start what can start. Whoever waits for an eviction that has begun comes first."""
        actions: list[Action] = [*self._retire(), *self._shrink(now)]
        for model_id in self._wanted():
            if [i.state for i in self.instances.values()].count("loading") >= self.limits.max_parallel_loads:
                break
            if self._find(model_id, "evicting") is not None:
                continue
            need = self._model(model_id).estimate
            if self._fits(model_id, need):
                actions.append(self._start(now, model_id, need))
                continue
            leaving = [instance for instance in self.instances.values() if instance.state == "evicting"]
            victims = self._victims(now, model_id, need)
            if victims is not None:
                actions.extend(self._evict(victim) for victim in victims)
            if victims is not None or leaving:
                break
        return actions

    def _retire(self) -> list[Action]:
        idle = [i for i in self.instances.values() if i.state == "retired" and not i.leases]
        return [self._evict(instance, evicted=False) for instance in idle]

    def _shrink(self, now: float) -> Iterator[Action]:
        """A model took more than was known beforehand: let idle ones go until the budget holds again."""
        staying = [instance for instance in self.instances.values() if instance.state != "evicting"]
        over = self.memory_lost + sum(instance.taken for instance in staying) - self.limits.memory_budget
        if not self.limits.memory_budget or over <= 0:
            return
        for victim in sorted(staying, key=lambda instance: instance.used):
            if over > 0 and self._evictable(now, victim):
                over -= victim.taken
                yield self._evict(victim)

    def _wanted(self) -> Iterator[str]:
        """Models that somebody waits for and that are not being loaded, longest waiting first."""
        for model_id in dict.fromkeys(waiter.model_id for waiter in list(self._waiters.values())):
            if self.loading(model_id) is None:
                yield model_id

    def _start(self, now: float, model_id: str, need: int) -> StartLoad:
        self._numbers += 1
        self.instances[self._numbers] = Instance(self._numbers, model_id, need, since=now, used=now)
        return StartLoad(self._numbers, model_id)

    def _fits(self, model_id: str, need: int, gone: frozenset[int] = frozenset()) -> bool:
        """True when the model may be loaded beside everything but ``gone``."""
        there = [instance for instance in self.instances.values() if instance.number not in gone]
        taken = self.memory_lost + sum(instance.taken for instance in there)
        if self.limits.memory_budget and taken + need > self.limits.memory_budget:
            return False
        others = {instance.model_id for instance in there} | {model_id}
        return not self.limits.resident_cap or len(others) <= self.limits.resident_cap

    def _victims(self, now: float, model_id: str, need: int) -> list[Instance] | None:
        """The least recently used idle instances whose leaving makes room; None when that is not enough."""
        leaving = frozenset(i.number for i in self.instances.values() if i.state == "evicting")
        if self._fits(model_id, need, leaving):
            return None
        idle = [i for i in self.instances.values() if self._evictable(now, i) and i.model_id != model_id]
        idle.sort(key=lambda instance: instance.used)
        return _fewest(idle, lambda gone: self._fits(model_id, need, leaving | gone))

    def _evictable(self, now: float, instance: Instance) -> bool:
        return (
            instance.state == "serving"
            and not instance.leases
            and not self._model(instance.model_id).pinned
            and now - instance.since >= self.limits.min_residency
            and not any(waiter.model_id == instance.model_id for waiter in self._waiters.values())
        )

    def _evict(self, instance: Instance, *, evicted: bool = True) -> StartUnload:
        instance.state = "evicting"
        self.counters.evictions += evicted
        return StartUnload(instance.number, instance.model_id)

    def _on_its_way(self, waiter: _Waiter) -> bool:
        """True when the model is being loaded, or what leaves just now makes the room that it waits for."""
        if self.loading(waiter.model_id) is not None:
            return True
        leaving = frozenset(i.number for i in self.instances.values() if i.state == "evicting")
        return bool(leaving) and self._fits(waiter.model_id, self._model(waiter.model_id).estimate, leaving)

    def _no_room(self, now: float, waiter: _Waiter) -> Refuse:
        """Refuse for want of room, with the time at which a model will be old enough to leave."""
        idle = [i for i in self.instances.values() if i.state == "serving" and not i.leases]
        ages = [i.since + self.limits.min_residency - now for i in idle if not self.pinned(i.model_id)]
        retry = min((age for age in ages if age > 0), default=self._slow_load)
        return self._refuse(waiter.ticket, "capacity", "", retry_after=max(0.1, retry))

    def _granted(self, ticket: int, instance: int) -> Grant:
        self.counters.grants += 1
        return Grant(ticket, instance)

    def _refuse(self, ticket: int, reason: Refusal, detail: str, *, retry_after: float = 0.0) -> Refuse:
        self.counters.refusals += 1
        return Refuse(ticket, reason, detail, retry_after)

    def _find(self, model_id: str, state: InstanceState) -> Instance | None:
        return next((i for i in self.instances.values() if i.model_id == model_id and i.state == state), None)

    def _model(self, model_id: str) -> _Model:
        return self._models.setdefault(model_id, _Model())


def _fewest(oldest: Sequence[Instance], fits: Callable[[frozenset[int]], bool]) -> list[Instance] | None:
    """Those of idle instances, least recently used first, that have to leave until it ``fits``; None: not enough."""
    chosen: list[Instance] = []
    for victim in oldest:
        chosen.append(victim)
        if fits(_numbers(chosen)):
            break
    else:
        return None
    kept = list(chosen)
    for victim in chosen:  # the leaving of an older one may have turned out not to be needed
        rest = [instance for instance in kept if instance is not victim]
        if rest and fits(_numbers(rest)):
            kept = rest
    return kept


def _numbers(instances: Sequence[Instance]) -> frozenset[int]:
    return frozenset(instance.number for instance in instances)
