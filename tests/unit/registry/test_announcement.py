"""Announcements survive the wire, and addresses that nobody else can reach are complained about."""

from __future__ import annotations

import json

import pytest

from parley.errors import ConfigError
from parley.registry import Announcement, address_complaint, from_capabilities
from parley.registry.announcement import many_hosts, split_address
from parley.rpc.values import Capabilities, ModelStatus
from parley.testing.registries import worker
from parley.values import ModelInfo


def test_an_announcement_comes_back_from_json_unchanged() -> None:
    assert Announcement.from_json(worker().to_json()) == worker()


def test_fields_of_a_newer_worker_are_passed_over() -> None:
    data = json.loads(worker().to_json())
    data["colour"] = "green"
    data["models"][0]["mood"] = "calm"
    data["metrics"]["heat"] = 3
    assert Announcement.from_json(json.dumps(data)) == worker()


def test_fields_that_an_older_worker_leaves_out_have_their_defaults() -> None:
    assert Announcement.from_json('{"name":"old","address":"h:1"}') == Announcement("old", "h:1")


@pytest.mark.parametrize("text", ["[]", "{}", "nonsense", '{"name":"x"}', '{"name":"x","address":"h:1","models":[1]}'])
def test_anything_else_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        Announcement.from_json(text)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", ""),
        ("name", 5),
        ("name", "x" * 1000),
        ("name", "bell\u0007"),
        ("address", None),
        ("address", "http://10.0.0.5:7100"),
        ("address", "unix:/tmp/socket:1"),
        ("address", "dns:///evil.example:7100"),
        ("address", "10.0.0.5:99999999999999999999"),
        ("draining", "no"),
        ("languages", "en"),
        ("tags", [1]),
        ("resident_models", {}),
        ("models", [{"model_id": 5}]),
        ("models", [{"model_id": "m", "memory_bytes": -1}]),
        ("metrics", {"queue_depth": -1}),
        ("metrics", {"sessions": 1e300}),
        ("metrics", {"max_sessions": True}),
        ("metrics", {"first_audio_p50_ms": float("nan")}),
        ("metrics", {"real_time_factor": float("inf")}),
        ("metrics", []),
    ],
)
def test_what_cannot_be_true_is_a_value_error(path: str, value: object) -> None:
    data = {**json.loads(worker().to_json()), path: value}
    with pytest.raises(ValueError):
        Announcement.from_json(json.dumps(data))


def test_json_without_a_bottom_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        Announcement.from_json("[" * 200_000)


@pytest.mark.parametrize(
    ("address", "complains"),
    [
        ("0.0.0.0:7100", True),
        ("[::]:7100", True),
        ("localhost:7100", True),
        ("127.0.0.1:7100", True),
        ("[::1]:7100", True),
        ("10.0.0.5:7100", False),
        ("gpu-1.example.org:7100", False),
        ("[fd00::5]:7100", False),
    ],
)
def test_an_address_of_this_machine_only_is_complained_about(address: str, complains: bool) -> None:
    assert bool(address_complaint(address)) is complains


@pytest.mark.parametrize("address", ["", "host", "host:", ":7100", "host:x", "host:0", "host:70000"])
def test_what_is_no_address_is_a_configuration_error(address: str) -> None:
    with pytest.raises(ConfigError):
        address_complaint(address)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://10.0.0.1:6379/0", True),
        ("rediss://:secret@registry.example.org:6380", True),
        ("redis://127.0.0.1:6379", False),
        ("redis://localhost", False),
        ("redis://[::1]:6379", False),
        ("", False),
    ],
)
def test_a_registry_on_another_host_may_hold_many(url: str, expected: bool) -> None:
    assert many_hosts(url) is expected


def test_a_v6_address_loses_its_brackets() -> None:
    assert split_address("[fd00::5]:7100") == ("fd00::5", 7100)


def test_a_model_is_found_by_its_id() -> None:
    assert worker().model("tone") == worker().models[0]
    assert worker().model("other") is None


def test_capabilities_become_an_announcement() -> None:
    model = ModelStatus(
        ModelInfo("tone", "tone", ("en",), speakers=("low",), tags=("cpu_ok",), memory_bytes=5), is_default=True
    )
    capabilities = Capabilities(
        worker_name="w1",
        version="1",
        device="",
        languages=("en",),
        tags=("cpu_ok",),
        resident_models=("tone",),
        queue_depth=2,
        first_audio_p50_ms=3.5,
        draining=True,
        refused=4,
    )
    announcement = from_capabilities(capabilities, [model], address="h:1", instance="9", tags=["edge", "cpu_ok"])
    assert (announcement.name, announcement.device, announcement.tags) == ("w1", "cpu", ("cpu_ok", "edge"))
    assert announcement.models[0].is_default
    assert (announcement.metrics.queue_depth, announcement.metrics.refused) == (2, 4)
    assert announcement.draining
