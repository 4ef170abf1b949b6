"""Voices made of recordings on a worker: they speak without a restart, and nothing of them is left when they go."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parley.audio.reference import RATE
from parley.audio.wav import wav_bytes
from parley.errors import ConfigError, InvalidRequest, NotFound, PreconditionFailed
from parley.rpc.client import GrpcSynthesizer
from parley.rpc.values import NewVoice
from parley.values import Voice
from parley.worker import adapters
from parley.worker.adapters import Family
from parley.worker.settings import CloningSettings, ModelSettings, SynthesisSettings
from parley.worker.voicepacks import VoicePackCatalog

pytestmark = pytest.mark.anyio
TEXT = "One two three four."
ALLOWED = CloningSettings(enabled=True)
AS_IT_COMES = SynthesisSettings(loudness=False, trim_leading_silence=False)
ON_THREAD_AND_IN_PROCESS = pytest.mark.parametrize("packs", [False, True], indirect=True, ids=["thread", "process"])


@pytest.fixture(params=[False], ids=["thread"])
def packs(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model whose family repeats the recordings that it has heard."""
    family = Family("parley.testing.engines:CopyAdapter", isolated=request.param)
    monkeypatch.setitem(adapters.FAMILIES, "copycat", family)
    folder = tmp_path / "packs" / "copycat" / "cat"
    folder.mkdir(parents=True)
    (folder / "metadata.yaml").write_text("languages: [en]\nlicence: MIT\n", "utf-8")
    return tmp_path / "packs"


def recording(pitch: float, seconds: float = 8.0) -> bytes:
    time = np.arange(round(seconds * RATE)) / RATE
    return wav_bytes((0.3 * np.sin(2 * np.pi * pitch * time)).astype(np.float32), RATE)


def voice(name: str = "anna", pitch: float = 200.0, **changed: Any) -> NewVoice:
    return replace(NewVoice("cat", name, recording(pitch), "What I say.", consent=True), **changed)


async def started(bench: Any, packs: Path, cloning: CloningSettings = ALLOWED) -> tuple[Any, GrpcSynthesizer]:
    catalog = VoicePackCatalog((packs,), cloning=cloning.enabled)
    models = ModelSettings(default_model="tone", preload_models=("cat",))
    worker = await bench.worker(catalog, models, synthesis=AS_IT_COMES, cloning=cloning)
    return worker, bench.client(worker)


async def pitch_of(bench: Any, client: GrpcSynthesizer, name: str, session: str = "s") -> float:
    """Of what is heard when the voice speaks, in Hz."""
    frames = await bench.speak(client, TEXT, voice=Voice("cat", name), session=session, utterance=f"{session}-{name}")
    return pitch_in(b"".join(frame.pcm for frame in frames))


def pitch_in(pcm: bytes) -> float:
    sound = np.frombuffer(pcm, np.int16)[:36_000].astype(float)
    return float(np.argmax(np.abs(np.fft.rfft(sound)))) * 48_000 / sound.size


def files(packs: Path) -> list[str]:
    return sorted(path.name for path in packs.rglob("*") if path.is_file() and path.name != "metadata.yaml")


@ON_THREAD_AND_IN_PROCESS
async def test_a_recording_speaks_as_soon_as_it_is_there_and_no_longer_when_it_has_gone(
    bench: Any, packs: Path
) -> None:
    _, client = await started(bench, packs)
    kept = await client.worker.add_voice(voice())
    assert (kept.model_id, kept.name, kept.seconds, kept.text_heard) == ("cat", "anna", 8.0, False)
    assert kept.consent_at.endswith("Z")
    assert await client.worker.voices() == [kept]
    assert await pitch_of(bench, client, "anna") == pytest.approx(200, abs=5)
    assert files(packs) == ["anna.txt", "anna.wav", "anna.yaml"]
    await client.worker.remove_voice("cat", "anna")
    assert (files(packs), await client.worker.voices()) == ([], [])
    with pytest.raises(NotFound, match="anna"):
        await pitch_of(bench, client, "anna", "later")


@ON_THREAD_AND_IN_PROCESS
async def test_what_was_made_of_a_recording_goes_with_it(bench: Any, packs: Path) -> None:
    _, client = await started(bench, packs)
    await client.worker.add_voice(voice(pitch=200))
    assert await pitch_of(bench, client, "anna", "before") == pytest.approx(200, abs=5)
    await client.worker.remove_voice("cat", "anna")
    await client.worker.add_voice(voice(pitch=400))
    assert await pitch_of(bench, client, "anna", "after") == pytest.approx(400, abs=5)


@ON_THREAD_AND_IN_PROCESS
async def test_one_that_the_engine_can_not_hear_is_not_kept(bench: Any, packs: Path) -> None:
    _, client = await started(bench, packs)
    with pytest.raises(ConfigError, match="can not be heard"):
        await client.worker.add_voice(voice(text="unspeakable"))
    assert (files(packs), await client.worker.voices()) == ([], [])
    (cat,) = [status for status in await client.worker.models() if status.info.model_id == "cat"]
    assert cat.info.speakers == ()


