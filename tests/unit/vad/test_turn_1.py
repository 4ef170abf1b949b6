"""turn-1-mini: steps with a state that is handed on, against a tiny graph with the published names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parley.errors import ConfigError
from parley.testing.tiny_turn_models import tiny_turn_1
from parley.vad import TURN_MODELS, create_turn_model
from parley.vad.settings import TURN_ENGINES
from parley.vad.turn_1 import FRAME, LONGEST, RATE, STEP, Turn1Mini

from .test_smart_turn import tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Turn1Mini:
    return Turn1Mini(tiny_turn_1(tmp_path_factory.mktemp("turn") / "tiny.onnx"))


def noise(seconds: float, level: float = 3000, seed: int = 1) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(int(seconds * RATE)) * level).astype(np.int16)


def test_what_was_heard_before_reaches_the_last_step_through_the_state(model: Turn1Mini) -> None:
    speech, silence = noise(1.0), np.zeros(RATE, np.int16)

    assert model.probability(np.concatenate([speech, silence])) > 0.5
    assert model.probability(silence) < 0.5
    assert model.probability(np.concatenate([silence, speech])) < 0.5


def test_each_question_begins_from_zeros(model: Turn1Mini) -> None:
    silence = np.zeros(STEP, np.int16)
    alone = model.probability(silence)
    model.probability(noise(1.0))

    assert model.probability(silence) == alone


def test_a_step_that_is_not_full_is_judged_at_its_last_whole_frame(model: Turn1Mini) -> None:
    speech, silence = noise(4 * STEP / RATE), np.zeros(STEP, np.int16)
    part = np.concatenate([speech, silence[: 3 * FRAME + 100]])

    assert model.probability(part) == pytest.approx(model.probability(np.concatenate([speech, silence])), abs=1e-6)
    loud = np.concatenate([speech, silence[: 3 * FRAME], noise(FRAME / RATE)])
    assert model.probability(loud) < 0.5 < model.probability(part)


def test_less_than_a_frame_says_nothing_is_over(model: Turn1Mini) -> None:
    assert model.probability(noise(1.0)[: FRAME - 1]) == 0.0
    assert model.probability(np.zeros(0, np.int16)) == 0.0


def test_only_the_newest_eight_seconds_count(model: Turn1Mini) -> None:
    tail = noise(LONGEST / RATE)

    assert model.probability(np.concatenate([noise(1.0, 9000), tail])) == model.probability(tail)


def test_another_kind_of_model_is_refused_by_what_it_takes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is not a turn-1-mini model: it takes input_features, not audio"):
        Turn1Mini(tiny_model(tmp_path / "smart.onnx"))
    with pytest.raises(ConfigError, match=r"is not a Smart Turn v3 model: it takes audio, .*, not input_features"):
        create_turn_model("smart-turn", tiny_turn_1(tmp_path / "turn.onnx"))


def test_every_engine_of_the_settings_that_is_a_model_can_be_opened(tmp_path: Path) -> None:
    files = {"smart-turn": tiny_model(tmp_path / "a.onnx"), "turn-1-mini": tiny_turn_1(tmp_path / "b.onnx")}

    assert set(TURN_MODELS) == set(TURN_ENGINES) - {"auto", "words"} == set(files)
    for name, path in files.items():
        assert 0 <= create_turn_model(name, path).probability(noise(0.5)) <= 1
