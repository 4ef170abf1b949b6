"""The residency policy: single facts, then random histories against a fake machine."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from parley.worker.residency import (
    Action,
    Grant,
    Refuse,
    Residency,
    ResidencyLimits,
    StartLoad,
    StartUnload,
)


def residency(**limits: float) -> Residency:
    policy = Residency(ResidencyLimits(**limits))  # type: ignore[arg-type]
    for model in "abcd":
        policy.describe(model, estimate=10, ttl=100.0)
    return policy


def make_resident(policy: Residency, model: str, now: float = 0.0) -> int:
    """Load a model; returns its instance."""
    start = policy.load(now, 1000, model)[0]
    assert isinstance(start, StartLoad)
    policy.loaded(now, start.instance, 0)
    return start.instance


def test_everybody_who_wants_a_model_waits_for_one_load() -> None:
    policy = residency()
    assert policy.acquire(0, 1, "a", "x") == [StartLoad(1, "a")]
    assert policy.acquire(0, 2, "a", "y") == []
    assert policy.loaded(1, 1, 0) == [Grant(1, 1), Grant(2, 1)]
    assert policy.leases("a") == 2


def test_what_a_load_took_is_known_after_the_model_is_gone_and_replaced_by_the_next() -> None:
    policy = residency()
    for seconds in (4.5, 2.5):
        (start,) = policy.load(0, 1, "a")
        assert isinstance(start, StartLoad)
        policy.loaded(1, start.instance, 0, seconds)
        policy.unload(2, 2, "a")
        policy.unloaded(2, start.instance)
        assert policy.counters.seconds == {"a": seconds}
    assert policy.counters.loads == 2


def test_a_resident_model_is_granted_at_once() -> None:
    policy = residency()
    instance = make_resident(policy, "a")
    assert policy.acquire(1, 5, "a", "x") == [Grant(5, instance)]


def test_room_is_made_and_free_before_a_load_begins() -> None:
    policy = residency(resident_cap=1)
    a = make_resident(policy, "a")
    assert policy.acquire(1, 5, "b", "x") == [StartUnload(a, "a")]
    assert policy.unloaded(2, a) == [StartLoad(2, "b")]


def test_the_least_recently_used_idle_model_leaves() -> None:
    policy = residency(memory_budget=30)
    instances = {model: make_resident(policy, model, now) for now, model in enumerate("abc")}
    policy.acquire(5, 5, "a", "x")
    policy.release(6, 5)
    assert policy.acquire(7, 6, "d", "x") == [StartUnload(instances["b"], "b")]


def test_no_more_models_leave_than_have_to() -> None:
    policy = residency(memory_budget=100)
    policy.describe("big", estimate=70)
    policy.describe("new", estimate=75)
    make_resident(policy, "a", 0)
    big = make_resident(policy, "big", 1)
    assert policy.acquire(2, 5, "new", "x") == [StartUnload(big, "big")]


def test_a_model_in_use_is_not_evicted() -> None:
    policy = residency(resident_cap=1, wait=5)
    make_resident(policy, "a")
    policy.acquire(0, 5, "a", "x")
    assert policy.acquire(1, 6, "b", "y") == []
    assert policy.tick(6) == [Refuse(6, "capacity", "", 1.0)]


def test_who_waits_for_room_gets_it_when_a_lease_ends() -> None:
    policy = residency(resident_cap=1, wait=5)
    a = make_resident(policy, "a")
    policy.acquire(0, 5, "a", "x")
    policy.acquire(1, 6, "b", "y")
    assert policy.release(2, 5) == [StartUnload(a, "a")]


def test_with_no_wait_a_full_worker_refuses_at_once() -> None:
    policy = residency(resident_cap=1, wait=0)
    make_resident(policy, "a")
    policy.acquire(0, 5, "a", "x")
    assert policy.acquire(1, 6, "b", "y") == [Refuse(6, "capacity", "", 1.0)]


def test_a_young_model_stays_and_the_refusal_says_until_when() -> None:
    policy = residency(resident_cap=1, wait=2, min_residency=10)
    make_resident(policy, "a", 0)
    assert policy.acquire(1, 6, "b", "y") == []
    assert policy.tick(3) == [Refuse(6, "capacity", "", 7.0)]


def test_a_waiter_is_woken_when_a_model_becomes_old_enough() -> None:
    policy = residency(resident_cap=1, wait=20, min_residency=10)
    a = make_resident(policy, "a", 0)
    policy.acquire(1, 6, "b", "y")
    assert policy.next_wakeup(1) == 10
    assert policy.tick(10) == [StartUnload(a, "a")]


def test_a_pinned_model_never_leaves_by_itself() -> None:
    policy = residency(resident_cap=1, wait=0)
    policy.describe("a", estimate=10, pinned=True, ttl=1.0)
    make_resident(policy, "a")
    assert policy.tick(1000) == []
    assert policy.acquire(1000, 6, "b", "y") == [Refuse(6, "capacity", "", 1.0)]


def test_an_idle_model_leaves_after_its_time() -> None:
    policy = residency()
    a = make_resident(policy, "a")
    assert policy.tick(99) == []
    assert policy.tick(100) == [StartUnload(a, "a")]


def test_a_model_without_a_time_to_live_stays() -> None:
    policy = residency()
    policy.describe("a", estimate=10, ttl=None)
    make_resident(policy, "a")
    assert policy.tick(1e9) == []


def test_a_model_larger_than_the_budget_is_refused_at_once() -> None:
    policy = residency(memory_budget=5)
    assert policy.acquire(0, 1, "a", "x") == [Refuse(1, "too_big", "10")]


def test_a_model_that_took_more_than_expected_pushes_an_idle_one_out() -> None:
    policy = residency(memory_budget=30)
    a = make_resident(policy, "a")
    (start,) = policy.acquire(1, 5, "b", "x")
    assert isinstance(start, StartLoad)
    assert policy.loaded(2, start.instance, 25) == [Grant(5, start.instance), StartUnload(a, "a")]


def test_loras_that_need_the_room_push_an_idle_model_out_and_count_until_they_go() -> None:
    policy = residency(memory_budget=20)
    a, b = make_resident(policy, "a", 0), make_resident(policy, "b", 1)
    policy.acquire(2, 5, "b", "x")
    assert policy.resized(3, b, 4) == [StartUnload(a, "a")]
    policy.unloaded(4, a)
    assert policy.memory_used == 14
    assert policy.acquire(5, 6, "a", "y") == []
    assert policy.resized(6, b, 0) == [StartLoad(3, "a")]
    assert policy.resized(7, a, 4) == []


def test_no_more_loads_run_side_by_side_than_allowed() -> None:
    policy = residency(max_parallel_loads=1)
    policy.acquire(0, 1, "a", "x")
    assert policy.acquire(0, 2, "b", "x") == []
    assert policy.loaded(1, 1, 0) == [Grant(1, 1), StartLoad(2, "b")]


def test_a_failed_load_refuses_all_who_waited_and_may_be_tried_again() -> None:
    policy = residency()
    policy.acquire(0, 1, "a", "x")
    policy.acquire(0, 2, "a", "y")
    assert policy.load_failed(1, 1, "no file") == [Refuse(1, "failed", "no file"), Refuse(2, "failed", "no file")]
    assert policy.failure("a") == "no file"
    assert policy.acquire(2, 3, "a", "x") == [StartLoad(2, "a")]


def test_a_reload_serves_from_the_old_instance_until_the_new_one_is_ready() -> None:
    policy = residency()
    old = make_resident(policy, "a")
    policy.acquire(0, 1, "a", "x")
    assert policy.reload(1, 2, "a") == [StartLoad(2, "a")]
    assert policy.acquire(2, 3, "a", "y") == [Grant(3, old)]
    assert policy.loaded(3, 2, 0) == [Grant(2, 0)]
    assert policy.acquire(4, 4, "a", "z") == [Grant(4, 2)]
    policy.release(5, 1)
    assert policy.release(5, 3) == [StartUnload(old, "a")]


def test_a_failed_reload_leaves_what_was_serving() -> None:
    policy = residency()
    old = make_resident(policy, "a")
    policy.reload(1, 2, "a")
    assert policy.load_failed(2, 2, "typo") == [Refuse(2, "failed", "typo")]
    assert policy.acquire(3, 3, "a", "y") == [Grant(3, old)]


def test_a_reload_that_finds_no_room_for_both_is_refused_after_the_wait() -> None:
    policy = residency(memory_budget=15, wait=3)
    make_resident(policy, "a")
    assert policy.reload(1, 2, "a") == []
    assert policy.tick(4) == [Refuse(2, "capacity", "", 1.0)]


def test_a_used_model_is_not_unloaded_on_request() -> None:
    policy = residency()
    make_resident(policy, "a")
    policy.acquire(0, 1, "a", "x")
    assert policy.unload(1, 2, "a") == [Refuse(2, "in_use")]


def test_an_unload_is_answered_when_the_memory_is_back() -> None:
    policy = residency()
    a = make_resident(policy, "a")
    assert policy.unload(1, 2, "a") == [StartUnload(a, "a")]
    assert policy.unloaded(2, a) == [Grant(2, 0)]


def test_a_model_that_fails_to_leave_is_told_and_what_it_kept_counts_for_good() -> None:
    policy = residency(memory_budget=12)
    instance = make_resident(policy, "a")
    policy.unload(1.0, 2, "a")
    assert policy.unload_failed(2.0, instance, "stuck", 5) == [Refuse(2, "failed", "stuck")]
    assert policy.memory_used == 5
    assert not policy.instances
    assert policy.failure("a") == "stuck"
    assert (policy.counters.unloads, policy.counters.unload_failures) == (0, 1)
    assert policy.acquire(3.0, 3, "b", "x") == [Refuse(3, "too_big", "10")]


def test_unloading_what_is_not_resident_is_done_already() -> None:
    assert residency().unload(1, 2, "a") == [Grant(2, 0)]


def test_a_model_wanted_again_while_it_leaves_is_loaded_again() -> None:
    policy = residency()
    a = make_resident(policy, "a")
    policy.unload(1, 2, "a")
    assert policy.acquire(1, 3, "a", "x") == []
    assert policy.unloaded(2, a) == [Grant(2, 0), StartLoad(2, "a")]


def test_who_leaves_while_waiting_is_forgotten_and_the_load_goes_on() -> None:
    policy = residency()
    policy.acquire(0, 1, "a", "x")
    assert policy.cancel(0, 1) == []
    assert policy.loaded(1, 1, 0) == []
    assert policy.leases("a") == 0


# --- random histories -------------------------------------------------------------------


@dataclass
class Machine:
    """Fake memory and loads; checks what must always hold."""

    policy: Residency
    budget: int
    cap: int
    parallel: int
    sizes: dict[str, int]
    loading: dict[int, str] = field(default_factory=dict)
    loaded: dict[int, str] = field(default_factory=dict)
    leaving: dict[int, str] = field(default_factory=dict)
    open_tickets: dict[int, str] = field(default_factory=dict)
    leases: dict[int, int] = field(default_factory=dict)
    lost: int = 0

    def obey(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case StartLoad(instance, model):
                    assert model not in self.loading.values(), "two loads of one model"
                    assert len(self.loading) < self.parallel, "too many loads side by side"
                    self.loading[instance] = model
                case StartUnload(instance, model):
                    assert self.loaded.pop(instance) == model
                    assert instance not in self.leases.values(), "evicted while in use"
                    self.leaving[instance] = model
                case Grant(ticket, instance):
                    kind = self.open_tickets.pop(ticket)
                    if kind == "lease":
                        assert instance in self.loaded, "a lease on something that is not in memory"
                        self.leases[ticket] = instance
                    else:
                        assert instance == 0
                case Refuse(ticket):
                    del self.open_tickets[ticket]
        self.check()

    def check(self) -> None:
        there = [*self.loading.values(), *self.loaded.values(), *self.leaving.values()]
        if self.budget:
            assert self.lost + sum(self.sizes[model] for model in there) <= self.budget, "over budget"
        if self.cap:
            assert len(set(there)) <= self.cap, "over the cap"
        serving = [i.model_id for i in self.policy.instances.values() if i.state == "serving"]
        assert len(serving) == len(set(serving)), "two instances serve one model"
        unload_waits = sum(1 for kind in self.open_tickets.values() if kind == "unload")
        assert self.policy.waiting + unload_waits == len(self.open_tickets), "somebody was forgotten"


MODELS = "abcd"
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ("acquire", "acquire", "acquire", "release", "release", "cancel", "load", "pin", "unload", "reload",
             "loaded", "loaded", "loaded", "failed", "unloaded", "unloaded", "stuck", "tick")
        ),
        st.integers(0, 10_000),
        st.floats(0, 20),
    ),
    min_size=40,
    max_size=120,
)  # fmt: skip


def run(machine: Machine, step: str, pick: int, now: float, ticket: int) -> None:
    policy, model = machine.policy, MODELS[pick % len(MODELS)]

    def chosen(options: dict[int, str] | dict[int, int]) -> int | None:
        keys = sorted(options)
        return keys[pick % len(keys)] if keys else None

    match step:
        case "acquire":
            machine.open_tickets[ticket] = "lease"
            machine.obey(policy.acquire(now, ticket, model, f"owner{pick % 3}"))
        case "load" | "pin":
            machine.open_tickets[ticket] = "load"
            machine.obey(policy.load(now, ticket, model, pin=step == "pin" and pick % 5 == 0))
        case "reload":
            machine.open_tickets[ticket] = "reload"
            machine.obey(policy.reload(now, ticket, model))
        case "unload":
            machine.open_tickets[ticket] = "unload"
            machine.obey(policy.unload(now, ticket, model))
        case "tick":
            machine.obey(policy.tick(now))
        case "release":
            lease = chosen(machine.leases)
            if lease is not None:
                del machine.leases[lease]
                machine.obey(policy.release(now, lease))
        case "cancel":
            waiting = {t: kind for t, kind in machine.open_tickets.items() if kind != "unload"}
            gone = chosen(waiting)
            if gone is not None:
                del machine.open_tickets[gone]
                machine.obey(policy.cancel(now, gone))
        case "loaded" | "failed":
            instance = chosen(machine.loading)
            if instance is None:
                return
            name = machine.loading.pop(instance)
            if step == "failed":
                machine.obey(policy.load_failed(now, instance, "broken"))
            else:
                machine.loaded[instance] = name
                machine.obey(policy.loaded(now, instance, machine.sizes[name] - pick % 3))
        case "unloaded":
            instance = chosen(machine.leaving)
            if instance is not None:
                del machine.leaving[instance]
                machine.obey(policy.unloaded(now, instance))
        case "stuck":
            instance = chosen(machine.leaving)
            if instance is not None:
                lost = min(pick % 2, machine.sizes[machine.leaving.pop(instance)])
                machine.lost += lost
                machine.obey(policy.unload_failed(now, instance, "would not go", lost))


@settings(max_examples=100, deadline=None)
@given(
    steps=STEPS,
    cap=st.integers(0, 3),
    budget=st.sampled_from((0, 12, 20, 33)),
    parallel=st.integers(1, 3),
    min_residency=st.sampled_from((0.0, 5.0)),
    wait=st.sampled_from((0.0, 10.0)),
    ttl=st.sampled_from((None, 15.0)),
)
def test_random_histories_never_break_a_rule(
    steps: list[tuple[str, int, float]], cap: int, budget: int, parallel: int, min_residency: float, wait: float,
    ttl: float | None,
) -> None:  # fmt: skip
    policy = Residency(ResidencyLimits(cap, budget, parallel, min_residency, wait))
    sizes = dict(zip(MODELS, (10, 5, 12, 7), strict=True))
    for model, size in sizes.items():
        policy.describe(model, estimate=size, ttl=ttl)
    machine = Machine(policy, budget, cap, parallel, sizes)
    now = 0.0
    for ticket, (step, pick, later) in enumerate(steps, start=1):
        now += later
        run(machine, step, pick, now, ticket)
    settle(machine, now)
    assert not machine.open_tickets, "somebody waits for ever"
    assert policy.memory_used <= (budget or 10**9)


def settle(machine: Machine, now: float) -> None:
    """All work in hand is finished and time goes on: then nobody may be waiting any more."""
    for _ in range(60):
        for instance in list(machine.loading):
            machine.loaded[instance] = machine.loading.pop(instance)
            machine.obey(machine.policy.loaded(now, instance, 0))
        for instance in list(machine.leaving):
            del machine.leaving[instance]
            machine.obey(machine.policy.unloaded(now, instance))
        if not machine.open_tickets:
            return
        now = machine.policy.next_wakeup(now) or now + 1.0
        machine.obey(machine.policy.tick(now))