@ON_THREAD_AND_IN_PROCESS
async def test_who_is_speaking_with_a_voice_that_is_deleted_speaks_to_the_end(bench: Any, packs: Path) -> None:
    _, client = await started(bench, packs)
    await client.worker.add_voice(voice())
    whole = await bench.speak(client, TEXT, voice=Voice("cat", "anna"), session="whole", utterance="u")
    speaking = bench.start(client, TEXT, voice=Voice("cat", "anna"), session="held", utterance="u")
    async with aclosing(speaking):
        before = await bench.take(speaking, 3)
        await client.worker.remove_voice("cat", "anna")
        rest = await bench.rest(speaking)
    assert [frame.pcm for frame in (*before, *rest)] == [frame.pcm for frame in whole]


@pytest.mark.parametrize("packs", [True], indirect=True)
async def test_an_engine_that_died_knows_the_voices_again(bench: Any, packs: Path) -> None:
    _, client = await started(bench, packs)
    await client.worker.add_voice(voice())
    with pytest.raises(Exception, match="died"):
        await bench.speak(client, "crash", voice=Voice("cat", "anna"), session="dead", utterance="u")
    assert await pitch_of(bench, client, "anna", "again") == pytest.approx(200, abs=5)


async def test_a_model_that_is_read_later_has_the_voice(bench: Any, packs: Path) -> None:
    worker, client = await started(bench, packs)
    await worker.manager.unload("cat")
    await client.worker.add_voice(voice())
    assert await pitch_of(bench, client, "anna") == pytest.approx(200, abs=5)


async def test_where_it_is_not_allowed_nothing_is_kept_and_nobody_is_told_that_it_could(
    bench: Any, packs: Path
) -> None:
    _, client = await started(bench, packs, CloningSettings())
    with pytest.raises(PreconditionFailed, match=r"worker\.cloning\.enabled"):
        await client.worker.add_voice(voice())
    assert files(packs) == []
    assert not any("cloning" in status.info.tags for status in await client.worker.models())


async def test_a_model_that_clones_says_so(bench: Any, packs: Path) -> None:
    worker, _ = await started(bench, packs)
    tagged = [status.info.model_id for status in worker.manager.statuses() if "cloning" in status.info.tags]
    assert tagged == ["cat"]


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        ({"consent": False}, InvalidRequest, "consent"),
        ({"name": "../anna"}, InvalidRequest, "letters, digits"),
        ({"name": "a" * 65}, InvalidRequest, "letters, digits"),
        ({"name": "reference"}, PreconditionFailed, "of its own"),
        ({"text": "a" * 2_001}, InvalidRequest, "2000 characters"),
        ({"audio": b"RIFF"}, InvalidRequest, "WAV"),
        ({"audio": recording(200, 3)}, InvalidRequest, "3.0 s"),
        ({"audio": recording(200, 35)}, InvalidRequest, "35.0 s"),
        ({"model_id": "tone"}, PreconditionFailed, "does not clone"),
        ({"model_id": "nobody"}, NotFound, "nobody"),
    ],
)
async def test_what_can_not_be_a_voice_is_refused_with_the_reason(
    bench: Any, packs: Path, changed: dict[str, Any], error: type[Exception], said: str
) -> None:
    _, client = await started(bench, packs)
    with pytest.raises(error, match=said):
        await client.worker.add_voice(replace(voice(), **changed))
    assert files(packs) == []


async def test_a_name_is_taken_once_and_their_number_is_bounded(bench: Any, packs: Path) -> None:
    _, client = await started(bench, packs, CloningSettings(enabled=True, most=2))
    await client.worker.add_voice(voice("anna"))
    await client.worker.add_voice(voice("bert"))
    with pytest.raises(PreconditionFailed, match="already"):
        await client.worker.add_voice(voice("anna", pitch=300))
    with pytest.raises(PreconditionFailed, match=r"worker\.cloning\.most"):
        await client.worker.add_voice(voice("carl"))
    with pytest.raises(NotFound, match="it has anna, bert"):
        await client.worker.remove_voice("cat", "carl")


async def test_a_speaker_of_the_pack_is_not_deleted(bench: Any, packs: Path) -> None:
    pack = packs / "copycat" / "cat"
    (pack / "own.wav").write_bytes(recording(300))
    (pack / "own.txt").write_text("Hello.", "utf-8")
    (pack / "metadata.yaml").write_text("languages: [en]\nlicence: MIT\nspeakers: {own: own.wav}\n", "utf-8")
    _, client = await started(bench, packs)
    with pytest.raises(NotFound, match="own"):
        await client.worker.remove_voice("cat", "own")
    with pytest.raises(PreconditionFailed, match="of its own"):
        await client.worker.add_voice(voice("own"))
    assert await pitch_of(bench, client, "own") == pytest.approx(300, abs=5)


async def test_workers_that_share_a_folder_all_take_and_all_forget_a_voice(bench: Any, packs: Path) -> None:
    clients = [(await started(bench, packs))[1] for _ in range(2)]
    for client in clients:
        await client.worker.add_voice(voice())
    heard = await asyncio.gather(*(pitch_of(bench, client, "anna") for client in clients))
    assert heard == pytest.approx([200, 200], abs=5)
    for client in clients:
        await client.worker.remove_voice("cat", "anna")
    for client in clients:
        with pytest.raises(NotFound):
            await pitch_of(bench, client, "anna", "later")


async def test_only_this_user_can_read_a_voice(bench: Any, packs: Path) -> None:
    _, client = await started(bench, packs)
    await client.worker.add_voice(voice())
    folder = packs / "copycat" / "cat" / "voices"
    assert folder.stat().st_mode & 0o77 == 0
    assert all(path.stat().st_mode & 0o77 == 0 for path in folder.iterdir())
