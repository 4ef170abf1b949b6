"""How the routing policy spreads a fleet's work, against chance and taking turns: a simulation, no process is started.

1,000 sessions talk through 50 workers, of which a third is half as fast. Each session keeps one of 40 models,
some much more wanted than others. A worker holds six (two at the start), loads what it lacks before it speaks,
evicts what was used least recently, and has four engine slots. The router's figures are up to a second old, as
with real heartbeats, and four routers share the fleet without knowing of each other. "parley" is the code that
routes real utterances; "parley + fallback" also lets a resident voice speak while the wanted one is loaded.
Parameters: ``workers``, ``models``, ``slots``, ``seconds`` (simulated), ``warm`` (the first seconds, not counted).
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from parley.bench.report import BenchOptions, Goal, LoadMeter, Param, Row, row
from parley.registry import AnnouncedModel, Announcement, WorkerMetrics
from parley.routing.policy import Request, Route, WorkerState, route
from parley.values import Voice

SESSIONS = 1_000
ROUTERS = 4
RESIDENT = 6
RESIDENT_AT_START = 2
HEARTBEAT = 1.0
LOAD_SECONDS = (3.0, 9.0)
FIRST_AUDIO = 0.12
"""Seconds to the first frame on a fast worker that is idle."""
REAL_TIME_FACTOR = 0.22
SPEECH_SECONDS = (1.5, 7.0)
PAUSE_SECONDS = (3.0, 15.0)


@dataclass(slots=True)
class _Worker:
    """A simulated worker: slots, a queue, models in memory."""

    name: str
    slots: int
    slowness: float
    models: tuple[AnnouncedModel, ...]
    resident: OrderedDict[str, None]
    loading: dict[str, float] = field(default_factory=dict)
    """Model -> when it will be there."""
    queue: deque[_Utterance] = field(default_factory=deque)
    speaking: int = 0
    busy: float = 0.0
    loads: int = 0
    evictions: int = 0
    said: Announcement | None = None

    def announce(self) -> None:
        metrics = WorkerMetrics(len(self.queue), 1000 * FIRST_AUDIO * self.slowness, REAL_TIME_FACTOR * self.slowness)
        self.said = Announcement(
            self.name, f"{self.name}:1", models=self.models, resident_models=tuple(self.resident), metrics=metrics
        )

    def want(self, model: str, now: float, chance: random.Random) -> float:
        """When the model can speak; it is loaded when it is not there."""
        if model in self.resident:
            self.resident.move_to_end(model)
            return now
        if model not in self.loading:
            self.loads += 1
            self.loading[model] = now + chance.uniform(*LOAD_SECONDS)
        return self.loading[model]

    def loaded(self, model: str) -> None:
        self.loading.pop(model, None)
        if model not in self.resident and len(self.resident) >= RESIDENT:
            self.resident.popitem(last=False)
            self.evictions += 1
        self.resident[model] = None


@dataclass(slots=True)
class _Utterance:
    session: _Session
    asked_at: float
    speech: float


@dataclass(slots=True)
class _Session:
    model: str
    router: int
    worker: str = ""
    """Where it spoke last with its own voice."""


Choose = Callable[["_Fleet", _Session], tuple[str, str]]
"""(worker, model) for the session's next utterance."""


