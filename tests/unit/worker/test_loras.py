"""A model's LoRAs on all its engines or on none, with engines that only keep books."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parley.errors import EngineError, ParleyError
from parley.worker.loras import Loras

pytestmark = pytest.mark.anyio


class Books:
    """Which LoRA was read from where."""

    lora_lost: Callable[[str, ParleyError], None]

    def __init__(self) -> None:
        self.there: dict[str, Path] = {}
        self.full = False

    async def load_lora(self, name: str, folder: Path) -> int:
        if self.full:
            raise EngineError("out of memory")
        self.there[name] = folder
        return 100

    async def drop_lora(self, name: str) -> None:
        self.there.pop(name, None)

    def folders(self) -> list[str]:
        return sorted(folder.name for folder in self.there.values())


async def speaking() -> tuple[Loras, Books, Books]:
    """A session speaks with one LoRA on two engines."""
    engines: Any = Books(), Books()
    loras = Loras("csm", engines)
    await loras.use("anna", Path("old"))
    return loras, *engines


async def settled(loras: Loras) -> None:
    while loras._tasks:
        await asyncio.gather(*loras._tasks)


async def test_a_reading_that_fails_on_one_engine_leaves_what_was_there_on_both() -> None:
    loras, one, other = await speaking()
    before = loras.begin("anna")
    other.full = True
    with pytest.raises(EngineError, match="out of memory"):
        await loras.reload("anna", Path("new"))
    assert one.folders() == other.folders() == ["old"]
    assert (loras.begin("anna"), loras.table.size) == (before, 200)


async def test_what_was_there_goes_with_the_last_utterance_that_began_with_it() -> None:
    loras, one, other = await speaking()
    first, second = loras.begin("anna"), loras.begin("anna")
    await loras.reload("anna", Path("new"))
    assert one.there[first] == Path("old")
    assert one.there[loras.begin("anna")] == Path("new")
    loras.end(first)
    await settled(loras)
    assert one.folders() == other.folders() == ["new", "old"]
    loras.end(second)
    await settled(loras)
    assert one.folders() == other.folders() == ["new"]


async def test_one_that_an_engine_lost_is_read_again_for_the_next_session() -> None:
    loras, one, other = await speaking()
    tag = next(iter(one.there))
    del one.there[tag]
    one.lora_lost(tag, EngineError("gone"))
    await settled(loras)
    assert (loras.table.ready("anna"), other.folders()) == (False, [])
    await loras.use("anna", Path("mended"))
    assert one.folders() == other.folders() == ["mended"]
    assert one.there[loras.begin("anna")] == Path("mended")


async def test_one_that_an_engine_lost_while_another_still_read_it_is_not_there() -> None:
    loras, one, other = await speaking()

    async def slow(name: str, folder: Path) -> int:
        one.there.pop(name, None)
        one.lora_lost(name, EngineError("gone meanwhile"))
        return 100

    other.load_lora = slow  # type: ignore[method-assign]
    with pytest.raises(EngineError, match="gone meanwhile"):
        await loras.reload("anna", Path("new"))
    assert (one.folders(), loras.table.ready("anna")) == (["old"], True)
