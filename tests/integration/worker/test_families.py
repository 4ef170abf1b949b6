"""Several families in one worker, over real gRPC, through their real libraries on tiny random models."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
import yaml

from parley.cli import models as models_command
from parley.errors import CapacityError, ConfigError, NotFound, ParleyError
from parley.registry import Announcement, open_registry
from parley.registry.settings import RegistrySettings
from parley.testing import tiny_models
from parley.testing.redis_server import RedisServer
from parley.values import Voice
from parley.worker.settings import ModelSettings
from parley.worker.voicepacks import VoicePackCatalog

if TYPE_CHECKING:
    from tests.integration.worker.conftest import Bench

pytestmark = pytest.mark.anyio

TEXT = "Hello there, how are you today? It is good to hear from you."


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("voicepacks")
    tiny_models.piper_pack(root)
    tiny_models.kokoro_pack(root)
    tiny_models.sherpa_pack(root)
    return root


@pytest.fixture
def packs(built: Path, tmp_path: Path) -> Path:
    """A folder of packs of the test's own: it may break them."""
    import shutil

    return Path(shutil.copytree(built, tmp_path / "voicepacks"))


def settings(**changes: Any) -> ModelSettings:
    return ModelSettings(**{"default_model": "tone", **changes})


async def refusal(work: Any) -> ParleyError:
    with pytest.raises(ParleyError) as caught:
        await work
    return caught.value


async def test_four_families_speak_at_once_in_one_worker(bench: Bench, packs: Path) -> None:
    worker = await bench.worker(VoicePackCatalog((packs,)), settings())
    client = bench.client(worker)
    names = ["piper-tiny", "kokoro-tiny", "sherpa-tiny", "tone"]
    spoken = await asyncio.gather(*(bench.speak(client, TEXT, model=name, session=name) for name in names))
    for frames in spoken:
        assert frames[-1].final
        assert [frame.sequence for frame in frames] == list(range(len(frames)))
        assert len([mark for frame in frames for mark in frame.marks]) == len(TEXT.split())
    resident = [status.info.model_id for status in await client.worker.models() if status.state == "resident"]
    assert resident == sorted(names)


async def test_what_a_loaded_voice_is_like_is_told_as_it_is(bench: Bench, packs: Path) -> None:
    worker = await bench.worker(VoicePackCatalog((packs,)), settings())
    client = bench.client(worker)
    before = {status.info.model_id: status for status in await client.worker.models()}
    assert (before["piper-tiny"].info.word_marks, before["piper-tiny"].real_time_factor) == ("proportional", 0)
    for name in ("piper-tiny", "sherpa-tiny"):
        await client.worker.load(name)
    after = {status.info.model_id: status for status in await client.worker.models()}
    assert [after[name].info.word_marks for name in ("piper-tiny", "sherpa-tiny")] == ["native", "proportional"]
    assert all(after[name].real_time_factor > 0 for name in ("piper-tiny", "sherpa-tiny"))
    assert before["piper-tiny"].load_seconds == 0
    await client.worker.unload("piper-tiny")
    gone = {status.info.model_id: status for status in await client.worker.models()}["piper-tiny"]
    assert (gone.state, gone.load_seconds) == ("available", after["piper-tiny"].load_seconds)
    assert gone.load_seconds > 0


async def test_a_voices_speakers_are_listed_before_it_is_loaded(bench: Bench, packs: Path) -> None:
    worker = await bench.worker(VoicePackCatalog((packs,)), settings())
    listed = {status.info.model_id: status.info for status in await bench.client(worker).worker.models()}
    assert listed["kokoro-tiny"].speakers == ("af_one", "am_two")


async def test_an_unknown_speaker_is_not_found_and_the_voice_speaks_on(bench: Bench, packs: Path) -> None:
    worker = await bench.worker(VoicePackCatalog((packs,)), settings())
    client = bench.client(worker)
    error = await refusal(bench.speak(client, TEXT, voice=Voice("kokoro-tiny", speaker="zoe")))
    assert isinstance(error, NotFound)
    assert "'zoe'" in str(error)
    assert "af_one" in str(error)
    assert await bench.speak(client, TEXT, model="kokoro-tiny", session="other")


