import numpy as np
import pytest

from parley.vad.gate import TICK_SAMPLES, EnergyGate

RATE = 16_000


def share_open(gate: EnergyGate, samples: np.ndarray) -> float:
    padded = np.concatenate([np.zeros(1, np.float32), samples.astype(np.float32)])
    return float(np.mean([gate.update(level) for level in gate.levels(padded)]))


def hiss(seconds: float, level_db: float, seed: int = 0) -> np.ndarray:
    count = int(seconds * RATE) // TICK_SAMPLES * TICK_SAMPLES
    return np.random.default_rng(seed).standard_normal(count) * 10 ** (level_db / 20)


@pytest.fixture
def gate() -> EnergyGate:
    return EnergyGate(8.0, -72.0, 0.4)


@pytest.mark.parametrize("scale", [1e-4, 1e-2, 0.9])
def test_levels_are_the_powers_of_what_each_emphasis_leaves(gate: EnergyGate, scale: float) -> None:
    time = np.arange(3 * TICK_SAMPLES + 1)
    rumble = scale * np.sin(time * 2 * np.pi * 40 / RATE) + scale / 300 * np.random.default_rng(2).normal(
        size=time.size
    )
    samples = rumble.astype(np.float32)
    for tick, levels in enumerate(gate.levels(samples)):
        now = rumble[tick * TICK_SAMPLES : (tick + 1) * TICK_SAMPLES + 1]
        for factor, level in zip((0.7, 0.9), levels, strict=True):
            assert level == pytest.approx(np.mean((now[1:] - factor * now[:-1]) ** 2), rel=1e-3)


def test_it_is_open_until_the_background_is_known(gate: EnergyGate) -> None:
    assert share_open(gate, hiss(0.3, -60)) == 1.0


def test_steady_noise_closes_it(gate: EnergyGate) -> None:
    share_open(gate, hiss(2, -45))
    assert share_open(gate, hiss(5, -45, 1)) < 0.1


def test_digital_silence_between_steady_noise_does_not_open_it(gate: EnergyGate) -> None:
    """A client's noise gate, a muted microphone, or frames that came late and were taken for silence."""
    share_open(gate, hiss(2, -55))
    for second in range(5):
        share_open(gate, np.zeros(RATE // 3 // TICK_SAMPLES * TICK_SAMPLES))
        assert share_open(gate, hiss(0.7, -55, second)) < 0.2


def test_speech_after_digital_silence_opens_it_at_once(gate: EnergyGate) -> None:
    share_open(gate, hiss(2, -55))
    share_open(gate, np.zeros(20 * RATE))
    assert share_open(gate, hiss(0.008, -45)) == 1.0


def test_noise_that_becomes_louder_opens_it_and_is_learnt(gate: EnergyGate) -> None:
    share_open(gate, hiss(2, -55))
    assert share_open(gate, hiss(0.5, -40, 1)) > 0.9
    share_open(gate, hiss(4, -40, 2))
    assert share_open(gate, hiss(4, -40, 3)) < 0.2


def test_the_first_tick_that_stands_out_opens_it(gate: EnergyGate) -> None:
    share_open(gate, hiss(3, -55))
    assert share_open(gate, hiss(0.008, -40, 1)) == 1.0


def test_below_the_minimum_nothing_opens_it(gate: EnergyGate) -> None:
    share_open(gate, np.zeros(2 * RATE))
    assert share_open(gate, hiss(1, -80)) == 0.0


def test_speech_keeps_it_open_for_the_hold(gate: EnergyGate) -> None:
    share_open(gate, hiss(3, -55))
    gate.open = True
    gate.speech()
    assert share_open(gate, np.zeros(int(0.4 * RATE) // TICK_SAMPLES * TICK_SAMPLES)) == 1.0
    assert share_open(gate, np.zeros(2 * TICK_SAMPLES)) == 0.0


def test_speech_is_not_learnt_as_background(gate: EnergyGate) -> None:
    share_open(gate, hiss(2, -60))
    for _ in range(40):
        share_open(gate, hiss(0.1, -25))
        gate.speech()
    assert share_open(gate, hiss(0.008, -40)) == 1.0
