from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.audio.resample import resample
from parley.bench.speech import mix, noise, say
from parley.errors import ConfigError
from parley.vad import VadSettings, create_vad
from parley.vad.silero import SileroVad

RATE, LEAD = 16_000, 32_000


@pytest.fixture(scope="module")
def talk() -> np.ndarray:
    """Two seconds of a quiet room, then a sentence."""
    speech = resample(say("Hold on, I have a question."), 48_000, RATE)
    padded = np.concatenate([np.zeros(LEAD, np.int16), speech])
    return mix(padded, noise(padded.size, -50, seed=1))


def onset(vad: SileroVad, audio: np.ndarray, size: int = 128, alert_from: int = 0) -> int:
    """End of the first decision that says speech."""
    done = 0
    for start in range(0, audio.size, size):
        if alert_from and start >= alert_from:
            vad.set_alert(True)
        for score in vad.score(audio[start : start + size]):
            done += score.samples
            if score.probability > 0.3:
                return done
    return audio.size


@pytest.mark.parametrize("engine", ["silero", "webrtc"])
@given(sizes=st.lists(st.integers(0, 3_000), max_size=10))
@settings(max_examples=10, deadline=None)
def test_scores_cover_the_audio_without_a_gap(engine: str, sizes: list[int]) -> None:
    vad = create_vad(engine)
    covered = 0
    for number, size in enumerate(sizes):
        vad.set_alert(number % 3 == 1)
        scores = vad.score(np.zeros(size, np.int16))
        assert all(0 <= score.probability <= 1 and score.samples > 0 for score in scores)
        covered += sum(score.samples for score in scores)
    assert 0 <= sum(sizes) - covered < 1_024


@pytest.mark.parametrize("engine", ["silero", "webrtc"])
def test_a_detector_knows_nothing_of_another_ones_stream(engine: str, talk: np.ndarray) -> None:
    first = list(create_vad(engine).score(talk))
    assert list(create_vad(engine).score(talk)) == first


def test_how_frames_are_cut_does_not_change_an_onset(talk: np.ndarray) -> None:
    onsets = set()
    for size in (128, 320, 960):
        vad = create_vad()
        vad.set_alert(True)
        onsets.add(onset(vad, talk, size))
    assert len(onsets) == 1


def test_speech_is_found_and_the_room_is_not(talk: np.ndarray) -> None:
    assert LEAD < onset(create_vad(), talk) < LEAD + 0.2 * RATE


def test_the_gate_makes_no_onset_later(talk: np.ndarray) -> None:
    for alert in (False, True):
        gated, plain = create_vad(), create_vad(settings=VadSettings(gate=False))
        gated.set_alert(alert)
        plain.set_alert(alert)
        assert onset(gated, talk) <= onset(plain, talk) + 128


def test_becoming_alert_in_the_middle_loses_no_context(talk: np.ndarray) -> None:
    switched, always = create_vad(), create_vad()
    always.set_alert(True)
    assert abs(onset(switched, talk, alert_from=LEAD - 1_000) - onset(always, talk)) <= 256


def test_becoming_calm_in_the_middle_of_speech_goes_on_hearing_it(talk: np.ndarray) -> None:
    vad = create_vad()
    vad.set_alert(True)
    middle = LEAD + RATE // 2
    vad.score(talk[:middle])
    vad.set_alert(False)
    scores = vad.score(talk[middle : middle + RATE // 4])
    assert max(score.probability for score in scores) > 0.8


def test_silence_costs_no_inference() -> None:
    vad = create_vad()
    assert isinstance(vad, SileroVad)
    vad.set_alert(True)
    vad.score(np.zeros(2 * RATE, np.int16))
    before = vad.inferences
    vad.score(np.zeros(5 * RATE, np.int16))
    assert vad.inferences == before


def test_streams_share_the_network_and_nothing_else(talk: np.ndarray) -> None:
    alone = list(create_vad().score(talk))
    one, other = create_vad(), create_vad()
    scores = []
    for start in range(0, talk.size, 320):
        scores += one.score(talk[start : start + 320])
        other.score(np.random.default_rng(start).integers(-3_000, 3_000, 320, np.int16))
    speech = [score.probability for score in scores if score.probability]
    assert speech == pytest.approx([score.probability for score in alone if score.probability])


def test_an_unknown_detector_is_named_with_the_ones_there_are() -> None:
    with pytest.raises(ConfigError, match="silero, webrtc"):
        create_vad("ears")


def test_a_network_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="/nowhere"):
        create_vad(settings=replace(VadSettings(), model_path="/nowhere/vad.onnx"))
