"""Which worker speaks: filters, preferences, two by chance."""

from __future__ import annotations

import dataclasses
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.registry import AnnouncedModel, Announcement, WorkerMetrics
from parley.routing.policy import Refusal, Request, Route, WorkerState, route
from parley.routing.settings import ModeSettings, RoutingSettings
from parley.values import Voice

TONE = AnnouncedModel("tone", "tone", ("en", "de"), ("low", "high"), ("cpu_ok",), is_default=True)
PIPER_DE = AnnouncedModel("piper-de", "piper", ("de",), (), ("cpu_ok",), memory_bytes=60)
PIPER_EN = AnnouncedModel("piper-en", "piper", ("en-US",), (), ("cpu_ok",))
CSM = AnnouncedModel("csm", "csm", ("en",), (), ("expressive", "lora"), supports_lora=True, needs_gpu=True)
WARM = replace(CSM, model_id="csm+warm")

CATALOGS = st.lists(st.sampled_from([TONE, PIPER_DE, PIPER_EN, CSM]), max_size=3, unique=True)
QUIET = WorkerMetrics()


def worker(
    name: str,
    *models: AnnouncedModel,
    resident: tuple[str, ...] | None = None,
    metrics: WorkerMetrics = QUIET,
    tags: tuple[str, ...] = (),
    device: str = "cpu",
    draining: bool = False,
    **state: object,
) -> WorkerState:
    said = Announcement(
        name,
        f"{name}:7100",
        device=device,
        tags=(*tags, *(tag for model in models for tag in model.tags)),
        models=models,
        resident_models=tuple(model.model_id for model in models) if resident is None else resident,
        metrics=metrics,
        draining=draining,
    )
    return WorkerState(said, **state)  # type: ignore[arg-type]


def never() -> float:
    return 0.0


def chosen(request: Request, *fleet: WorkerState) -> Route:
    result = route(request, fleet, never)
    assert isinstance(result, Route), result
    return result


def refused(request: Request, *fleet: WorkerState) -> str:
    result = route(request, fleet, never)
    assert isinstance(result, Refusal), result
    assert result.message.endswith(".")
    return result.reason


# --- filters ---------------------------------------------------------------------------


def test_an_empty_fleet_has_nobody() -> None:
    assert refused(Request()) == "not_found"


def test_the_model_that_is_asked_for_by_name_speaks() -> None:
    fleet = worker("a", TONE), worker("b", TONE, PIPER_DE)
    assert chosen(Request(Voice("piper-de")), *fleet) == Route("b", Voice("piper-de"))


def test_an_unknown_model_is_not_found() -> None:
    assert refused(Request(Voice("nobody")), worker("a", TONE)) == "not_found"


def test_a_speaker_that_the_model_does_not_offer_is_not_found() -> None:
    assert refused(Request(Voice("tone", "tenor")), worker("a", TONE)) == "not_found"


def test_a_model_that_lists_no_speakers_has_none_by_any_name() -> None:
    assert refused(Request(Voice("piper-de", "anna")), worker("a", PIPER_DE)) == "not_found"


def test_a_model_that_takes_more_speakers_than_it_lists_is_asked_for_any() -> None:
    anybody = replace(PIPER_DE, open_speakers=True)
    assert chosen(Request(Voice("piper-de", "anna")), worker("a", anybody)).worker == "a"


def test_a_lora_needs_a_worker_that_has_it() -> None:
    fleet = worker("a", TONE), worker("b", CSM), worker("c", CSM, WARM)
    assert chosen(Request(Voice(lora="warm")), *fleet).worker == "c"
    assert chosen(Request(Voice("csm", lora="warm")), *fleet).worker == "c"
    assert chosen(Request(Voice("csm+warm")), *fleet).worker == "c"
    assert refused(Request(Voice("csm", lora="cold")), *fleet) == "not_found"


def test_a_lora_that_is_in_memory_is_preferred_and_asked_for_by_its_id() -> None:
    fleet = worker("a", CSM, WARM, resident=("csm",)), worker("b", CSM, WARM, resident=("csm", "csm+warm"))
    route = chosen(Request(Voice("csm", lora="warm")), *fleet)
    assert (route.worker, route.voice.model, route.resident) == ("b", "csm+warm", True)


