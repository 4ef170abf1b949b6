"""The backchannel detector: calls with a state that is handed on, and what the agent does meanwhile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parley.audio.frame import FRAME_SAMPLES, AudioFrame
from parley.errors import ConfigError
from parley.testing.tiny_turn_models import tiny_backchannel_detector
from parley.vad import INTERRUPTION_MODELS, create_interruption_model
from parley.vad.backchannel import CHUNK, RATE, AgentSound, BackchannelDetector, Overhearing
from parley.vad.settings import INTERRUPTION_ENGINES

from .test_smart_turn import tiny_model

LOUD = AudioFrame(np.full(FRAME_SAMPLES, 3000, np.int16).tobytes())
QUIET = AudioFrame(bytes(2 * FRAME_SAMPLES))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> BackchannelDetector:
    return BackchannelDetector(tiny_backchannel_detector(tmp_path_factory.mktemp("nods") / "tiny.onnx"))


def talking(model: BackchannelDetector) -> Overhearing:
    overhearing = model.overhear()
    overhearing.begin()
    for number in range(100):
        overhearing.played(LOUD, 0.02 * number)
    return overhearing


def noise(seconds: float) -> np.ndarray:
    return (np.random.default_rng(1).standard_normal(round(seconds * RATE)) * 3000).astype(np.int16)


def heard(overhearing: Overhearing, samples: np.ndarray, begin: float, piece: int = 160) -> None:
    for end in range(piece, len(samples) + 1, piece):
        overhearing.hear(samples[end - piece : end], begin + end / RATE)


# --- what is heard -----------------------------------------------------------------------


def test_a_short_sound_is_a_nod_and_a_long_one_asks_for_the_floor(model: BackchannelDetector) -> None:
    overhearing = talking(model)

    heard(overhearing, noise(0.3), 0.1)
    early = overhearing.wish()
    heard(overhearing, noise(1.2), 0.4)
    late = overhearing.wish()

    assert early is not None
    assert late is not None
    assert early < 0.1 < 0.9 < late


def test_silence_says_nothing_and_takes_nothing_back(model: BackchannelDetector) -> None:
    overhearing = talking(model)
    heard(overhearing, np.zeros(RATE, np.int16), 0.0)
    assert overhearing.wish() is None

    heard(overhearing, noise(0.4), 1.0)
    said = overhearing.wish()
    heard(overhearing, np.zeros(RATE // 10, np.int16), 1.4)

    assert said is not None
    assert overhearing.wish() == pytest.approx(said, abs=0.02)


def test_it_does_not_matter_in_which_pieces_the_sound_comes(model: BackchannelDetector) -> None:
    answers = []
    for piece in (160, CHUNK, 1000):
        overhearing = talking(model)
        heard(overhearing, noise(0.75)[: 12_000 // piece * piece], 0.1, piece)
        answers.append(overhearing.wish())

    assert answers == pytest.approx([answers[0]] * 3, abs=0.02)


def test_another_reply_knows_nothing_of_the_one_before(model: BackchannelDetector) -> None:
    overhearing = talking(model)
    heard(overhearing, noise(1.2), 0.1)

    overhearing.end()
    overhearing.begin()
    assert overhearing.wish() is None
    heard(overhearing, noise(0.3), 3.0)
    first = talking(model)
    heard(first, noise(0.3), 3.0)

    again = overhearing.wish()
    assert again is not None
    assert again > 0.5  # what the first reply had on its way was never heard: nobody spoke when this was said
    wish = first.wish()
    assert wish is not None
    assert wish < 0.1


def test_sessions_share_the_model_and_nothing_else(model: BackchannelDetector) -> None:
    one, other = talking(model), talking(model)
    heard(one, noise(1.2), 0.1)

    assert other.wish() is None


# --- what the agent does -----------------------------------------------------------------


def told(*frames: tuple[float, AudioFrame]) -> AgentSound:
    agent = AgentSound()
    for at, frame in frames:
        agent.played(frame, at)
    return agent


def test_before_a_sound_all_is_long_ago() -> None:
    assert told().features(0.0) == (0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0)


def test_a_frame_counts_from_when_it_is_heard() -> None:
    agent = told((10.0, LOUD))

    assert agent.features(9.99)[:2] == (0.0, 1.0)
    assert agent.features(11.0)[:2] == pytest.approx((1.0, 0.2))


@pytest.mark.parametrize(("quiet", "paused", "speaking"), [(0.1, 1.0, 1.0), (0.5, 0.1, 0.0)])
def test_only_quiet_of_a_fifth_of_a_second_is_a_pause(quiet: float, paused: float, speaking: float) -> None:
    agent = told((0.0, LOUD), (1.0, QUIET), (1.0 + quiet, LOUD))

    within = agent.features(1.0 + quiet - 0.01)
    after = agent.features(1.5 + quiet)

    assert (within[0], within[3]) == pytest.approx((speaking, (quiet - 0.01) / 5))
    assert (after[0], after[2]) == pytest.approx((1.0, paused))
    assert after[1] == pytest.approx((1.5 + quiet) / 5)


def test_a_reply_on_hold_is_still_being_spoken() -> None:
    agent = told((0.0, LOUD))

    assert agent.features(30.0)[:2] == (1.0, 1.0)


def test_what_was_on_its_way_when_a_reply_ended_is_never_heard() -> None:
    agent = told((0.0, QUIET), (1.0, LOUD))
    agent.end()

    assert agent.features(2.0)[0] == 0.0


# --- files -------------------------------------------------------------------------------


def test_another_kind_of_model_is_refused_by_what_it_takes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is not a backchannel-detector model: it takes input_features, not chunk"):
        BackchannelDetector(tiny_model(tmp_path / "smart.onnx"))


def test_a_state_that_is_not_given_back_is_named(tmp_path: Path) -> None:
    import onnx

    path = tiny_backchannel_detector(tmp_path / "tiny.onnx")
    graph = onnx.load(str(path))
    graph.graph.input[2].name = "other_cache"
    graph.graph.node[0].input[0] = "other_cache"
    onnx.save(graph, str(path))

    with pytest.raises(ConfigError, match=r"it gives .*, not other_cache_out"):
        BackchannelDetector(path)


def test_every_engine_of_the_settings_that_is_a_model_can_be_opened(tmp_path: Path) -> None:
    files = {"backchannel-detector": tiny_backchannel_detector(tmp_path / "a.onnx")}

    assert set(INTERRUPTION_MODELS) == set(INTERRUPTION_ENGINES) - {"auto", "words"} == set(files)
    for name, path in files.items():
        assert create_interruption_model(name, path)().wish() is None
