"""Test tones speak for those who named them, and for nobody else."""

from __future__ import annotations

import pytest

from parley.registry import AnnouncedModel, Announcement
from parley.routing.policy import Request, Route, WorkerState, route
from parley.routing.settings import ModeSettings
from parley.values import Voice


def chosen(*models: AnnouncedModel, cold: tuple[str, ...] = (), **request: object) -> str:
    """The model that speaks; the reason of a refusal where none does."""
    resident = tuple(model.model_id for model in models if model.model_id not in cold)
    said = Announcement("w", "127.0.0.1:1", models=models, resident_models=resident)
    found = route(Request(**request), [WorkerState(said)], lambda: 0.0)  # type: ignore[arg-type]
    return found.voice.model if isinstance(found, Route) else found.reason


def tone(**fields: object) -> AnnouncedModel:
    return AnnouncedModel("tone", "tone", tags=("test",), **fields)  # type: ignore[arg-type]


def voice(name: str = "amy", **fields: object) -> AnnouncedModel:
    return AnnouncedModel(name, "piper", ("en",), **fields)  # type: ignore[arg-type]


def test_a_test_model_that_is_named_speaks() -> None:
    assert chosen(voice(is_default=True), tone(), voice=Voice("tone")) == "tone"


def test_a_speaker_that_nobody_has_is_not_spoken_as_test_tones() -> None:
    assert chosen(voice(is_default=True), tone(), voice=Voice(speaker="nobody")) == "not_found"


def test_a_named_speaker_of_a_model_without_a_list_is_refused() -> None:
    assert chosen(voice(), voice=Voice("amy", "nobody")) == "not_found"


def test_a_model_that_takes_any_name_takes_it_when_it_is_asked_for_itself() -> None:
    assert chosen(voice(open_speakers=True), voice=Voice("amy", "somebody")) == "amy"


def test_a_resident_test_model_is_not_chosen_before_a_voice_that_has_to_be_loaded() -> None:
    assert chosen(voice(), tone(), cold=("amy",)) == "amy"


def test_a_test_model_is_the_default_where_its_operator_made_it_so_and_nothing_else_is_there() -> None:
    assert chosen(tone(is_default=True)) == "tone"


def test_a_default_test_model_comes_after_every_voice_that_speaks_somewhere() -> None:
    assert chosen(tone(is_default=True), voice()) == "amy"


def test_no_voice_is_loaded_in_place_of_a_test_model_that_its_operator_made_the_default() -> None:
    assert chosen(tone(is_default=True), voice(), cold=("amy",)) == "tone"


def test_a_test_model_does_not_stand_in_while_the_wanted_voice_is_loaded() -> None:
    assert chosen(voice(), tone(), cold=("amy",), voice=Voice("amy"), fallback=True) == "amy"


def test_a_fallback_that_the_operator_named_may_be_a_test_model() -> None:
    mode = ModeSettings(fallbacks=("tone",))
    assert chosen(voice(), tone(), cold=("amy",), voice=Voice("amy"), fallback=True, mode=mode) == "tone"


@pytest.mark.parametrize("is_default", [True, False])
def test_a_test_model_does_not_take_a_lost_voices_place(is_default: bool) -> None:
    assert chosen(tone(is_default=is_default), voice=Voice("amy"), substitute=True) == "not_found"


def test_a_worker_with_test_models_alone_has_nothing_for_those_who_name_none() -> None:
    assert chosen(tone()) == "not_found"
