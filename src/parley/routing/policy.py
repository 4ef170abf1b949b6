"""Which worker and which model speak an utterance. Pure: no clock, no I/O, chance is an argument.

Filter by capacity, mode, language, model, speaker and LoRA; prefer tags, then what is resident, then the default
model; among equals take two by chance and of those the one with the shorter queue, then the faster first audio.
Two by chance, because with figures a second old the one best worker of all would be everybody's choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from parley.registry.announcement import AnnouncedModel, Announcement
from parley.routing.settings import ModeSettings
from parley.text.languages import nearness, speaks
from parley.values import Voice, split_lora, with_lora

Chance = Callable[[], float]
"""A number from 0 up to, not including, 1."""


@dataclass(frozen=True, slots=True)
class WorkerState:
    """One worker as the router sees it: its announcement, and what happened since."""

    announcement: Announcement
    in_flight: int = 0
    """Utterances that this router has it speak now."""
    new_sessions: int = 0
    """Sessions that this router opened since the announcement's figures."""
    usable: bool = True
    """False while it cannot be reached."""
    suspect: bool = False
    """It failed of late: as good as any other where there is no other."""

    @property
    def name(self) -> str:
        return self.announcement.name

    @property
    def load(self) -> tuple[int, float, int]:
        """Less is better: the queue, then the first audio, then the sessions."""
        metrics = self.announcement.metrics
        return (metrics.queue_depth + self.in_flight, metrics.first_audio_p50_ms, metrics.sessions + self.new_sessions)

    @property
    def full(self) -> bool:
        """It would refuse one more session."""
        metrics = self.announcement.metrics
        return 0 < metrics.max_sessions <= metrics.sessions + self.new_sessions


@dataclass(frozen=True, slots=True)
class Request:
    """An utterance that looks for a worker."""

    voice: Voice = Voice()
    language: str = ""
    """Of the session, where the voice names none."""
    mode: ModeSettings = field(default_factory=ModeSettings)
    sticky: str = ""
    """The worker that serves the session already."""
    exclude: frozenset[str] = frozenset()
    """Workers that failed this utterance."""
    fallback: bool = False
    """A resident model may speak while the wanted one is loaded."""
    substitute: bool = False
    """The nearest voice may speak where the wanted one is nowhere."""
    family: str = ""
    """Of the voice that spoke so far: what "nearest" starts from."""
    policy: str = "prefer-resident"
    """How one of those that can speak is chosen; see ``RoutingSettings.policy``."""
    crowded: int = 2
    """Utterances waiting at a worker from which on its sessions may move, and its model is loaded elsewhere too."""


Reason = Literal["only", "sticky", "resident", "load", "chance", "cold", "stand_in", "substitute"]
"""Why a worker was chosen: nobody else could speak it; it speaks for the session already; it alone has the model in
memory; it had less to do; by chance; the model has to be read first; it speaks while the wanted model is read, or
in place of a voice that is gone."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where the utterance goes."""

    worker: str
    voice: Voice
    """As it is to be asked for; another model than wanted only with a note."""
    resident: bool = True
    load: tuple[str, str] | None = None
    """(worker, model) to be loaded in the background."""
    reason: Reason = "only"
    note: str = ""
    """For the client, when it is not the voice that was asked for."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nobody can speak it."""

    reason: Literal["not_found", "full", "unavailable"]
    message: str


@dataclass(frozen=True, slots=True)
class _Option:
    worker: WorkerState
    model: AnnouncedModel
    resident: bool

    @property
    def tags(self) -> frozenset[str]:
        said = self.worker.announcement
        return frozenset((*self.model.tags, *said.capabilities, *_own_tags(said), said.device))


def route(request: Request, fleet: Iterable[WorkerState], chance: Chance) -> Route | Refusal:
    """Choose a worker for one utterance, or say why there is none."""
    fleet = tuple(fleet)
    request = replace(request, voice=named(request.voice, (worker.announcement for worker in fleet)))
    wanted = _wanted(request, fleet)
    open_now = [option for option in wanted if _usable(request, option.worker)]
    if not open_now:
        return _nearest(request, fleet, chance) if request.substitute else _refusal(request, wanted)
    if request.fallback and request.voice.model and not any(option.resident for option in open_now):
        stand_in = _stand_in(request, fleet, chance)
        if stand_in is not None:
            loader = _loader(open_now, chance)
            return replace(stand_in, load=(loader.worker.name, loader.model.model_id))
    chosen, reason = _choose(request, open_now, chance)
    load = _relief(request, chosen, open_now, chance)
    return Route(chosen.worker.name, _voice(request.voice, chosen), chosen.resident, load, reason)


# --- what there is ---------------------------------------------------------------------


