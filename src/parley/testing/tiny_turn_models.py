"""Tiny models with the published inputs and outputs of those that hear whose turn it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_TURN_1_STATES = {
    "audio": "1,240", "conv1": "1,4,2", "conv2": "1,4,2", "k": "2,1,60,4", "v": "2,1,60,4", "k_valid": "1,60",
    "h6": "1,1",
}  # fmt: skip
"""turn-1-mini's, smaller; ``h6`` remembers how loud it has been."""


def tiny_turn_1(path: Path) -> Path:
    """A step of turn-1-mini: likely over where it is silent, and was not before, which only its state tells."""
    states = ", ".join(f"float[{shape}] state_{name}" for name, shape in _TURN_1_STATES.items())
    left = ", ".join(f"float[{shape}] new_state_{name}" for name, shape in _TURN_1_STATES.items())
    kept = " ".join(f"new_state_{name} = Identity (state_{name})" for name in _TURN_1_STATES if name != "h6")
    return _saved(
        path,
        f"(float[1,2560] audio, {states}) => (float[8] probs, {left})",
        f"""
 eight = Constant <value_ints=[8,320]> () frames = Reshape (audio, eight) size = Abs (frames)
 loud = ReduceMean <axes=[1], keepdims=0> (size)
 flat = Constant <value_ints=[-1]> () before = Reshape (state_h6, flat)
 rise = Constant <value_floats=[100.0]> () fall = Constant <value_floats=[400.0]> ()
 base = Constant <value_floats=[3.0]> ()
 a = Mul (before, rise) b = Mul (loud, fall) c = Sub (a, b) d = Sub (c, base) probs = Sigmoid (d)
 all = ReduceMean <axes=[0,1], keepdims=1> (size) fade = Constant <value_floats=[0.95]> ()
 faded = Mul (state_h6, fade) new_state_h6 = Max (faded, all) {kept}
""",
    )


def _saved(path: Path, signature: str, body: str) -> Path:
    import onnx
    from onnx import parser

    onnx.save(parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> tiny {signature} {{ {body} }}'), str(path))
    return path
