"""Sound that tiny models understand: each burst of it is one word, the next of their sentence.

So what a recogniser says of it tells how much of it was listened to, and by whom.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

RATE = 16_000
LENGTH, GAP = 0.24, 0.24
"""Seconds of a burst, and of the silence before each."""
_WHILE = 0.16


def bursts(count: int) -> NDArray[np.int16]:
    """So many bursts of noise at 16 kHz; the sound ends with the last of them."""
    random = np.random.default_rng(count)
    silence = np.zeros(int(GAP * RATE), np.int16)
    pieces = [
        piece
        for _ in range(count)
        for piece in (silence, np.asarray(random.standard_normal(int(LENGTH * RATE)) * 4_000, np.int16))
    ]
    return np.concatenate(pieces)


def known_within(seconds: float) -> int:
    """How many words must be known of whom so much was listened to: those whose bursts began a while before."""
    return max(0, int((seconds - _WHILE - GAP) // (LENGTH + GAP)) + 1)


def save_graph(
    path: Path, text: str, weights: Mapping[str, NDArray[Any]], facts: Mapping[str, str] | None = None
) -> None:
    """Write an ONNX model from its text, its initialisers and its metadata. Needs the onnx package."""
    import onnx
    from onnx import numpy_helper, parser

    model = parser.parse_model(text)
    for name, values in weights.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    onnx.helper.set_model_props(model, dict(facts or {}))
    onnx.save(model, str(path))
