"""Smart Turn: Whisper's features by our own arithmetic, and a tiny model of the real shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parley.errors import ConfigError
from parley.vad.smart_turn import RATE, SECONDS, SmartTurn, log_mel, newest


def tiny_model(path: Path) -> Path:
    """A model with Smart Turn's input and output: the sigmoid of the newest half second's mean feature."""
    import onnx
    from onnx import parser

    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> tiny (float[1,80,800] input_features) => (float[1,1] logits) {'
        " starts = Constant <value_ints=[750]> () ends = Constant <value_ints=[800]> ()"
        " axes = Constant <value_ints=[2]> ()"
        " part = Slice (input_features, starts, ends, axes) mean = ReduceMean <axes=[1,2], keepdims=0> (part)"
        " shape = Constant <value_ints=[1,1]> () flat = Reshape (mean, shape) logits = Sigmoid (flat) }"
    )
    onnx.save(model, str(path))
    return path


def test_the_features_are_those_that_whisper_models_were_trained_on() -> None:
    extractor = pytest.importorskip("faster_whisper.feature_extractor").FeatureExtractor(chunk_length=SECONDS)
    audio = np.random.default_rng(1).standard_normal(SECONDS * RATE).astype(np.float32) * 0.1
    normal = (audio - audio.mean()) / np.sqrt(audio.var() + 1e-7)

    expected = extractor(normal, padding=0)[:, : SECONDS * 100]

    assert np.allclose(expected, log_mel(audio), atol=2e-3)


def test_short_audio_stands_at_the_end_behind_silence() -> None:
    eight = newest(np.ones(RATE, np.float32))

    assert (len(eight), eight[0], eight[-1]) == (SECONDS * RATE, 0.0, 1.0)


def test_only_the_newest_eight_seconds_count(tmp_path: Path) -> None:
    model = SmartTurn(tiny_model(tmp_path / "tiny.onnx"))
    tail = (np.random.default_rng(2).standard_normal(SECONDS * RATE) * 3000).astype(np.int16)

    assert model.probability(tail) == model.probability(np.concatenate([np.full(RATE, 9, np.int16), tail]))


def test_silence_at_the_end_and_speech_at_the_end_are_told_apart(tmp_path: Path) -> None:
    model = SmartTurn(tiny_model(tmp_path / "tiny.onnx"))
    speech = (np.random.default_rng(3).standard_normal(2 * RATE) * 3000).astype(np.int16)

    assert model.probability(speech) > model.probability(np.concatenate([speech, np.zeros(RATE, np.int16)]))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.onnx does not exist"):
        SmartTurn(tmp_path / "nowhere.onnx")


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")

    with pytest.raises(ConfigError, match=r"broken\.onnx cannot be read"):
        SmartTurn(path)
