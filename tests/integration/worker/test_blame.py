"""What cannot be sent, or broke off at its source, is its caller's fault: real workers stay as trusted as before."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from parley.errors import InvalidRequest, ParleyError, PreconditionFailed
from parley.registry.memory import MemoryRegistry
from parley.routing.links import grpc_connect
from parley.routing.pool import PooledSynthesizer
from parley.routing.settings import RoutingSettings
from parley.testing.engines import EngineCatalog
from parley.values import Voice
from parley.worker.announce import describe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def fleet(worker: Any) -> AsyncIterator[PooledSynthesizer]:
    registry = MemoryRegistry()
    await registry.announce(describe(worker, "1", worker.address), lease=1e6)
    settings = RoutingSettings()
    pool = PooledSynthesizer([registry], settings, grpc_connect(settings))
    pool.start()
    await pool.fleet.known.wait()
    try:
        yield pool
    finally:
        await pool.aclose()
        await registry.aclose()


async def speak(pool: PooledSynthesizer, text: Any, session: str, **voice: Any) -> bool:
    """Whether it was spoken to its end."""
    synthesis = pool.synthesize(text, voice=Voice(**voice), session_id=session, utterance_id="u")
    async with aclosing(synthesis):
        return [frame async for frame in synthesis][-1].final


async def words(*pieces: str) -> AsyncIterator[str]:
    for piece in pieces:
        yield piece


async def broken() -> AsyncIterator[str]:
    yield "Hello there. "
    raise RuntimeError("the source of the text failed")


async def test_half_a_surrogate_pair_is_its_callers_fault_alone(bench: Any) -> None:
    async with fleet(await bench.worker()) as pool:
        for number in range(5):
            with pytest.raises(InvalidRequest, match="half a surrogate pair"):
                await speak(pool, words("Hi \ud83d"), f"culprit {number}")
        assert not pool.fleet.states()[0].suspect
        assert await speak(pool, words("Hello."), "victim")


async def test_a_voice_with_half_a_surrogate_pair_in_its_name_is_its_callers_fault_alone(bench: Any) -> None:
    client = bench.client(await bench.worker())
    with pytest.raises(InvalidRequest, match="half a surrogate pair"):
        await bench.speak(client, "Hello.", voice=Voice(speaker="\ud83d"))
    assert (await bench.speak(client, "Hello.", utterance="2"))[-1].final


async def test_text_that_breaks_off_is_no_failure_of_the_engine(bench: Any) -> None:
    client = bench.client(await bench.worker())
    with pytest.raises(InvalidRequest, match="broke off: RuntimeError"):
        await bench.rest(client.synthesize(broken(), voice=Voice(), session_id="s", utterance_id="u"))


async def test_a_text_that_an_engine_raises_at_silences_nobody_else(bench: Any) -> None:
    async with fleet(await bench.worker(EngineCatalog("crash"))) as pool:
        for number in range(5):
            with pytest.raises(ParleyError):
                await speak(pool, words("Please raise."), f"culprit {number}", model="crash")
        assert await speak(pool, words("Hello."), "victim")


async def test_a_session_that_ends_before_its_utterance_began_blames_nobody(bench: Any) -> None:
    client = bench.client(await bench.worker(EngineCatalog("slow")))
    synthesis = bench.start(client, "Hello.", model="slow")
    await client.end_session("s")
    with pytest.raises(PreconditionFailed):
        await bench.rest(synthesis)
