"""LoRAs of an engine in a process that dies, hangs or can not read them again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from parley.errors import EngineError, ParleyError
from parley.testing.engines import LoraAdapter
from parley.values import ModelInfo, SynthesizedAudio, Voice
from parley.worker import engine_process
from parley.worker.engine_process import ProcessEngine
from parley.worker.pack import VoicePack

pytestmark = pytest.mark.anyio


class Spoken:
    """A text that takes all that is made of it."""

    def __init__(self, text: str, lora: str = "") -> None:
        self.text, self.voice, self.cancelled = text, Voice(lora=lora), False
        self._loop = asyncio.get_running_loop()
        self.began = asyncio.Event()
        self.error: asyncio.Future[ParleyError | None] = self._loop.create_future()

    def ahead(self) -> float:
        return 0.0

    def wants_more(self) -> bool:
        return True

    def started(self, pid: int = 0) -> None:
        """Its first audio says so."""

    def push(self, audio: SynthesizedAudio, seconds: float) -> None:
        self._loop.call_soon_threadsafe(self.began.set)

    def finished(self, error: ParleyError | None) -> None:
        self._loop.call_soon_threadsafe(self.error.set_result, error)


class Lost:
    """What an engine could not read again."""

    def __init__(self, engine: ProcessEngine) -> None:
        self.names: list[str] = []
        self.told = asyncio.Event()
        engine.lora_lost = self._note

    def _note(self, name: str, error: ParleyError) -> None:
        self.names.append(name)
        self.told.set()


@pytest.fixture
async def engine() -> AsyncIterator[ProcessEngine]:
    made = ProcessEngine(LoraAdapter(VoicePack(ModelInfo("lora", "lora"))))
    await made.load()
    yield made
    await made.unload()


def lora(folder: Path, share: str) -> Path:
    folder.mkdir()
    (folder / "share").write_text(share, "utf-8")
    return folder


async def spoken(engine: ProcessEngine, text: str, name: str = "") -> ParleyError | None:
    job = Spoken(text, name)
    engine.submit(job)
    async with asyncio.timeout(60):
        return await job.error


async def test_one_that_can_not_be_read_again_is_reported_and_the_others_are_there(
    engine: ProcessEngine, tmp_path: Path
) -> None:
    lost, anna, bert = Lost(engine), lora(tmp_path / "anna", "0.5"), lora(tmp_path / "bert", "0.5")
    await engine.load_lora("anna", anna)
    await engine.load_lora("bert", bert)
    (anna / "share").unlink()
    assert await spoken(engine, "crash") is not None
    assert await spoken(engine, "Hello.", "bert") is None
    async with asyncio.timeout(60):
        await lost.told.wait()
    assert await spoken(engine, "crash") is not None
    assert await spoken(engine, "Hello.", "bert") is None
    assert lost.names == ["anna"]


async def test_one_that_was_dropped_while_its_engine_died_is_gone(engine: ProcessEngine, tmp_path: Path) -> None:
    lost, anna = Lost(engine), lora(tmp_path / "anna", "0.5")
    await engine.load_lora("anna", anna)
    os.kill(engine.pid, signal.SIGSTOP)  # the drop is asked for, and never answered
    dropping = asyncio.ensure_future(engine.drop_lora("anna"))
    await asyncio.sleep(0)
    os.kill(engine.pid, signal.SIGKILL)
    await dropping
    (anna / "share").unlink()
    while (error := await spoken(engine, "Hello.")) is not None:  # the dead one may have been given this text
        assert isinstance(error, EngineError)
    assert lost.names == []


async def test_one_that_is_never_read_while_somebody_is_spoken_to_ends_the_engine(
    engine: ProcessEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Spoken("Until another is there.")
    engine.submit(job)
    async with asyncio.timeout(60):
        await job.began.wait()
        monkeypatch.setattr(engine_process, "LOAD_LIMIT", 0.5)
        with pytest.raises(EngineError, match=r"no answer within 0\.5 s"):
            await engine.load_lora("stuck", lora(tmp_path / "stuck", "stuck"))
        assert isinstance(await job.error, EngineError)
    monkeypatch.undo()
    assert await spoken(engine, "Hello.") is None
