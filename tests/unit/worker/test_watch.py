"""Changed files are read again once they have come to rest."""

from __future__ import annotations

import pytest

from parley.errors import ConfigError
from parley.rpc.values import ModelState, ModelStatus
from parley.values import ModelInfo
from parley.worker.voicepacks import Fingerprint
from parley.worker.watch import PackWatch

pytestmark = pytest.mark.anyio


class Catalog:
    def __init__(self) -> None:
        self.disk: dict[str, Fingerprint] = {"a": (("w", 1, 1),), "b": (("w", 1, 1),)}
        self.seen = dict(self.disk)
        self.broken = False

    def write(self, name: str, size: int) -> None:
        self.disk[name] = (("w", size, size),)

    def refresh(self) -> None:
        if self.broken:
            raise ConfigError("model_catalog.yaml is broken.")
        self.seen = dict(self.disk)

    def fingerprints(self) -> dict[str, Fingerprint]:
        return self.seen


class Manager:
    def __init__(self) -> None:
        self.states: dict[str, ModelState] = {"a": "resident", "b": "available"}
        self.reloaded: list[str] = []
        self.fails = False

    def statuses(self) -> list[ModelStatus]:
        return [ModelStatus(ModelInfo(name, "piper"), state) for name, state in self.states.items()]

    async def reload(self, name: str) -> None:
        self.reloaded.append(name)
        if self.fails:
            raise ConfigError("The new file is broken.")


@pytest.fixture
def catalog() -> Catalog:
    return Catalog()


@pytest.fixture
def manager() -> Manager:
    return Manager()


async def test_nothing_is_read_again_while_nothing_changes(catalog: Catalog, manager: Manager) -> None:
    watch = PackWatch(catalog, manager)
    assert [await watch.look() for _ in range(3)] == [[], [], []]


async def test_a_change_is_read_at_the_second_look_and_once(catalog: Catalog, manager: Manager) -> None:
    watch = PackWatch(catalog, manager)
    catalog.write("a", 2)
    assert [await watch.look() for _ in range(4)] == [[], ["a"], [], []]


async def test_a_copy_under_way_is_left_to_finish(catalog: Catalog, manager: Manager) -> None:
    watch = PackWatch(catalog, manager)
    for size in (2, 3, 4):
        catalog.write("a", size)
        assert await watch.look() == []
    assert await watch.look() == ["a"]


async def test_a_model_that_is_not_in_memory_is_left_alone(catalog: Catalog, manager: Manager) -> None:
    watch = PackWatch(catalog, manager)
    catalog.write("b", 2)
    await watch.look()
    await watch.look()
    assert manager.reloaded == []


async def test_a_reload_that_fails_is_tried_again_only_when_the_files_change_again(
    catalog: Catalog, manager: Manager
) -> None:
    watch = PackWatch(catalog, manager)
    manager.fails = True
    catalog.write("a", 2)
    for _ in range(5):
        assert await watch.look() == []
    assert manager.reloaded == ["a"]
    manager.fails = False
    catalog.write("a", 3)
    await watch.look()
    assert await watch.look() == ["a"]


async def test_a_new_pack_is_no_change(catalog: Catalog, manager: Manager) -> None:
    watch = PackWatch(catalog, manager)
    catalog.write("c", 1)
    manager.states["c"] = "resident"
    assert [await watch.look() for _ in range(2)] == [[], []]
    catalog.write("c", 2)
    await watch.look()
    assert await watch.look() == ["c"]


async def test_a_broken_catalog_file_stops_nothing(catalog: Catalog, manager: Manager) -> None:
    watch = PackWatch(catalog, manager)
    catalog.broken = True
    catalog.write("a", 2)
    assert await watch.look() == []
    catalog.broken = False
    await watch.look()
    assert await watch.look() == ["a"]