def test_a_lora_speaks_for_nobody_who_has_not_named_it() -> None:
    fleet = (worker("a", CSM, WARM, resident=("csm", "csm+warm")),)
    assert chosen(Request(Voice()), *fleet).voice.model == "csm"
    assert chosen(Request(Voice("gone"), substitute=True), *fleet).voice.model == "csm"
    assert refused(Request(Voice()), worker("a", WARM)) == "not_found"
    assert chosen(Request(Voice()), worker("a", replace(WARM, is_default=True))).voice.model == "csm+warm"
    mode = ModeSettings(require=("lora",))
    assert chosen(Request(Voice(), mode=mode), worker("a", WARM)).voice.model == "csm+warm"


def test_without_a_model_the_language_chooses() -> None:
    assert chosen(Request(language="de"), worker("a", PIPER_EN), worker("b", PIPER_DE)).voice.model == "piper-de"


def test_the_voices_own_language_counts_more_than_the_sessions() -> None:
    fleet = worker("a", PIPER_EN), worker("b", PIPER_DE)
    assert chosen(Request(Voice(language="en"), language="de"), *fleet).worker == "a"


def test_a_model_asked_for_by_name_may_speak_another_language_than_the_session() -> None:
    assert chosen(Request(Voice("piper-de"), language="en"), worker("b", PIPER_DE)).worker == "b"


def test_a_voice_of_another_region_speaks_where_there_is_none_of_the_wanted_one() -> None:
    assert chosen(Request(language="de-AT"), worker("a", PIPER_EN), worker("b", PIPER_DE)).voice.model == "piper-de"


def test_the_voice_of_the_wanted_region_comes_first() -> None:
    british = dataclasses.replace(PIPER_EN, model_id="piper-gb", languages=("en-GB",), is_default=False)
    american = dataclasses.replace(PIPER_EN, languages=("en-US",))
    assert chosen(Request(language="en-GB"), worker("a", american, british)).voice.model == "piper-gb"


def test_a_language_is_found_under_its_other_tags() -> None:
    chinese = dataclasses.replace(PIPER_DE, model_id="piper-zh", languages=("cmn",))
    assert chosen(Request(language="zh-CN"), worker("a", PIPER_EN, chinese)).voice.model == "piper-zh"


def test_a_worker_that_lists_no_models_speaks_with_its_own() -> None:
    assert chosen(Request(), worker("a")) == Route("a", Voice())


@pytest.mark.parametrize(
    "state", [{"draining": True}, {"usable": False}, {"metrics": WorkerMetrics(max_sessions=1, sessions=1)}]
)
def test_a_worker_that_takes_nothing_new_is_passed_over(state: dict[str, object]) -> None:
    assert chosen(Request(), worker("a", TONE, **state), worker("b", TONE)).worker == "b"  # type: ignore[arg-type]


def test_workers_that_failed_are_passed_over() -> None:
    assert chosen(Request(exclude=frozenset("a")), worker("a", TONE), worker("b", TONE)).worker == "b"


def test_sessions_opened_since_the_announcement_count() -> None:
    full = worker("a", TONE, metrics=WorkerMetrics(max_sessions=3, sessions=1), new_sessions=2)
    assert refused(Request(), full) == "full"


def test_a_full_worker_keeps_the_sessions_it_has() -> None:
    full = worker("a", TONE, metrics=WorkerMetrics(max_sessions=1, sessions=1))
    assert chosen(Request(sticky="a"), full).worker == "a"


def test_when_all_are_full_it_says_full() -> None:
    assert refused(Request(), worker("a", TONE, metrics=WorkerMetrics(max_sessions=1, sessions=1))) == "full"


def test_when_all_are_out_of_reach_it_says_unavailable() -> None:
    assert refused(Request(Voice("tone")), worker("a", TONE, usable=False)) == "unavailable"


# --- modes -----------------------------------------------------------------------------


def test_a_mode_requires_tags() -> None:
    edge = Request(mode=RoutingSettings().edge)
    assert chosen(edge, worker("a", CSM), worker("b", TONE)).worker == "b"
    assert refused(edge, worker("a", CSM)) == "not_found"


def test_a_tag_of_another_model_on_the_worker_does_not_count() -> None:
    fleet = (worker("a", CSM, PIPER_EN),)
    assert chosen(Request(mode=ModeSettings(require=("cpu_ok",))), *fleet).voice.model == "piper-en"


