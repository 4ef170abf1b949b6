"""Semantic end of turn by p99lab's turn-1-mini (ONNX), where its file is present.

The model is causal: a step takes 160 ms of sound and the state that the step before left, and answers for each 20 ms
with the probability that the speaker has finished. Its filter and its features are in the graph. Its author measured
it on the sound of the turn so far, from a state of zeros, which is how it is asked here.
Names and shapes are those of the graph that ``p99lab/turn-1-mini`` publishes on the Hugging Face hub (Apache-2.0), as
its author's own clients use it (``P99Lab/pipecat-p99lab``); the weights are not part of Parley.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from parley.vad.onnx_file import must_have, open_model

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

RATE = 16_000
STEP, FRAME = 2_560, 320
"""Samples that one step takes, and that each of its answers is for."""
STATES = ("audio", "conv1", "conv2", "k", "v", "k_valid", "h6")
"""What is handed on: ``state_`` and the name goes in, ``new_state_`` and the name comes out."""
LONGEST = 8 * RATE
"""Of the newest sound; each of the six layers looks 1.2 s back."""


class Turn1Mini:
    """An EndOfTurnModel; one instance serves all sessions, from any thread."""

    def __init__(self, path: Path) -> None:
        """Load the model. Raises ConfigError when the file is missing or is none of this kind."""
        self._outputs = ["probs", *(f"new_state_{name}" for name in STATES)]
        taken = ["audio", *(f"state_{name}" for name in STATES)]
        self._session = open_model(path, "turn-1-mini")
        must_have(self._session, path, "turn-1-mini", taken, self._outputs)
        self._begin = {
            entry.name: np.zeros(entry.shape, np.float32)
            for entry in self._session.get_inputs()
            if entry.name.startswith("state_")
        }

    def probability(self, samples: NDArray[np.int16]) -> float:
        """What the model says of the last 20 ms that are all there; 0 where there is less than that."""
        audio = np.multiply(samples[-LONGEST:], 1 / 32768, dtype=np.float32)
        frames = len(audio) // FRAME
        if not frames:
            return 0.0
        steps = np.zeros(-(-len(audio) // STEP) * STEP, np.float32)
        steps[: len(audio)] = audio
        state, probabilities = self._begin, np.zeros(0, np.float32)
        for step in steps.reshape(-1, 1, STEP):
            answers, *left = self._session.run(self._outputs, {"audio": step, **state})
            state = {f"state_{name}": value for name, value in zip(STATES, left, strict=True)}
            probabilities = np.concatenate([probabilities, np.asarray(answers).reshape(-1)])
        return float(probabilities[frames - 1])
