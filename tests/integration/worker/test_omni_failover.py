"""A speech server that dies in mid-sentence costs no word: the router goes on with another worker's."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.worker.test_blame import words

from parley.registry.memory import MemoryRegistry
from parley.routing.links import grpc_connect
from parley.routing.pool import PooledSynthesizer
from parley.routing.settings import RoutingSettings
from parley.testing.omni_server import Dialect, OmniServer
from parley.values import Voice
from parley.worker.announce import describe
from parley.worker.settings import ModelSettings, SynthesisSettings
from parley.worker.voicepacks import VoicePackCatalog

if TYPE_CHECKING:
    from pathlib import Path

    from parley.audio.frame import AudioFrame
    from parley.worker.server import Worker

pytestmark = pytest.mark.anyio
TEXT = "One and two and three and four and five and six and seven and eight and nine and ten."
AS_IT_COMES = SynthesisSettings(loudness=False, trim_leading_silence=False, head_start=0)


async def worker_of(bench: Any, folder: Path, server: OmniServer) -> Worker:
    pack = folder / "omni-speech" / "gpu"
    pack.mkdir(parents=True)
    (pack / "metadata.yaml").write_text(
        f"languages: [en]\nlicence: unknown\nspeakers: [alloy]\noptions: {{base_url: '{server.url}', slots: 2}}\n"
    )
    models = ModelSettings(default_model="gpu")
    worker: Worker = await bench.worker(VoicePackCatalog((folder,)), models, synthesis=AS_IT_COMES)
    return worker


async def spoken_by(pool: PooledSynthesizer, utterance: str) -> list[AudioFrame]:
    text = words(TEXT)
    synthesis = pool.synthesize(text, voice=Voice("gpu"), session_id="s", utterance_id=utterance)
    async with aclosing(synthesis):
        return [frame async for frame in synthesis]


@pytest.mark.parametrize("dialect", ["vllm", "sglang"])
async def test_no_word_is_lost_when_the_engine_behind_a_worker_dies(
    bench: Any, tmp_path: Path, dialect: Dialect
) -> None:
    registry, settings = MemoryRegistry(), RoutingSettings()
    with OmniServer(dialect) as one, OmniServer(dialect) as other:
        first = await worker_of(bench, tmp_path / "one", one)
        await registry.announce(describe(first, "1", first.address), lease=1e6)
        pool = PooledSynthesizer([registry], settings, grpc_connect(settings))
        pool.start()
        try:
            await pool.fleet.known.wait()
            whole = await spoken_by(pool, "whole")
            second = await worker_of(bench, tmp_path / "other", other)
            await registry.announce(describe(second, "1", second.address), lease=1e6)
            while len(pool.fleet.members) < 2:
                await pool.fleet.changed(10)
            one.die_after = 20
            frames = await spoken_by(pool, "broken")
        finally:
            await pool.aclose()
            await registry.aclose()
    assert frames[-1].final
    rest = other.texts[-1]  # behind the word that loading asked for
    assert TEXT.endswith(rest)
    assert 0 < len(rest) < len(TEXT)
    heard = next(at for at, (frame, then) in enumerate(zip(frames, whole, strict=False)) if frame.pcm != then.pcm)
    letters = heard * 0.02 / 0.05  # as the server speaks: 50 ms each
    before = len(TEXT) - len(rest)
    assert before - 2 <= letters <= before + len("seven ")  # nothing is missing; the word that broke off is said again
    assert pool.stats.failovers == 1