class _Fleet:
    """The simulation: events in order of time."""

    def __init__(self, options: BenchOptions, choose: Choose) -> None:
        self.chance = random.Random(options.seed)
        self._choose = choose
        self._count = int(options.number("workers", 50))
        names = [f"voice-{i}" for i in range(int(options.number("models", 40)))]
        self._weights = [1 / (rank + 1) for rank in range(len(names))]
        models = tuple(AnnouncedModel(name, "sim", ("en",)) for name in names)
        self.names = names
        self.workers = {
            f"w{i:02}": _Worker(
                f"w{i:02}",
                int(options.number("slots", 4)),
                2.0 if i % 3 == 2 else 1.0,
                models,
                OrderedDict.fromkeys(self.chance.sample(names, RESIDENT_AT_START)),
            )
            for i in range(self._count)
        }
        self.in_flight = [dict.fromkeys(self.workers, 0) for _ in range(ROUTERS)]
        self.turns = itertools.cycle(self.workers)
        self.first_audio: list[float] = []
        self.stood_in = 0
        self.spoken = 0
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._number = itertools.count()
        self._warm = options.number("warm", 0)
        self._end = options.number("seconds", 300) + self._warm
        self._counting = False
        self.now = 0.0
        sessions = options.sessions[0] if options.sessions else SESSIONS
        self.sessions = [_Session(self.chance.choices(names, self._weights)[0], i % ROUTERS) for i in range(sessions)]

    def run(self) -> None:
        for worker in self.workers.values():
            worker.announce()
            self._at(self.chance.uniform(0, HEARTBEAT), self._heartbeat(worker))
        for session in self.sessions:
            self._at(self.chance.uniform(0, PAUSE_SECONDS[1]), self._turn(session))
        self._at(self._warm, self._begin_to_count)
        while self._events:
            now, _, event = heapq.heappop(self._events)
            if now > self._end:
                break
            self.now = now
            event(now)

    def states(self, router: int) -> Iterator[WorkerState]:
        for name, worker in self.workers.items():
            assert worker.said is not None
            yield WorkerState(worker.said, self.in_flight[router][name])

    # --- events ---

    def _at(self, when: float, event: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when, next(self._number), event))

    def _begin_to_count(self, now: float) -> None:
        self._counting = True
        for worker in self.workers.values():
            worker.busy, worker.loads, worker.evictions = 0.0, 0, 0
        self.stood_in = 0

    def _heartbeat(self, worker: _Worker) -> Callable[[float], None]:
        def event(now: float) -> None:
            worker.announce()
            self._at(now + HEARTBEAT, event)

        return event

    def _turn(self, session: _Session) -> Callable[[float], None]:
        def event(now: float) -> None:
            name, model = self._choose(self, session)
            session.worker = name if model == session.model else session.worker
            self.in_flight[session.router][name] += 1
            worker = self.workers[name]
            ready = self.load(name, model, now)
            utterance = _Utterance(session, now, self.chance.uniform(*SPEECH_SECONDS))
            self._at(ready, lambda at: self._enter(worker, utterance, at))

        return event

    def load(self, name: str, model: str, now: float) -> float:
        """Have a worker load a model unless it has it; when it will be there."""
        worker = self.workers[name]
        fresh = model not in worker.loading
        ready = worker.want(model, now, self.chance)
        if ready > now and fresh:
            self._at(ready, lambda _: worker.loaded(model))
        return ready

    def _enter(self, worker: _Worker, utterance: _Utterance, now: float) -> None:
        worker.queue.append(utterance)
        self._serve(worker, now)

    def _serve(self, worker: _Worker, now: float) -> None:
        while worker.queue and worker.speaking < worker.slots:
            utterance = worker.queue.popleft()
            worker.speaking += 1
            if self._counting:
                self.spoken += 1
                waited = now - utterance.asked_at + FIRST_AUDIO * worker.slowness
                self.first_audio.append(1000 * waited)
            work = utterance.speech * REAL_TIME_FACTOR * worker.slowness
            worker.busy += work
            self._at(now + work, self._done(worker, utterance))

    def _done(self, worker: _Worker, utterance: _Utterance) -> Callable[[float], None]:
        def event(now: float) -> None:
            worker.speaking -= 1
            session = utterance.session
            self.in_flight[session.router][worker.name] -= 1
            heard = utterance.asked_at + utterance.speech
            self._at(max(now, heard) + self.chance.uniform(*PAUSE_SECONDS), self._turn(session))
            self._serve(worker, now)

        return event


# --- the contestants -------------------------------------------------------------------


def _parley(*, fallback: bool, sticky: bool = True) -> Choose:
    def choose(fleet: _Fleet, session: _Session) -> tuple[str, str]:
        request = Request(Voice(session.model), fallback=fallback, sticky=session.worker if sticky else "")
        chosen = route(request, fleet.states(session.router), fleet.chance.random)
        assert isinstance(chosen, Route)
        if chosen.note:
            fleet.stood_in += 1
        if chosen.load is not None:
            fleet.load(*chosen.load, fleet.now)
        return chosen.worker, chosen.voice.model

    return choose


def _by_chance(fleet: _Fleet, session: _Session) -> tuple[str, str]:
    return fleet.chance.choice(list(fleet.workers)), session.model


def _in_turn(fleet: _Fleet, session: _Session) -> tuple[str, str]:
    return next(fleet.turns), session.model


CONTESTANTS: dict[str, Choose] = {
    "parley": _parley(fallback=False),
    "parley, not sticky": _parley(fallback=False, sticky=False),
    "parley + fallback": _parley(fallback=True),
    "random": _by_chance,
    "round-robin": _in_turn,
}


def run(options: BenchOptions) -> list[Row]:
    rows: list[Row] = []
    meter = LoadMeter()
    for name, choose in CONTESTANTS.items():
        fleet = _Fleet(options, choose)
        fleet.run()
        about: dict[str, Param] = {"policy": name}
        workers = fleet.workers.values()
        rows += [
            row("first audio", "ms", fleet.first_audio, goal=_goal(name), params=about),
            row("models loaded", "in all", [float(sum(w.loads for w in workers))], params=about),
            row("models evicted", "in all", [float(sum(w.evictions for w in workers))], params=about),
            row("spoken by another voice", "%", [100 * fleet.stood_in / max(1, fleet.spoken)], params=about),
            row("fairness of load (Jain)", "0..1", [fairness([w.busy for w in workers])], params=about),
        ]
    return [replace(each, load=meter.read()) for each in rows]


def _goal(name: str) -> Goal:
    return Goal(150, 600) if name == "parley" else Goal()


def fairness(shares: list[float]) -> float:
    """Jain's index: 1 when all carry the same, 1/n when one carries all."""
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 1.0