def test_a_tag_of_the_worker_itself_counts() -> None:
    fleet = worker("a", TONE), worker("b", TONE, tags=("edge",))
    assert chosen(Request(mode=ModeSettings(require=("edge",))), *fleet).worker == "b"


def test_a_device_can_be_required() -> None:
    fleet = worker("a", TONE), worker("b", TONE, device="NVIDIA H200")
    assert chosen(Request(mode=ModeSettings(require=("NVIDIA H200",))), *fleet).worker == "b"


def test_preferred_tags_choose_among_models() -> None:
    fleet = worker("a", TONE), worker("b", CSM)
    assert chosen(Request(mode=ModeSettings(prefer_tags=("expressive",))), *fleet).voice.model == "csm"


def test_the_default_model_speaks_when_nothing_else_decides() -> None:
    assert chosen(Request(), worker("a", PIPER_EN, TONE)).voice.model == "tone"


@pytest.mark.parametrize("name", ["default", "edge", "lora"])
def test_the_settings_name_their_mode(name: str) -> None:
    settings = RoutingSettings(mode=name)
    assert settings.mode_settings() is getattr(settings, name)


# --- residence -------------------------------------------------------------------------


def test_a_resident_model_is_preferred() -> None:
    fleet = worker("a", PIPER_DE, resident=()), worker("b", PIPER_DE)
    assert chosen(Request(Voice("piper-de")), *fleet).worker == "b"


def test_residence_can_be_made_not_to_matter() -> None:
    cold = worker("a", PIPER_DE, resident=())
    busy = worker("b", PIPER_DE, metrics=WorkerMetrics(queue_depth=5))
    request = Request(Voice("piper-de"), mode=ModeSettings(prefer_resident=False))
    assert chosen(request, cold, busy).worker == "a"


def test_a_cold_model_is_asked_for_when_nobody_may_stand_in() -> None:
    assert chosen(Request(Voice("piper-de")), worker("a", PIPER_DE, resident=())) == Route(
        "a", Voice("piper-de"), resident=False, reason="cold"
    )


def test_while_the_model_is_loaded_the_modes_fallback_speaks() -> None:
    request = Request(Voice("piper-de"), mode=ModeSettings(fallbacks=("gone", "tone")), fallback=True)
    result = chosen(request, worker("a", PIPER_DE, resident=()), worker("b", TONE, CSM))
    assert (result.worker, result.voice.model, result.load) == ("b", "tone", ("a", "piper-de"))
    assert "piper-de" in result.note


def test_without_a_named_fallback_any_resident_voice_of_the_language_speaks() -> None:
    request = Request(Voice("piper-de", language="de"), fallback=True)
    fleet = worker("a", PIPER_DE, resident=()), worker("b", CSM), worker("c", TONE)
    assert chosen(request, *fleet).voice.model == "tone"


def test_with_nobody_to_stand_in_the_wanted_model_is_waited_for() -> None:
    request = Request(Voice("piper-de", language="de"), fallback=True)
    assert chosen(request, worker("a", PIPER_DE, resident=()), worker("b", CSM)) == Route(
        "a", Voice("piper-de", language="de"), resident=False, reason="cold"
    )


def test_a_model_is_loaded_where_there_is_room() -> None:
    request = Request(Voice("piper-de"), fallback=True)
    tight = worker("a", PIPER_DE, resident=(), metrics=WorkerMetrics(memory_used_bytes=50, memory_budget_bytes=100))
    roomy = worker("b", PIPER_DE, TONE, resident=("tone",), metrics=WorkerMetrics(memory_budget_bytes=100))
    assert chosen(request, tight, roomy).load == ("b", "piper-de")


def test_with_room_nowhere_it_is_loaded_anyway() -> None:
    request = Request(Voice("piper-de"), fallback=True)
    tight = worker(
        "a", PIPER_DE, TONE, resident=("tone",), metrics=WorkerMetrics(memory_used_bytes=99, memory_budget_bytes=100)
    )
    assert chosen(request, tight).load == ("a", "piper-de")


# --- the nearest voice -----------------------------------------------------------------


def lost(model: str, **changes: object) -> Request:
    return Request(Voice(model, "low", "", 1.5), substitute=True, **changes)  # type: ignore[arg-type]


def test_nobody_stands_in_for_a_lost_voice_unless_that_is_allowed() -> None:
    assert refused(Request(Voice("piper-de")), worker("a", TONE)) == "not_found"


