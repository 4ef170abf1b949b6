"""What `just dev` starts: each is told where the others are, no secret stands on a command line."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.deploy.scripts import script
from tests.unit.docs.test_commands import misuse

from parley.config import Settings, load_settings

dev_plan = script("dev_plan")
ALL = frozenset(dev_plan.MISSING)
SECRET = "a-secret-of-this-run-alone"
FOLDER, AUTHORITY = Path("/of/the/run"), Path("/of/the/user")


def made(have: frozenset[str] = ALL, **asked: Any) -> Any:
    return dev_plan.plan(dev_plan.Asked(**asked), have, FOLDER, SECRET, AUTHORITY)


def services(have: frozenset[str] = ALL, **asked: Any) -> dict[str, Any]:
    return {service.name: service for service in made(have, **asked).services}


def settings_of(service: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(folder)
    return load_settings(environ={k: v for k, v in service.environment.items() if k.startswith("PARLEY")}, files=())


def test_everything_that_is_installed_runs() -> None:
    assert list(services()) == ["redis", "livekit", "worker-1", "worker-2", "orchestrator", "vite", "caddy"]
    assert made().url == "https://localhost:8443"
    assert list(services(frozenset(), workers=1)) == ["worker-1", "orchestrator"]
    assert made(frozenset()).url == "http://127.0.0.1:8080"


@pytest.mark.parametrize("name", sorted(ALL))
def test_what_is_left_out_is_told_with_what_mends_it(name: str) -> None:
    (sentence,) = dev_plan.left_out(ALL - {name})
    assert sentence.startswith(f"Without {name}: ")


def test_nobody_waits_for_what_does_not_run() -> None:
    for flags in product((True, False), repeat=len(ALL)):
        have = frozenset(name for name, there in zip(sorted(ALL), flags, strict=True) if there)
        found = services(have)
        seen: set[str] = set()
        for service in found.values():
            assert set(service.after) <= set(found)
            assert set(service.after) <= seen | {"redis", "livekit"}
            assert bool(service.ready) != bool(service.port)
            seen.add(service.name)


def test_orchestrator_and_workers_find_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = services()
    orchestrator = settings_of(found["orchestrator"], tmp_path, monkeypatch)
    for number in (1, 2):
        worker = settings_of(found[f"worker-{number}"], tmp_path, monkeypatch)
        assert worker.registry.url == orchestrator.registry.url == f"redis://:{SECRET}@127.0.0.1:16379/0"
        assert worker.worker.api_key == orchestrator.routing.api_key == SECRET
        assert worker.worker.metrics_port == 9100 + number
    assert orchestrator.livekit.public_url == "wss://localhost:8444"


def test_without_redis_workers_are_named_by_their_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = services(ALL - {"redis"}, workers=3)
    settings = settings_of(found["orchestrator"], tmp_path, monkeypatch)
    assert settings.routing.workers == ("127.0.0.1:50051", "127.0.0.1:50052", "127.0.0.1:50053")
    assert settings.registry.url == ""


def test_whoever_ends_it_does_not_wait_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for service in services().values():
        if service.reloads:
            settings = settings_of(service, tmp_path, monkeypatch)
            assert max(settings.server.drain, settings.livekit.drain, settings.worker.drain_ms / 1000) <= 1


def test_our_commands_take_their_words() -> None:
    for service in services(settings=("session.reply.greeting=Hello.",)).values():
        if service.reloads:
            assert "session.reply.greeting=Hello." in service.command
            assert misuse(list(service.command[4:])) == ""


def test_no_secret_stands_on_a_command_line() -> None:
    plan = made()
    assert not [each for service in plan.services for each in service.command if SECRET in each]
    assert SECRET in plan.files["redis.conf"]
    assert yaml.safe_load(plan.files["livekit.yaml"])["keys"] == {"parley": SECRET}


def test_what_the_page_is_made_of_comes_from_vite_and_all_else_from_the_orchestrator() -> None:
    assert "reverse_proxy 127.0.0.1:5173" in made().files["Caddyfile"]
    assert "5173" not in made(ALL - {"vite"}).files["Caddyfile"]
    assert "8444" not in made(ALL - {"livekit"}).files["Caddyfile"]


def test_every_port_has_its_own_number() -> None:
    numbers = dev_plan.Ports().all(9).values()
    assert len(set(numbers)) == len(numbers)


def test_a_change_is_told_once_when_it_is_written_to_the_end() -> None:
    state = dev_plan.Watched({"a": 1}, {"a": 1})
    told = []
    for now in ({"a": 1}, {"a": 2}, {"a": 3, "b": 1}, {"a": 3, "b": 1}, {"a": 3, "b": 1}, {"b": 1}, {"b": 1}):
        state, names = state.look(now)
        told.append(names)
    assert told == [[], [], [], ["a", "b"], [], [], ["a"]]
