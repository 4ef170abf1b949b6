from pathlib import Path

import pytest

from parley.asr.sherpa import provider_for
from parley.asr.transducer_model import TransducerModel, onnx_facts, read_model
from parley.errors import ConfigError


def varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(high) if high else bytes([low])


def field(number: int, body: bytes) -> bytes:
    return varint(number * 8 + 2) + varint(len(body)) + body


def onnx_file(path: Path, facts: dict[str, str]) -> None:
    """The outer layer of an ONNX file: a version, a graph of some size, and metadata on both sides of it."""
    pairs = [field(14, field(1, key.encode()) + field(2, value.encode())) for key, value in facts.items()]
    path.write_bytes(varint(8) + varint(9) + b"".join(pairs[:1]) + field(7, bytes(300_000)) + b"".join(pairs[1:]))


def folder(path: Path, encoder: dict[str, str], decoder: dict[str, str] | None = None) -> str:
    (path / "tokens.txt").write_text("<blk> 0\n")
    for part, facts in (("encoder", encoder), ("decoder", decoder or {}), ("joiner", {})):
        onnx_file(path / f"{part}.onnx", facts)
    return str(path)


def test_facts_are_found_on_both_sides_of_the_graph(tmp_path: Path) -> None:
    facts = {"T": "45", "comment": "ü" * 200, "decode_chunk_len": "32"}
    onnx_file(tmp_path / "model.onnx", facts)
    assert onnx_facts(tmp_path / "model.onnx") == facts


@pytest.mark.parametrize("cut", [1, 5, 1_000, 300_010])
def test_a_part_of_a_file_is_refused(tmp_path: Path, cut: int) -> None:
    onnx_file(tmp_path / "model.onnx", {"T": "45", "decode_chunk_len": "32"})
    whole = (tmp_path / "model.onnx").read_bytes()
    (tmp_path / "model.onnx").write_bytes(whole[:cut] if cut > 1 else b"<html>not found</html>")
    with pytest.raises(ConfigError, match="only a part of one"):
        onnx_facts(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("facts", "window", "step"),
    [
        ({"T": "45", "decode_chunk_len": "32"}, 0.45, 0.32),
        ({"window_size": "121", "chunk_shift": "112"}, 1.21, 1.12),
        ({"chunk_feature_frames": "16", "right_feature_frames": "8"}, 0.24, 0.16),
    ],
)
def test_each_family_says_how_far_it_looks(tmp_path: Path, facts: dict[str, str], window: float, step: float) -> None:
    model = read_model(folder(tmp_path, facts))
    assert (model.window, model.step) == pytest.approx((window, step))


def test_a_network_that_does_not_stream_is_refused_with_what_to_take(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not made for streaming"):
        read_model(folder(tmp_path, {"model_type": "EncDecRNNTBPEModel"}))


def test_a_gpu_is_used_where_the_library_knows_one_and_not_silently_replaced() -> None:
    assert provider_for("auto", "2.0.1+cuda12.cudnn9") == provider_for("cuda", "2.0.1+cuda12.cudnn9") == "cuda"
    assert provider_for("auto", "2.0.1") == provider_for("cpu", "2.0.1+cuda12.cudnn9") == "cpu"
    with pytest.raises(ConfigError, match=r"sherpa-onnx 2\.0\.1 knows no GPU"):
        provider_for("cuda", "2.0.1")


@pytest.mark.parametrize(("gpu", "taken"), [(False, "encoder.int8.onnx"), (True, "encoder.onnx")])
def test_a_cpu_gets_the_small_numbers_and_a_gpu_the_large_ones(tmp_path: Path, gpu: bool, taken: str) -> None:
    where = folder(tmp_path, {"T": "45", "decode_chunk_len": "32"})
    onnx_file(tmp_path / "encoder.int8.onnx", {"T": "45", "decode_chunk_len": "32"})
    assert Path(read_model(where, gpu=gpu).files["encoder"]).name == taken


def test_a_unified_model_keeps_one_hypothesis(tmp_path: Path) -> None:
    facts = {"chunk_feature_frames": "16", "right_feature_frames": "8"}
    model = read_model(folder(tmp_path, facts, {"streaming_model_type": "nemo_parakeet_unified_streaming"}))
    assert not model.searches


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        ("de-DE", "de-DE"),
        ("de_de", "de-DE"),
        ("de-AT", "de-DE"),
        ("pt", "pt-BR"),
        ("pt-PT", "pt-PT"),
        ("zh-TW", "zh-CN"),
        ("nb-NO", ""),
        ("", ""),
    ],
)
def test_the_nearest_language_that_a_model_knows_is_told_to_it(wanted: str, language: str) -> None:
    known = ("en-US", "de-DE", "pt-BR", "pt-PT", "zh-CN")
    assert TransducerModel({}, 1, 1, languages=known).language(wanted) == language
