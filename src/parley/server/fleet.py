"""The voices of all workers as one list, and what the fleet says of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from parley.asr.workload import Working
from parley.errors import NotFound, ParleyError, UnavailableError
from parley.observability.metrics import Sample
from parley.text.languages import speaks
from parley.values import Voice

if TYPE_CHECKING:
    from parley.interfaces import Recognizer
    from parley.registry import AnnouncedModel
    from parley.routing.fleet import WorkerHandles
    from parley.routing.pool import PooledSynthesizer
    from parley.rpc.values import ModelStatus

_FASTER = 0.7
"""Share of a voice's work that another one may take, at most, to be worth the change."""
_BEST_FIRST = ("resident", "loading", "available", "evicting", "failed")


class FleetModels:
    """``server.models.Fleet`` over the pool's workers."""

    def __init__(self, pool: PooledSynthesizer) -> None:
        self._pool = pool

    async def models(self) -> Sequence[ModelStatus]:
        """Every model that some worker has, sorted by id, in its best state anywhere."""
        best: dict[str, ModelStatus] = {}
        slowest: dict[str, float] = {}  # whichever worker loads it
        for found in await asyncio.gather(*(_models_of(worker) for worker in self._workers())):
            for status in found:
                slowest[status.info.model_id] = max(status.load_seconds, slowest.get(status.info.model_id, 0.0))
                known = best.get(status.info.model_id)
                if known is None or _rank(status) < _rank(known):
                    best[status.info.model_id] = status
        return [replace(best[model_id], load_seconds=slowest[model_id]) for model_id in sorted(best)]

    async def load_model(self, model_id: str) -> None:
        """Make it resident on the first worker that can."""
        failure: ParleyError = NotFound(f"No worker has a model called {model_id!r}.")
        for worker in self._workers():
            try:
                await worker.load(model_id)
            except NotFound:
                continue
            except ParleyError as error:
                failure = error
            else:
                return
        raise failure

    async def unload_model(self, model_id: str) -> None:
        """Free it everywhere."""
        found = False
        for worker in self._workers():
            try:
                await worker.unload(model_id)
            except NotFound:
                continue
            found = True
        if not found:
            raise NotFound(f"No worker has a model called {model_id!r}.")

    def _workers(self) -> list[WorkerHandles]:
        fleet = self._pool.fleet
        links = [fleet.link(member) for member in fleet.members.values() if not member.left]
        if not links:
            raise UnavailableError("No worker is there.")
        return [link.worker for link in links]


async def _models_of(worker: WorkerHandles) -> Sequence[ModelStatus]:
    try:
        return await worker.models()
    except ParleyError:
        return ()  # the others' models are worth showing all the same


def _rank(status: ModelStatus) -> int:
    return _BEST_FIRST.index(status.state)


def announced_by(pool: PooledSynthesizer) -> list[AnnouncedModel]:
    """What some worker announces, but the test tones, sorted by id."""
    announced = {
        model.model_id: model
        for member in pool.fleet.members.values()
        for model in member.announcement.models
        if "test" not in model.tags
    }
    return [announced[model_id] for model_id in sorted(announced)]


def speakers_of(pool: PooledSynthesizer) -> dict[str, tuple[str, ...]]:
    """Each model that some worker announces, but the test tones, with all speakers that any of them lists.

    One that was starting while a recording became a voice may not list it yet.
    """
    found: dict[str, dict[str, None]] = {}
    for member in pool.fleet.members.values():
        for model in member.announcement.models:
            if "test" not in model.tags:
                found.setdefault(model.model_id, {}).update(dict.fromkeys(model.speakers))
    return {model_id: tuple(speakers) for model_id, speakers in found.items()}


def voices_of(pool: PooledSynthesizer) -> list[Voice]:
    """The voices that a conversation can switch to: each model but the test tones, with its speakers."""
    voices: dict[tuple[str, str], Voice] = {}
    for member in pool.fleet.members.values():
        for model in member.announcement.models:
            if "test" not in model.tags:
                for speaker in model.speakers[:6] or ("",):
                    voices.setdefault((model.model_id, speaker), Voice(model=model.model_id, speaker=speaker))
    return list(voices.values())