@pytest.mark.parametrize("family", ["piper", "kokoro", "sherpa"])
async def test_a_broken_model_file_is_named_and_the_worker_goes_on(bench: Bench, packs: Path, family: str) -> None:
    file = packs / family / f"{family}-tiny" / "model.onnx"
    file.write_bytes(file.read_bytes()[:1000])
    worker = await bench.worker(VoicePackCatalog((packs,)), settings())
    client = bench.client(worker)
    error = await refusal(client.worker.load(f"{family}-tiny"))
    assert isinstance(error, ConfigError)
    assert str(file) in str(error)
    assert "1000 bytes" in str(error)
    failed = {status.info.model_id: status for status in await client.worker.models()}[f"{family}-tiny"]
    assert failed.state == "failed"
    assert str(file) in failed.error
    assert await bench.speak(client, TEXT, model="tone")


async def test_a_typo_in_the_metadata_is_named_and_nothing_else_speaks_instead(bench: Bench, packs: Path) -> None:
    file = packs / "piper" / "piper-tiny" / "metadata.yaml"
    file.write_text(file.read_text().replace("languages", "langauges"))
    worker = await bench.worker(VoicePackCatalog((packs,)), settings())
    client = bench.client(worker)
    for work in (client.worker.load("piper-tiny"), bench.speak(client, TEXT, model="piper-tiny")):
        error = await refusal(work)
        assert isinstance(error, ConfigError)
        assert f"{file}: there is no key 'langauges' (did you mean 'languages'?)" in str(error)
    listed = {status.info.model_id: status for status in await client.worker.models()}
    assert listed["piper-tiny"].state == "failed"
    assert "langauges" in listed["piper-tiny"].error


async def test_a_default_model_that_is_missing_keeps_the_worker_from_starting(bench: Bench, packs: Path) -> None:
    error = await refusal(bench.worker(VoicePackCatalog((packs,)), settings(default_model="zoe")))
    assert isinstance(error, NotFound)
    assert "no model called 'zoe'" in str(error)
    assert str(packs) in str(error)


async def test_a_default_model_that_is_broken_keeps_the_worker_from_starting(bench: Bench, packs: Path) -> None:
    file = packs / "piper" / "piper-tiny" / "model.onnx.json"
    file.write_text("{}")
    error = await refusal(bench.worker(VoicePackCatalog((packs,)), settings(default_model="piper-tiny")))
    assert isinstance(error, ConfigError)
    assert str(file) in str(error)


async def test_too_little_memory_is_refused_with_a_delay_and_the_resident_voice_stays(
    bench: Bench, packs: Path
) -> None:
    file = packs / "kokoro" / "kokoro-tiny" / "metadata.yaml"
    data = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump(data | {"memory_mb": 900}))
    limits = settings(memory_budget_bytes=200_000_000, wait_ms=0)
    worker = await bench.worker(VoicePackCatalog((packs,)), limits)
    client = bench.client(worker)
    error = await refusal(client.worker.load("kokoro-tiny"))
    assert isinstance(error, CapacityError)
    assert "kokoro-tiny" in str(error)
    assert await bench.speak(client, TEXT, model="tone")


async def test_a_pack_that_is_dropped_into_the_folder_can_be_loaded_without_a_restart(
    bench: Bench, packs: Path
) -> None:
    worker = await bench.worker(VoicePackCatalog((packs,)), settings())
    client = bench.client(worker)
    await asyncio.to_thread(tiny_models.piper_pack, packs, "newcomer")
    status, seconds = await client.worker.load("newcomer")
    assert status.state == "resident"
    assert seconds > 0
    assert await bench.speak(client, TEXT, model="newcomer")


