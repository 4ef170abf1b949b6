import json
from pathlib import Path

import pytest

from parley.asr.onnx_asr import model_type, providers_for, segments_of
from parley.errors import ConfigError
from parley.values import TranscriptWord


def folder(path: Path, kind: str, *files: str) -> str:
    (path / "config.json").write_text(json.dumps({"model_type": kind}))
    for file in files:
        (path / file).write_bytes(b"")
    return str(path)


@pytest.mark.parametrize(
    ("kind", "files", "number_format"),
    [
        ("nemo-conformer-tdt", ("encoder-model.onnx", "decoder_joint-model.onnx"), ""),
        ("nemo-conformer-tdt", ("encoder-model.int8.onnx", "decoder_joint-model.int8.onnx"), "int8"),
        ("nemo-conformer-ctc", ("model.int8.onnx", "model.onnx"), "int8"),
        ("nemo-conformer-aed", ("encoder-model.onnx", "decoder-model.onnx", "decoder-model.int8.onnx"), ""),
    ],
)
def test_the_small_number_format_is_taken_where_all_of_it_is_there(
    tmp_path: Path, kind: str, files: tuple[str, ...], number_format: str
) -> None:
    assert model_type(folder(tmp_path, kind, "vocab.txt", *files)) == (kind, number_format)


def test_a_gpu_gets_the_large_numbers_where_there_is_a_choice(tmp_path: Path) -> None:
    where = folder(tmp_path, "nemo-conformer-ctc", "vocab.txt", "model.int8.onnx", "model.onnx")
    assert model_type(where, gpu=True) == ("nemo-conformer-ctc", "")
    (tmp_path / "model.onnx").unlink()
    assert model_type(where, gpu=True) == ("nemo-conformer-ctc", "int8")


@pytest.mark.parametrize(
    ("kind", "files", "says"),
    [
        ("nemo-conformer-tdt", ("vocab.txt", "encoder-model.onnx"), r"decoder_joint-model\.onnx is missing"),
        ("nemo-conformer-ctc", ("model.onnx",), r"vocab\.txt is missing"),
        ("whisper", (), "the type whisper, which is not run here"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, kind: str, files: tuple[str, ...], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        model_type(folder(tmp_path, kind, *files))


def test_a_folder_without_a_configuration_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no config\.json"):
        model_type(str(tmp_path))


def test_a_gpu_is_used_where_there_is_one_and_not_silently_replaced() -> None:
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert providers_for("auto", both) == both
    assert providers_for("cpu", both) == ["CPUExecutionProvider"]
    assert providers_for("auto", ["CPUExecutionProvider"]) == ["CPUExecutionProvider"]
    with pytest.raises(ConfigError, match="knows no GPU"):
        providers_for("cuda", ["CPUExecutionProvider"])


def word(text: str, start: float, end: float) -> TranscriptWord:
    return TranscriptWord(text, start, end)


def test_a_segment_ends_with_a_sentence_in_a_pause_or_after_a_while() -> None:
    words = [
        word("Yes.", 0.0, 0.3), word("turn", 0.4, 0.6), word("it", 0.6, 0.8), word("off", 1.6, 2.0),
        *(word(f"w{at}", 2.0 + at, 3.0 + at) for at in range(9)),
    ]  # fmt: skip
    segments = segments_of(words)
    assert [segment.text for segment in segments[:2]] == ["Yes.", "turn it"]
    assert segments[2].text.startswith("off w0")
    assert len(segments) == 4
    assert segments[0].end == pytest.approx(0.35)
    assert segments[1].end == pytest.approx(1.2)
    assert segments[-1].end == pytest.approx(11.0)
    assert [said for segment in segments for said in segment.words] == words


def test_no_words_are_no_segments() -> None:
    assert segments_of([]) == ()