def test_the_same_family_stands_in_first() -> None:
    result = chosen(lost("piper-de", family="piper"), worker("a", TONE), worker("b", PIPER_EN))
    assert result.voice == Voice("piper-en", "", "", 1.5)
    assert result.note == "piper-de low is not available; piper-en speaks instead."


def test_then_the_language_decides() -> None:
    fleet = worker("a", PIPER_EN), worker("b", TONE)
    result = chosen(dataclasses.replace(lost("csm", family="csm"), language="de"), *fleet)
    assert result.voice == Voice("tone", "low", "", 1.5)


def test_then_the_mode_decides() -> None:
    request = lost("x", mode=ModeSettings(require=("cpu_ok",)))
    assert chosen(request, worker("a", CSM), worker("b", PIPER_EN)).worker == "b"


def test_a_voice_of_another_mode_is_better_than_silence() -> None:
    assert chosen(lost("x", mode=ModeSettings(require=("cpu_ok",))), worker("a", CSM)).worker == "a"


def test_a_lora_is_kept_where_it_can_be() -> None:
    request = Request(Voice("gone", lora="warm"), substitute=True)
    assert chosen(request, worker("a", CSM, WARM)).voice.lora == "warm"
    assert chosen(request, worker("a", CSM)).voice.lora == ""
    assert chosen(request, worker("a", TONE)).voice.lora == ""


def test_with_nobody_left_there_is_no_nearest_voice() -> None:
    assert refused(lost("tone"), worker("a", TONE, usable=False)) == "unavailable"


def test_a_worker_without_a_list_stands_in_by_no_name() -> None:
    assert "another voice speaks instead" in chosen(lost("piper-de"), worker("a")).note


# --- load ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("busy", "quiet"),
    [
        (WorkerMetrics(queue_depth=2), WorkerMetrics(queue_depth=1, first_audio_p50_ms=500)),
        (WorkerMetrics(first_audio_p50_ms=200), WorkerMetrics(first_audio_p50_ms=100, sessions=9)),
        (WorkerMetrics(sessions=3), WorkerMetrics(sessions=2)),
    ],
)
def test_the_shorter_queue_then_the_faster_first_audio_then_fewer_sessions(
    busy: WorkerMetrics, quiet: WorkerMetrics
) -> None:
    assert chosen(Request(), worker("a", TONE, metrics=busy), worker("b", TONE, metrics=quiet)).worker == "b"


def test_utterances_under_way_count_as_queue() -> None:
    assert chosen(Request(), worker("a", TONE, in_flight=1), worker("b", TONE)).worker == "b"


def test_a_session_stays_with_its_worker() -> None:
    fleet = worker("a", TONE), worker("b", TONE, in_flight=7)
    assert chosen(Request(sticky="b"), *fleet).worker == "b"


def test_a_session_may_leave_a_crowded_worker() -> None:
    fleet = worker("a", TONE), worker("b", TONE, metrics=WorkerMetrics(queue_depth=2))
    assert chosen(Request(sticky="b"), *fleet).worker == "a"


def test_a_model_in_demand_is_loaded_where_nobody_waits() -> None:
    crowded = worker("a", PIPER_DE, metrics=WorkerMetrics(queue_depth=2))
    waiting = worker("b", PIPER_DE, resident=(), metrics=WorkerMetrics(queue_depth=1))
    tight = worker("c", PIPER_DE, resident=(), metrics=WorkerMetrics(memory_used_bytes=50, memory_budget_bytes=60))
    idle = worker("d", PIPER_DE, resident=())
    result = chosen(Request(Voice("piper-de")), crowded, waiting, tight, idle)
    assert (result.worker, result.load, result.note) == ("a", ("d", "piper-de"), "")


def test_a_model_in_demand_that_is_everywhere_is_loaded_nowhere() -> None:
    crowded = worker("a", PIPER_DE, metrics=WorkerMetrics(queue_depth=2))
    assert chosen(Request(Voice("piper-de")), crowded).load is None


def test_a_session_leaves_a_worker_whose_model_is_not_resident() -> None:
    fleet = worker("a", PIPER_DE, resident=()), worker("b", PIPER_DE)
    assert chosen(Request(Voice("piper-de"), sticky="a"), *fleet).worker == "b"