async def test_a_reload_reads_the_new_files_and_a_failed_one_leaves_what_was_serving(bench: Bench, packs: Path) -> None:
    worker = await bench.worker(VoicePackCatalog((packs,)), settings())
    client = bench.client(worker)
    before = await bench.speak(client, TEXT, model="piper-tiny", session="a")
    config = packs / "piper" / "piper-tiny" / "model.onnx.json"
    data = json.loads(config.read_text())
    data["inference"]["length_scale"] = 2
    config.write_text(json.dumps(data))
    await client.worker.reload("piper-tiny")
    slower = await bench.speak(client, TEXT, model="piper-tiny", session="b")
    assert len(slower) > 1.5 * len(before)
    config.write_text("broken")
    assert isinstance(await refusal(client.worker.reload("piper-tiny")), ConfigError)
    again = await bench.speak(client, TEXT, model="piper-tiny", session="c")
    assert len(again) == pytest.approx(len(slower), rel=0.1)


async def test_the_command_line_lists_loads_and_unloads(
    bench: Bench, packs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = await bench.worker(VoicePackCatalog((packs,)), settings())
    here = [worker.address]
    await asyncio.to_thread(models_command.load, "piper-tiny", here, pin=True)
    assert "piper-tiny is resident in" in capsys.readouterr().out
    await asyncio.to_thread(models_command.list_models, here, as_json=True)
    listed = {model["model_id"]: model for model in json.loads(capsys.readouterr().out)[worker.address]}
    assert listed["piper-tiny"]["state"] == "resident"
    assert listed["piper-tiny"]["pinned"] is True
    assert listed["tone"]["is_default"] is True
    await asyncio.to_thread(models_command.list_models, here)
    assert "kokoro-tiny" in capsys.readouterr().out
    await asyncio.to_thread(models_command.show, "piper-tiny", here)
    assert "random weights" in capsys.readouterr().out
    await asyncio.to_thread(models_command.reload, "piper-tiny", here)
    await asyncio.to_thread(models_command.unload, "piper-tiny", here)
    assert "piper-tiny is unloaded" in capsys.readouterr().out
    with pytest.raises(NotFound, match="no model called 'zoe'"):
        await asyncio.to_thread(models_command.load, "zoe", here)


async def test_the_command_line_reports_the_workers_that_do_not_answer(
    bench: Bench, packs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = await bench.worker(VoicePackCatalog((packs,)), settings())
    with pytest.raises(typer.Exit) as ended:
        await asyncio.to_thread(models_command.list_models, [worker.address, "127.0.0.1:1"], as_json=True)
    assert ended.value.exit_code == 1
    said = capsys.readouterr()
    assert list(json.loads(said.out)) == [worker.address]
    assert "127.0.0.1:1" in said.err


async def test_the_command_line_asks_the_workers_that_the_settings_name(
    bench: Bench, packs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = await bench.worker(VoicePackCatalog((packs,)), settings())
    two = await bench.worker(VoicePackCatalog(), settings())
    named = [f'routing.workers=["{one.address}", "{two.address}"]']
    await asyncio.to_thread(models_command.list_models, set_=named, as_json=True)
    assert list(json.loads(capsys.readouterr().out)["workers"]) == [one.address, two.address]


async def test_the_command_line_asks_every_worker_of_the_registry(
    bench: Bench, packs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not RedisServer.available():
        pytest.skip("redis-server is not installed")
    worker = await bench.worker(VoicePackCatalog((packs,)), settings())
    async with RedisServer(tmp_path) as redis:
        registry = open_registry(RegistrySettings(url=redis.url))
        try:
            await registry.announce(Announcement("one", worker.address), lease=30)
            await asyncio.to_thread(models_command.load, "tone", set_=[f"registry.url={redis.url}"])
        finally:
            await registry.aclose()
    assert f"{worker.address}: tone is resident" in capsys.readouterr().out


async def test_a_worker_told_to_watch_reads_changed_files_again_by_itself(bench: Bench, packs: Path) -> None:
    worker = await bench.worker(VoicePackCatalog((packs,)), settings(watch_ms=50))
    client = bench.client(worker)
    before = await bench.speak(client, TEXT, model="piper-tiny", session="a")
    config = packs / "piper" / "piper-tiny" / "model.onnx.json"
    data = json.loads(config.read_text())
    data["inference"]["length_scale"] = 2
    config.write_text(json.dumps(data))
    async with asyncio.timeout(20):
        session = 0
        while len(await bench.speak(client, TEXT, model="piper-tiny", session=f"b{session}")) < 1.5 * len(before):
            session += 1
            await asyncio.sleep(0.05)
