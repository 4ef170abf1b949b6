from pathlib import Path

import pytest

from parley.asr import AsrSettings, create_recognizer
from parley.asr.decoder import from_json, to_json
from parley.asr.faster_whisper import device_for, model_folder
from parley.asr.whisper_languages import whisper_code
from parley.environments import Environments
from parley.errors import ConfigError
from parley.values import Transcript, TranscriptWord


def test_an_unknown_recogniser_is_named_with_the_ones_there_are() -> None:
    with pytest.raises(ConfigError, match="no recogniser"):
        create_recognizer(AsrSettings(engine="dragon"))


def test_sherpa_without_a_model_says_what_to_set() -> None:
    pytest.importorskip("sherpa_onnx")
    with pytest.raises(ConfigError, match=r"asr\.model"):
        create_recognizer(AsrSettings(engine="sherpa"))


@pytest.mark.parametrize(("engine", "package"), [("moonshine", "moonshine_voice"), ("onnx-asr", "onnx_asr")])
def test_without_a_model_an_engine_says_what_to_set(engine: str, package: str) -> None:
    pytest.importorskip(package)
    with pytest.raises(ConfigError, match=r"asr\.model"):
        create_recognizer(AsrSettings(engine=engine))


def test_an_incomplete_transducer_folder_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    pytest.importorskip("sherpa_onnx")
    (tmp_path / "tokens.txt").write_text("<blk> 0\n")
    with pytest.raises(ConfigError, match=r"encoder\.onnx, decoder\.onnx, joiner\.onnx is missing"):
        create_recognizer(AsrSettings(engine="sherpa", model=str(tmp_path)))


def test_whisperx_without_its_environment_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="parley engines install whisperx"):
        create_recognizer(AsrSettings(engine="whisperx"), environments=Environments(tmp_path))


@pytest.mark.parametrize(
    ("model", "says"),
    [("/nowhere", "no folder"), ("enormous", "no whisper model"), ("tiny", r"asr\.download is off")],
)
def test_a_missing_whisper_model_is_one_sentence(
    model: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("faster_whisper")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ConfigError, match=says):
        model_folder(model, download=False)


def test_a_folder_without_weights_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.bin is missing"):
        model_folder(str(tmp_path), download=False)


def test_a_gpu_that_is_not_there_is_not_silently_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 0)
    with pytest.raises(ConfigError, match="cuda"):
        device_for("cuda")
    assert device_for("auto") == "cpu"


def test_transcripts_survive_the_way_between_processes() -> None:
    transcript = Transcript("a b", True, 3, (TranscriptWord("a", 0.1, 0.2, 0.5), TranscriptWord("b", 0.2, 0.3)), "en")
    assert from_json(to_json(transcript)) == transcript


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("", ""),
        ("de-AT", "de"),
        ("cmn", "zh"),
        ("zh-HK", "zh"),
        ("nb-NO", "no"),
        ("iw", "he"),
        ("fil", "tl"),
        ("xx", ""),
    ],
)
def test_whisper_is_told_a_language_by_its_own_code(tag: str, code: str) -> None:
    assert whisper_code(tag) == code


def test_a_model_that_is_not_here_is_said_before_anybody_speaks() -> None:
    pytest.importorskip("faster_whisper")
    with pytest.raises(ConfigError, match=r"asr\.download is off"):
        create_recognizer(AsrSettings(engine="faster-whisper", model="nobody/nothing"))
