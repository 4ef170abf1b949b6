"""Voices that take longer to make their sound than it lasts are named, and faster ones are known."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from parley.cli.checks import _slow
from parley.registry import Announcement, from_capabilities
from parley.rpc.convert import model_from_proto, model_to_proto
from parley.rpc.values import Capabilities, ModelStatus
from parley.server.fleet import faster_voice, slow_voices, speakers_of
from parley.values import ModelInfo, Voice


def worker(name: str, **factors: float) -> Announcement:
    """What a worker says of itself once it has been over the wire and through a registry."""
    statuses = [ModelStatus(ModelInfo(model, "f"), real_time_factor=factor) for model, factor in factors.items()]
    heard = [model_from_proto(model_to_proto(status)) for status in statuses]
    said = from_capabilities(Capabilities(worker_name=name), heard, address="127.0.0.1:7100")
    return Announcement.from_json(said.to_json())


def fleet(*workers: Announcement) -> Any:
    members = {said.name: SimpleNamespace(announcement=said) for said in workers}
    return SimpleNamespace(fleet=SimpleNamespace(members=members))


def test_a_voice_is_slow_where_no_worker_makes_it_in_real_time() -> None:
    there = fleet(worker("one", kokoro=1.3, joe=0.1, csm=2.0), worker("two", kokoro=1.2, joe=1.1, unmeasured=0.0))
    assert slow_voices(there) == {"csm": 2.0, "kokoro": 1.2}


def test_the_doctor_names_them() -> None:
    assert _slow({"slow_voices": {"csm": 2.0}}) == "; the voice csm takes 2 s for a second of speech"
    assert _slow({"status": "ok"}) == ""


def in_memory(said: Announcement, *models: str, language: str = "en") -> Announcement:
    spoken = tuple(replace(model, languages=(language,)) for model in said.models)
    return replace(said, models=spoken, resident_models=models)


def test_a_faster_voice_is_the_fastest_that_is_in_memory_and_speaks_the_language() -> None:
    one = in_memory(worker("one", csm=1.3, joe=0.3, amy=0.1), "csm", "joe")
    two = in_memory(worker("two", thorsten=0.05), "thorsten", language="de")
    there = fleet(one, two)
    assert faster_voice(there, Voice(model="csm", speed=1.2)) == Voice(model="joe", speed=1.2)
    assert faster_voice(there, Voice(model="joe")) is None
    assert faster_voice(there, Voice(model="nobody knows")) is None


def test_a_voice_that_is_hardly_faster_is_not_worth_the_change() -> None:
    there = fleet(in_memory(worker("one", csm=1.0, joe=0.8), "csm", "joe"))
    assert faster_voice(there, Voice(model="csm")) is None


def test_a_speaker_is_known_where_any_worker_has_it() -> None:
    def having(name: str, *speakers: str) -> Announcement:
        said = worker(name, cat=0.1)
        return replace(said, models=tuple(replace(model, speakers=speakers) for model in said.models))

    assert speakers_of(fleet(having("one", "me", "you"), having("two", "you"))) == {"cat": ("me", "you")}
