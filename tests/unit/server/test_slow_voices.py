"""Voices that take longer to make their sound than it lasts are named."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from parley.cli.checks import _slow
from parley.registry import Announcement, from_capabilities
from parley.rpc.convert import model_from_proto, model_to_proto
from parley.rpc.values import Capabilities, ModelStatus
from parley.server.fleet import slow_voices
from parley.values import ModelInfo


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
