"""LoRAs come and go on a worker while others speak, on a thread or in a process; the engine's sound is a test's."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parley.errors import (
    CapacityError,
    ConfigError,
    EngineError,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    UnavailableError,
)
from parley.rpc.client import GrpcSynthesizer, WorkerClient
from parley.testing.engines import EngineCatalog
from parley.values import Voice
from parley.worker.server import Worker
from parley.worker.settings import ModelSettings, SynthesisSettings

pytestmark = pytest.mark.anyio
TEXT = "One two three four."
AS_IT_COMES = SynthesisSettings(loudness=False, trim_leading_silence=False)
SHARES = {"anna": 0.5, "bert": 0.25, "carl": 0.75}


PROCESS_TOO = pytest.mark.parametrize("catalog", [True, False], indirect=True, ids=["process", "thread"])


@pytest.fixture(params=[False], ids=["thread"])
def catalog(tmp_path: Path, request: pytest.FixtureRequest) -> EngineCatalog:
    """One model that takes LoRAs, and three of them."""
    made = EngineCatalog("lora", isolated=request.param)
    for name, share in SHARES.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "share").write_text(str(share), "utf-8")
        made.loras[f"lora+{name}"] = tmp_path / name
    return made


def settings(**changed: Any) -> ModelSettings:
    return ModelSettings(**({"default_model": "tone"} | changed))


async def started(bench: Any, catalog: EngineCatalog, **models: Any) -> tuple[Worker, GrpcSynthesizer, WorkerClient]:
    worker = await bench.worker(catalog, settings(**models), synthesis=AS_IT_COMES)
    client = bench.client(worker)
    return worker, client, client


def states(worker: Worker) -> dict[str, str]:
    return {status.info.model_id: status.state for status in worker.manager.statuses()}


async def heard(bench: Any, client: GrpcSynthesizer, voice: Voice, session: str = "s") -> bytes:
    frames = await bench.speak(client, TEXT, voice=voice, session=session, utterance=f"{session}-u")
    return b"".join(frame.pcm for frame in frames)


@PROCESS_TOO
async def test_sessions_with_two_loras_and_none_at_once_do_not_mix(bench: Any, catalog: EngineCatalog) -> None:
    _, client, _ = await started(bench, catalog)
    voices = [Voice("lora+anna"), Voice("lora", lora="bert"), Voice("lora")]
    alone = [await heard(bench, client, voice, f"alone-{number}") for number, voice in enumerate(voices)]
    assert len(set(alone)) == 3
    both = (heard(bench, client, voice, f"both-{number}") for number, voice in enumerate(voices))
    assert await asyncio.gather(*both) == alone


async def test_one_is_read_and_dropped_while_another_session_is_held(bench: Any, catalog: EngineCatalog) -> None:
    worker, client, _ = await started(bench, catalog)
    whole = await heard(bench, client, Voice("lora+anna"), "whole")
    speaking = bench.start(client, TEXT, voice=Voice("lora+anna"), session="held", utterance="u")
    before = await bench.take(speaking, 3)
    await speaking.pause()
    await worker.manager.load("lora+bert")
    assert states(worker)["lora+bert"] == "resident"
    assert await worker.manager.unload("lora+bert") == 1_000
    assert states(worker)["lora+bert"] == "available"
    await speaking.resume()
    rest = await bench.rest(speaking)
    assert b"".join(frame.pcm for frame in (*before, *rest)) == whole


@PROCESS_TOO
async def test_one_is_read_between_two_chunks_of_a_sentence(bench: Any, catalog: EngineCatalog) -> None:
    worker, client, _ = await started(bench, catalog)
    speaking = bench.start(client, "Until another is there.", voice=Voice("lora+anna"))
    await bench.take(speaking, 3)
    await worker.manager.load("lora+bert")
    assert (await bench.rest(speaking))[-1].final


async def test_one_that_somebody_speaks_with_stays_and_goes_when_they_have_gone(
    bench: Any, catalog: EngineCatalog
) -> None:
    worker, _, _ = await started(bench, catalog)
    lease = await worker.manager.acquire("lora+anna", "somebody")
    assert worker.manager.resident() == ("lora", "lora+anna", "tone")
    with pytest.raises(PreconditionFailed, match=r"lora\+anna is in use by 1 session"):
        await worker.manager.unload("lora+anna")
    lease.release()
    lease.release()
    assert await worker.manager.unload("lora+anna") == 1_000
    assert worker.manager.resident() == ("lora", "tone")


async def test_they_go_with_their_model_and_come_back_when_asked_for(bench: Any, catalog: EngineCatalog) -> None:
    worker, client, _ = await started(bench, catalog)
    first = await heard(bench, client, Voice("lora+anna"), "a")
    await client.aclose()
    other = bench.client(worker)
    await _until_free(worker)
    await worker.manager.unload("lora")
    assert states(worker)["lora+anna"] == "available"
    assert await heard(bench, other, Voice("lora+anna"), "b") == first


async def _until_free(worker: Worker) -> None:
    async with asyncio.timeout(30):
        while worker.servicer.sessions:
            await asyncio.sleep(0.01)
        while any(status.leases for status in worker.manager.statuses()):
            await asyncio.sleep(0.01)


async def test_they_outlive_a_reload_of_their_model(bench: Any, catalog: EngineCatalog) -> None:
    worker, client, _ = await started(bench, catalog, preload_models=("lora+anna",))
    first = await heard(bench, client, Voice("lora+anna"), "a")
    await worker.manager.reload("lora")
    assert states(worker)["lora+anna"] == "resident"
    assert await heard(bench, client, Voice("lora+anna"), "b") == first


@PROCESS_TOO
async def test_one_whose_files_have_changed_is_read_again_alone(bench: Any, catalog: EngineCatalog) -> None:
    worker, client, _ = await started(bench, catalog)
    anna, bert = [await heard(bench, client, Voice(f"lora+{name}"), name) for name in ("anna", "bert")]
    (catalog.loras["lora+anna"] / "share").write_text(str(SHARES["bert"]), "utf-8")
    await worker.manager.reload("lora+anna")
    assert await heard(bench, client, Voice("lora+anna"), "again") == bert
    (catalog.loras["lora+anna"] / "share").unlink()
    with pytest.raises(ConfigError, match="share is missing"):
        await worker.manager.reload("lora+anna")
    assert await heard(bench, client, Voice("lora+anna"), "still") == bert != anna


@PROCESS_TOO
async def test_one_that_is_read_again_changes_no_utterance_that_has_begun(bench: Any, catalog: EngineCatalog) -> None:
    worker, client, _ = await started(bench, catalog, preload_models=("lora+anna", "lora+bert"))
    text, voice, tail = "Until another is there.", Voice("lora+anna"), 960 * 2 * 10
    whole = b"".join(frame.pcm for frame in await bench.speak(client, text, voice=voice, session="whole"))
    await worker.manager.unload("lora+bert")
    speaking = bench.start(client, text, voice=voice, session="s", utterance="first")
    await bench.take(speaking, 3)
    (catalog.loras["lora+anna"] / "share").write_text(str(SHARES["carl"]), "utf-8")
    await worker.manager.reload("lora+anna")
    await worker.manager.load("lora+bert")
    rest = b"".join(frame.pcm for frame in await bench.rest(speaking))
    now, then = (np.frombuffer(pcm[-tail:], np.int16).astype(int) for pcm in (rest, whole))
    assert np.abs(now - then).max() <= 1 < np.abs(then).max() / 100
    carl = b"".join(frame.pcm for frame in await bench.speak(client, text, voice=Voice("lora+carl"), session="carl"))
    again = b"".join(frame.pcm for frame in await bench.speak(client, text, voice=voice, session="s"))
    assert again == carl != whole


async def test_the_least_used_makes_room_and_without_room_it_is_refused(bench: Any, catalog: EngineCatalog) -> None:
    worker, _, _ = await started(bench, catalog, lora_cap=2)
    for name in ("anna", "bert"):
        await worker.manager.load(f"lora+{name}")
    await worker.manager.load("lora+carl")
    assert worker.manager.resident() == ("lora", "lora+bert", "lora+carl", "tone")
    leases = [await worker.manager.acquire(f"lora+{name}", name) for name in ("bert", "carl")]
    with pytest.raises(CapacityError, match="lora_cap"):
        await worker.manager.acquire("lora+anna", "late")
    leases[0].release()
    (await worker.manager.acquire("lora+anna", "now")).release()
    assert worker.manager.resident() == ("lora", "lora+anna", "lora+carl", "tone")
    leases[1].release()


async def test_idle_ones_go_alone_and_pinned_ones_stay(bench: Any, catalog: EngineCatalog) -> None:
    worker, _, _ = await started(bench, catalog, preload_models=("lora+anna",), pinned_models=("lora+bert",))
    await worker.manager.load("lora+bert")
    left = asyncio.Event()
    worker.manager.changed = left.set
    pool = (await worker.manager.acquire("lora", "look")).pool
    pool.loras.table.ttl = 0.0
    pool.loras.sweep()
    async with asyncio.timeout(30):
        await left.wait()
    assert worker.manager.resident() == ("lora", "lora+bert", "tone")
    pinned = {status.info.model_id for status in worker.manager.statuses() if status.pinned}
    assert pinned == {"lora", "lora+bert"}


async def test_what_is_not_there_is_refused_by_name_and_costs_no_claim(bench: Any, catalog: EngineCatalog) -> None:
    worker, client, _ = await started(bench, catalog)
    for voice, error in ((Voice("lora", lora="nobody"), NotFound), (Voice("tone", lora="anna"), InvalidRequest)):
        with pytest.raises(error):
            await bench.speak(client, TEXT, voice=voice, session=f"s-{voice.model}")
    (catalog.loras["lora+anna"] / "share").unlink()
    with pytest.raises(ConfigError, match="share is missing"):
        await bench.speak(client, TEXT, voice=Voice("lora+anna"), session="broken")
    assert await heard(bench, client, Voice("lora+bert"), "fine")
    assert {status.info.model_id for status in worker.manager.statuses() if status.leases} == {"lora", "lora+bert"}


async def test_a_session_keeps_its_lora(bench: Any, catalog: EngineCatalog) -> None:
    _, client, _ = await started(bench, catalog)
    first = await heard(bench, client, Voice("lora", lora="anna"))
    assert await heard(bench, client, Voice("lora+anna")) == first
    assert await heard(bench, client, Voice("lora+bert")) != first


@pytest.mark.parametrize("catalog", [True], indirect=True, ids=["process"])
async def test_an_engine_that_died_has_its_loras_again(bench: Any, catalog: EngineCatalog) -> None:
    worker, client, _ = await started(bench, catalog)
    first = await heard(bench, client, Voice("lora+anna"), "a")
    engine = (await worker.manager.acquire("lora", "look")).pool._engines[0]
    os.kill(engine.pid, signal.SIGKILL)
    for attempt in range(5):  # a text that was given to the dead one fails
        try:
            assert await heard(bench, client, Voice("lora+anna"), f"b{attempt}") == first
            break
        except (EngineError, UnavailableError):
            continue
    else:
        pytest.fail("it never spoke again")