def _options(fleet: Iterable[WorkerState], model_id: str = "", *, loras: bool = False) -> list[_Option]:
    """One model wherever it is, or every model of every worker that may speak without having been named.

    ``loras``: those with LoRAs may.
    """
    found = []
    for worker in fleet:
        said = worker.announcement
        models = said.models or (AnnouncedModel("", languages=said.languages, is_default=True),)
        for model in models:
            if model.model_id == model_id if model_id else model.is_default or _speaks_unasked(model, loras):
                found.append(_Option(worker, model, not said.models or model.model_id in said.resident_models))
    return found


def _untested(fleet: Iterable[WorkerState]) -> list[_Option]:
    """What may take another voice's place: a test model and a LoRA never do."""
    return [option for option in _options(fleet) if _speaks_unasked(option.model)]


def _speaks_unasked(model: AnnouncedModel, loras: bool = False) -> bool:
    return not model.is_test and (loras or not split_lora(model.model_id)[1])


def _own_tags(said: Announcement) -> Iterable[str]:
    """The worker's tags without those that it has only through another of its models."""
    of_models = {tag for model in said.models for tag in model.tags}
    return (tag for tag in said.tags if tag not in of_models)


def _usable(request: Request, worker: WorkerState) -> bool:
    if worker.name in request.exclude or not worker.usable or worker.announcement.draining:
        return False
    return worker.name == request.sticky or not worker.full


def _wanted(request: Request, fleet: Iterable[WorkerState]) -> list[_Option]:
    """The models that are what was asked for, on workers that may be busy or gone."""
    voice = request.voice
    # a model that was asked for by name may speak another language than the session's
    language = voice.language or ("" if voice.model else request.language)
    return [
        option
        for option in _options(fleet, voice.model, loras="lora" in request.mode.require)
        if (not voice.speaker or has_speaker(option.model, voice))
        and (not voice.lora or has_lora(option.worker.announcement, option.model, voice.lora))
        and speaks(option.model.languages, language)
        and _required(request.mode, option)
    ]


def named(voice: Voice, fleet: Iterable[Announcement]) -> Voice:
    """The same voice, its LoRA in the model's id, where some worker has that; other voices as they are."""
    if not voice.model or not voice.lora or split_lora(voice.model)[1]:
        return voice
    model_id = with_lora(voice.model, voice.lora)
    return replace(voice, model=model_id, lora="") if any(said.model(model_id) for said in fleet) else voice


def has_lora(said: Announcement, model: AnnouncedModel, lora: str) -> bool:
    """Whether a worker has a LoRA for one of its models; one that does not say what it has may."""
    return not model.model_id or said.model(with_lora(model.model_id, lora)) is not None


def has_speaker(model: AnnouncedModel, voice: Voice) -> bool:
    """Whether it speaks as the speaker that is asked for; one that takes any name has to be asked for itself."""
    if not model.model_id:  # a worker that does not say what it has
        return True
    return voice.speaker in model.speakers or (model.open_speakers and bool(voice.model))


def _required(mode: ModeSettings, option: _Option) -> bool:
    return not mode.require or option.tags.issuperset(mode.require)


# --- which of them ---------------------------------------------------------------------


def _choose(request: Request, options: Sequence[_Option], chance: Chance) -> tuple[_Option, Reason]:
    """One of them, and why it."""
    mode, by_name = request.mode, bool(request.voice.model)
    language = request.voice.language or request.language
    residence = request.policy == "prefer-resident"
    # an operator whose default is a test model wants to hear it, and not whatever else might be loaded
    voiced = any(not o.model.is_test and (o.model.is_default or o.resident) for o in options)

    def rank(option: _Option) -> tuple[bool, bool, int, int, bool, bool, bool]:
        cold = residence and mode.prefer_resident and not option.resident
        wanted_tags = -len(option.tags.intersection(mode.prefer_tags)) if mode.prefer_tags else 0
        # tags decide which model speaks, so they count before residence unless the model is given; so does an accent
        accent = 0 if by_name else nearness(option.model.languages, language)
        # suspicion counts last: no session's bad luck with a worker may change the others' voice
        is_test, other = option.model.is_test and voiced, not option.model.is_default
        return (is_test, by_name and cold, wanted_tags, accent, cold, other, option.worker.suspect)

    ranks = [rank(option) for option in options]
    best = min(ranks)
    equals = [option for option, its in zip(options, ranks, strict=True) if its == best]
    stuck = [o for o in equals if o.worker.name == request.sticky and not _crowded(request, o.worker)]
    chosen = _pick(request.policy, stuck or equals, chance)
    return chosen, _reason(request, chosen, options, equals, stuck)


def _pick(policy: str, equals: Sequence[_Option], chance: Chance) -> _Option:
    if policy == "random":
        return equals[int(chance() * len(equals))]
    if policy == "least-busy":
        least = min(option.worker.load for option in equals)
        idle = [option for option in equals if option.worker.load == least]
        return idle[int(chance() * len(idle))]
    return _of_two(equals, chance)


