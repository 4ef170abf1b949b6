"""When the wanted voice is gone or not loaded: who stands in, and who is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from parley.errors import (
    EngineError,
    NotFound,
)
from parley.testing.workers import FakeWorker
from parley.values import Voice

from .conftest import COUNTING, Talk, check

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.anyio


async def test_the_nearest_voice_goes_on_and_the_client_is_told(talk: Talk) -> None:
    await talk.fleet(
        FakeWorker("a", ("piper-x",), die_after=95), FakeWorker("b", ("tone",)), FakeWorker("c", ("piper-y",))
    )
    check(await talk.hear(COUNTING, voice=Voice("piper-x")))
    assert talk.workers["c"].said
    assert [voice.model for voice, _ in talk.notes] == ["piper-y"]
    assert "piper-x is not available" in talk.notes[0][1]


async def test_the_client_is_told_when_the_voice_is_back(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", ("piper-x",)), FakeWorker("b", ("tone",)))
    await talk.hear("1", voice=Voice("piper-x"))
    await talk.registry.withdraw("a")
    await talk.hear("2", voice=Voice("piper-x"))
    await talk.join(FakeWorker("a", ("piper-x",)))
    await asyncio.sleep(0)
    await talk.hear("3", voice=Voice("piper-x"))
    assert [(voice.model, bool(note)) for voice, note in talk.notes] == [("tone", True), ("piper-x", False)]


async def test_a_voice_that_nobody_has_is_refused_not_replaced(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a"))
    with pytest.raises(NotFound):
        await talk.hear("1", voice=Voice("piper-x"))


async def test_a_session_without_a_wish_keeps_the_voice_that_it_began_with(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", ("tone",)))
    await talk.hear("1")
    await talk.join(FakeWorker("b", ("piper",)))
    await talk.hear("2")
    assert [voice.model for voice in talk.workers["a"].voices] == ["tone", "tone"]


async def test_a_resident_voice_stands_in_while_the_wanted_one_is_loaded(talk: Talk) -> None:
    a, b = FakeWorker("a", ("piper",)), FakeWorker("b", ("tone",))
    pool = await talk.fleet(b, fallback=True)
    await talk.join(a, resident_models=())
    await asyncio.sleep(0)
    check(await talk.hear("1", voice=Voice("piper")), "1")
    await talk.hear("1", voice=Voice("piper"))
    assert a.loaded[0] == "piper"
    assert b.said
    assert pool.stats.stood_in == 2
    await talk.join(a)
    await asyncio.sleep(0)
    await talk.hear("2", voice=Voice("piper"))
    assert a.said == ["2"]


async def test_a_load_that_fails_disturbs_nobody(talk: Talk) -> None:
    a = FakeWorker("a", ("piper",), refusal=EngineError("no memory"))
    await talk.fleet(FakeWorker("b", ("tone",)), fallback=True)
    await talk.join(a, resident_models=())
    await asyncio.sleep(0)
    check(await talk.hear("1", voice=Voice("piper")), "1")
