"""onnx-asr's real library with a transducer of NeMo's that hears a word per burst of sound."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from parley.asr import AsrSettings, create_recognizer
from parley.asr.incremental import IncrementalTurn
from parley.asr.onnx_asr import NemoEngine
from parley.errors import ConfigError, EngineError
from parley.interfaces import Recognizer
from parley.testing.bursts import bursts
from parley.testing.recognizers import RATE, frames, hear

pytest.importorskip("onnx_asr")
from parley.testing.tiny_nemo import nemo_offline_folder

pytestmark = pytest.mark.anyio
NUMBERS = " ".join(f"n{number}" for number in range(60))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return nemo_offline_folder(tmp_path, NUMBERS)


@pytest.fixture
async def recognizer(folder: Path) -> AsyncIterator[Recognizer]:
    recognizer = create_recognizer(AsrSettings(engine="onnx-asr", model=str(folder)))
    yield recognizer
    await recognizer.aclose()


async def test_words_come_with_the_times_at_which_they_were_said(recognizer: Recognizer) -> None:
    final = (await hear(recognizer, frames(bursts(4))))[-1]
    assert final.text == "n0 n1 n2 n3"
    assert [word.start for word in final.words] == pytest.approx([0.24, 0.72, 1.2, 1.68], abs=0.09)


async def test_how_sure_a_transcript_is_comes_from_the_networks_own_probabilities(tmp_path: Path) -> None:
    said = {}
    for sure in (20.0, 1.0):
        folder = nemo_offline_folder(tmp_path / str(sure), "turn on the lights", sure=sure)
        recognizer = create_recognizer(AsrSettings(engine="onnx-asr", model=str(folder)))
        said[sure] = (await hear(recognizer, frames(bursts(4))))[-1]
        await recognizer.aclose()
    assert said[20.0].text == said[1.0].text == "turn on the lights"
    assert said[20.0].confidence > 0.99
    assert said[1.0].confidence < 0.7


def test_what_is_certain_of_a_long_turn_is_not_decoded_again(folder: Path) -> None:
    engine = NemoEngine(AsrSettings(engine="onnx-asr", model=str(folder)))
    engine.load()
    longest = 0

    def decode(request):  # type: ignore[no-untyped-def]
        nonlocal longest
        longest = max(longest, request.audio.size)
        return engine.decode(request)

    turn = IncrementalTurn(decode, "en")
    sound = bursts(60)
    for start in range(0, sound.size, RATE):
        turn.add(sound[start : start + RATE].tobytes())
        turn.partial()
    final = turn.final()
    assert longest < 20 * RATE < sound.size
    assert final.covered == pytest.approx(sound.size / RATE)
    # Each stretch counts its own bursts: none was lost, and at most one heard twice at each of the three seams.
    assert 60 <= len(final.text.split()) <= 63


async def test_a_damaged_model_is_one_sentence(folder: Path) -> None:
    (folder / "encoder-model.onnx").write_bytes(b"nothing")
    recognizer = create_recognizer(AsrSettings(engine="onnx-asr", model=str(folder)))
    with pytest.raises(ConfigError, match="cannot be loaded"):
        await hear(recognizer, frames(bursts(1)))
    await recognizer.aclose()


def test_what_the_library_raises_is_the_engines_failure(folder: Path) -> None:
    engine = NemoEngine(AsrSettings(engine="onnx-asr", model=str(folder)))
    engine.load()

    class Broken:
        def recognize(self, audio: np.ndarray, **how: object) -> object:
            raise MemoryError("no room")

    engine._model = Broken()
    turn = IncrementalTurn(engine.decode, "")
    turn.add(bursts(1).tobytes())
    with pytest.raises(EngineError, match="no room"):
        turn.final()