def _reason(
    request: Request,
    chosen: _Option,
    options: Sequence[_Option],
    equals: Sequence[_Option],
    stuck: Sequence[_Option],
) -> Reason:
    if stuck:
        return "sticky"
    if not chosen.resident:
        return "cold"
    if len({option.worker.name for option in options}) == 1:
        return "only"
    if len(equals) == 1:
        return "resident"
    return "chance" if request.policy == "random" else "load"


def _crowded(request: Request, worker: WorkerState) -> bool:
    return worker.announcement.metrics.queue_depth >= request.crowded


def _relief(request: Request, chosen: _Option, options: Sequence[_Option], chance: Chance) -> tuple[str, str] | None:
    """Where a model that is in demand can be loaded besides: where nobody waits and there is memory."""
    if not chosen.resident or not _crowded(request, chosen.worker):
        return None
    model_id = chosen.model.model_id
    idle = [
        option
        for option in options
        if not option.resident
        and option.model.model_id == model_id
        and not option.worker.announcement.metrics.queue_depth
        and _roomy(option)
    ]
    return (_of_two(idle, chance).worker.name, model_id) if idle else None


def _of_two(options: Sequence[_Option], chance: Chance) -> _Option:
    """The less loaded of two different ones taken by chance."""
    first = int(chance() * len(options))
    if len(options) == 1:
        return options[0]
    second = (first + 1 + int(chance() * (len(options) - 1))) % len(options)
    return min(options[first], options[second], key=lambda option: option.worker.load)


def _loader(options: Sequence[_Option], chance: Chance) -> _Option:
    """Where the model is to be loaded: where memory is free, else anywhere."""
    return _of_two([option for option in options if _roomy(option)] or options, chance)


def _roomy(option: _Option) -> bool:
    metrics = option.worker.announcement.metrics
    budget = metrics.memory_budget_bytes
    return not budget or metrics.memory_used_bytes + option.model.memory_bytes <= budget


def _stand_in(request: Request, fleet: Iterable[WorkerState], chance: Chance) -> Route | None:
    """A resident model that may speak meanwhile: the mode's fallbacks in order, then any of the language."""
    language = request.voice.language or request.language

    def able(options: Iterable[_Option]) -> list[_Option]:
        return [
            option
            for option in options
            if option.resident
            and _usable(request, option.worker)
            and speaks(option.model.languages, language)
            and _required(request.mode, option)
        ]

    for model_id in request.mode.fallbacks:
        named = able(_options(fleet, model_id))
        if named:
            return _instead(request, _of_two(named, chance), "is being loaded", "stand_in")
    resident = able(_untested(fleet))
    if not resident:
        return None
    return _instead(request, _choose(_anyone(request), resident, chance)[0], "is being loaded", "stand_in")


def _nearest(request: Request, fleet: Iterable[WorkerState], chance: Chance) -> Route | Refusal:
    """The voice most like the wanted one: its family, then its language, resident before cold."""
    language = request.voice.language or request.language
    speaking = [option for option in _untested(fleet) if speaks(option.model.languages, language)]
    able = [option for option in speaking if _usable(request, option.worker)]
    if not able:
        return _refusal(request, speaking)
    family = [option for option in able if request.family and option.model.family == request.family]
    required = [option for option in able if _required(request.mode, option)]
    chosen, _ = _choose(_anyone(request), family or required or able, chance)
    return _instead(request, chosen, "is not available", "substitute")


def _anyone(request: Request) -> Request:
    return replace(request, voice=Voice())


def _voice(voice: Voice, option: _Option) -> Voice:
    return replace(voice, model=option.model.model_id or voice.model)


def _instead(request: Request, option: _Option, why: str, reason: Reason) -> Route:
    wanted = request.voice
    model = option.model
    speaker = wanted.speaker if wanted.speaker in model.speakers else ""
    lora = wanted.lora if has_lora(option.worker.announcement, model, wanted.lora) else ""
    voice = Voice(model.model_id, speaker, wanted.language, wanted.speed, lora)
    asked = " ".join(filter(None, (wanted.model or "The voice", wanted.speaker)))
    note = f"{asked} {why}; {model.model_id or 'another voice'} speaks instead."
    return Route(option.worker.name, voice, option.resident, reason=reason, note=note)


def _refusal(request: Request, wanted: Sequence[_Option]) -> Refusal:
    what = f"the model {request.voice.model}" if request.voice.model else "this voice"
    if not wanted:
        return Refusal("not_found", f"No worker has {what} for this language and mode; ask for one that is listed.")
    full = [o for o in wanted if o.worker.full and _usable(replace(request, sticky=o.worker.name), o.worker)]
    if full:
        return Refusal("full", f"Every worker that has {what} is full; try again in a moment.")
    return Refusal("unavailable", f"No worker that has {what} can be reached just now.")