def models_in_use(named: Mapping[str, str], pool: PooledSynthesizer) -> dict[str, str]:
    """``named`` with the voice that the workers themselves say speaks where nobody names one."""
    defaults = {
        model.model_id
        for member in pool.fleet.members.values()
        for model in member.announcement.models
        if model.is_default
    }
    return {**named, **({"voice": ", ".join(sorted(defaults))} if defaults else {})}


def slow_voices(pool: PooledSynthesizer) -> dict[str, float]:
    """Models that take longer to make their sound than it lasts, and how much longer, where they are fastest."""
    best: dict[str, float] = {}
    for member in pool.fleet.members.values():
        for model in member.announcement.models:
            if model.real_time_factor > 0:
                best[model.model_id] = min(model.real_time_factor, best.get(model.model_id, model.real_time_factor))
    return {model_id: round(factor, 2) for model_id, factor in sorted(best.items()) if factor > 1}


def faster_voice(pool: PooledSynthesizer, voice: Voice) -> Voice | None:
    """A voice for the same language that some worker has in memory and makes faster than this one is made anywhere.

    The fastest; None where nobody is, and where nobody has measured this one.
    """
    known: dict[str, tuple[float, AnnouncedModel]] = {}
    default = ""
    for member in pool.fleet.members.values():
        for model in member.announcement.models:
            default = default or (model.model_id if model.is_default else "")
            if model.real_time_factor > 0 and model.model_id in member.announcement.resident_models:
                factor = min(model.real_time_factor, known.get(model.model_id, (float("inf"), model))[0])
                known[model.model_id] = factor, model
    now, of_now = known.get(voice.model or default, (0.0, None))
    language = voice.language or (of_now.languages[0] if of_now is not None and of_now.languages else "")
    fitting = [
        (factor, model.model_id)
        for factor, model in known.values()
        if factor < _FASTER * now and not model.is_test and (not language or speaks(model.languages, language))
    ]
    return Voice(min(fitting)[1], language=voice.language, speed=voice.speed) if fitting else None


def ears_figures(recognizer: Recognizer) -> Iterable[Sample]:
    """What the recogniser has to do, for the metrics; nothing of one that does not say."""
    if not isinstance(recognizer, Working):
        return
    work = recognizer.workload
    yield Sample("parley_recognizer_turns", work.turns)
    yield Sample("parley_recognizer_waiting_seconds", work.waiting)
    yield Sample("parley_recognizer_lag_seconds", work.lag)
    yield Sample("parley_recognizer_decoders", work.decoders)
    yield Sample("parley_recognizer_decoders_busy", work.busy)
    yield Sample("parley_recognizer_deaths_total", work.deaths)


def figures_of(pool: PooledSynthesizer) -> Iterable[Sample]:
    """What the pool and its workers say of themselves, for the metrics."""
    members = list(pool.fleet.members.values())
    yield Sample("parley_workers", len(members))
    yield Sample("parley_registry_up", all(health.connected for health in pool.registry_health()))
    yield Sample("parley_utterances_total", pool.stats.utterances)
    yield Sample("parley_failovers_total", pool.stats.failovers)
    yield Sample("parley_utterances_given_up_total", pool.stats.given_up)
    yield Sample("parley_utterances_refused_total", pool.stats.refused)
    yield Sample("parley_utterances_stood_in_total", pool.stats.stood_in)
    for reason, count in pool.stats.reasons.items():
        yield Sample("parley_routes_total", count, reason)
    suspects = {state.name for state in pool.fleet.states() if state.suspect}
    for member in members:
        name, said = member.name, member.announcement.metrics
        yield Sample("parley_worker_sessions", said.sessions, name)
        yield Sample("parley_worker_queue_depth", said.queue_depth, name)
        yield Sample("parley_worker_first_audio_seconds", said.first_audio_p50_ms / 1000, name)
        yield Sample("parley_worker_real_time_factor", said.real_time_factor, name)
        yield Sample("parley_worker_avoided", name in suspects, name)