@given(st.integers(2, 12), st.integers(0, 2**32))
def test_the_busiest_of_all_is_never_chosen(count: int, seed: int) -> None:
    fleet = [worker(f"w{i}", TONE, metrics=WorkerMetrics(queue_depth=i)) for i in range(count)]
    result = route(Request(), fleet, random.Random(seed).random)
    assert isinstance(result, Route)
    assert result.worker != f"w{count - 1}"


@given(
    st.lists(st.tuples(CATALOGS, st.booleans(), st.booleans(), st.integers(0, 3), st.booleans()), max_size=6),
    st.sampled_from(["", "tone", "piper-de", "csm", "unknown"]),
    st.sampled_from(["", "en", "de", "fr"]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_whoever_is_chosen_can_take_it(
    rows: list[tuple[list[AnnouncedModel], bool, bool, int, bool]],
    model: str,
    language: str,
    fallback: bool,
    substitute: bool,
    seed: int,
) -> None:
    fleet = [
        worker(
            f"w{i}",
            *models,
            resident=tuple(m.model_id for m in models) if resident else (),
            draining=draining,
            usable=usable,
            metrics=WorkerMetrics(sessions=sessions, max_sessions=3),
        )
        for i, (models, resident, draining, sessions, usable) in enumerate(rows)
    ]
    request = Request(Voice(model), language, fallback=fallback, substitute=substitute)
    result = route(request, fleet, random.Random(seed).random)
    if isinstance(result, Refusal):
        assert result.message
        return
    taken = next(state for state in fleet if state.name == result.worker)
    assert taken.usable
    assert not taken.announcement.draining
    assert not taken.full
    if result.voice.model:
        assert taken.announcement.model(result.voice.model) is not None
    assert bool(result.note) == (bool(model) and result.voice.model != model)


# --- the policy, and why ---------------------------------------------------------------


def busy(name: str, queue: int, *models: AnnouncedModel, **state: object) -> WorkerState:
    return worker(name, *(models or (TONE,)), metrics=WorkerMetrics(queue_depth=queue), **state)  # type: ignore[arg-type]


def test_the_least_busy_of_all_is_chosen_where_the_policy_says_so() -> None:
    fleet = [busy(name, queue) for name, queue in (("a", 5), ("b", 4), ("c", 1), ("d", 3))]
    assert chosen(Request(policy="least-busy"), *fleet).worker == "c"


def test_the_least_busy_is_chosen_though_it_has_to_read_the_model() -> None:
    fleet = busy("a", 5, PIPER_DE), busy("b", 0, PIPER_DE, resident=())
    assert chosen(Request(Voice("piper-de"), policy="least-busy"), *fleet).worker == "b"


@given(st.floats(0, 1, exclude_max=True))
def test_at_random_any_of_them_is_chosen(number: float) -> None:
    fleet = [busy(name, queue) for name, queue in (("a", 50), ("b", 0), ("c", 9))]
    result = route(Request(policy="random"), fleet, lambda: number)
    assert isinstance(result, Route)
    assert result.worker == "abc"[int(number * 3)]


@pytest.mark.parametrize("policy", ["prefer-resident", "least-busy", "random"])
def test_no_policy_changes_what_a_session_may_speak_with(policy: str) -> None:
    fleet = worker("a", CSM), worker("b", PIPER_DE)
    assert chosen(Request(Voice("piper-de"), policy=policy), *fleet).worker == "b"


@pytest.mark.parametrize(
    ("request_", "fleet", "reason"),
    [
        (Request(), (busy("a", 0),), "only"),
        (Request(sticky="b"), (busy("a", 0), busy("b", 0)), "sticky"),
        (Request(), (busy("a", 0), busy("b", 1)), "load"),
        (Request(policy="random"), (busy("a", 0), busy("b", 1)), "chance"),
        (Request(Voice("piper-de")), (worker("a", PIPER_DE, resident=()), worker("b", PIPER_DE)), "resident"),
        (Request(Voice("piper-de")), (worker("a", PIPER_DE, resident=()),), "cold"),
        (
            Request(Voice("piper-de"), fallback=True),
            (worker("a", PIPER_DE, resident=()), worker("b", CSM)),
            "stand_in",
        ),
        (Request(Voice("gone"), substitute=True), (worker("b", CSM),), "substitute"),
    ],
)
def test_a_choice_says_why(request_: Request, fleet: tuple[WorkerState, ...], reason: str) -> None:
    assert chosen(request_, *fleet).reason == reason
