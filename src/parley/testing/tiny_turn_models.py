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


def tiny_backchannel_detector(path: Path) -> Path:
    """Pipecat's backchannel detector, smaller: a nod while the agent talks, a wish for the floor when it is long.

    How long it has been loud is in its states: a cache of the newest samples, and a number that grows.
    """
    return _saved(
        path,
        "(float[1,640] chunk, float[1,2,8] bot_state, float[1,640] conv_cache, float[1,1,1] gru_state) => "
        "(float[1,2,5] intent, float[1,2] vad, float[1,2,8] vap, float[1,640] conv_cache_out, "
        "float[1,1,1] gru_state_out)",
        """
 both = Concat <axis=1> (conv_cache, chunk) conv_cache_out = Identity (chunk)
 four = Constant <value_ints=[1,4,320]> () frames = Reshape (both, four) size = Abs (frames)
 level = ReduceMean <axes=[2], keepdims=0> (size) from = Constant <value_ints=[2]> () to = Constant <value_ints=[4]> ()
 along = Constant <value_ints=[1]> () loud = Slice (level, from, to, along)
 quiet = Constant <value_floats=[0.01]> () beyond = Sub (loud, quiet) steep = Constant <value_floats=[1000.0]> ()
 slope = Mul (beyond, steep) vad = Sigmoid (slope)
 share = ReduceMean <axes=[1], keepdims=1> (vad) cube = Constant <value_ints=[1,1,1]> () said = Reshape (share, cube)
 gru_state_out = Add (gru_state, said)
 fifteen = Constant <value_floats=[15.0]> () over = Sub (gru_state_out, fifteen) wants = Sigmoid (over)
 column = Constant <value_ints=[1,2,1]> () speech = Reshape (vad, column) one = Constant <value_floats=[1.0]> ()
 none = Sub (one, speech) first = Constant <value_ints=[0]> () second = Constant <value_ints=[1]> ()
 depth = Constant <value_ints=[2]> () talks = Slice (bot_state, first, second, depth)
 floor = Mul (speech, wants) rest = Sub (speech, floor) nod = Mul (rest, talks) not = Sub (rest, nod)
 zero = Constant <value_floats=[0.0]> () nothing = Mul (speech, zero)
 intent = Concat <axis=2> (nod, nothing, not, floor, none)
 vap = Identity (bot_state)
""",
    )


def _saved(path: Path, signature: str, body: str) -> Path:
    import onnx
    from onnx import parser

    onnx.save(parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> tiny {signature} {{ {body} }}'), str(path))
    return path
