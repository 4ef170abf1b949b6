"""Tiny ONNX graphs that turn symbols into noise of the right length: what ``tiny_models`` is built of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

SYMBOLS = 256
WIDTH = 16

# Token ids to frames of noise: every id has a length and a colour. `speed` divides the lengths,
# `noise` scales what is random, `style` (speaker) shifts the colour. One ConvTranspose turns frames into
# samples, as a vocoder does.
_BODY = """
 e0 = Gather (emb, ids) e = Add (e0, tint)
 d0 = Gather (dur, ids) d1 = Mul (d0, length) lengths = Ceil (d1)
 c = CumSum (lengths, one) total = ReduceSum <keepdims=0> (lengths)
 ti = Cast <to=7> (total) t = Range (zero, ti, one) tf = Cast <to=1> (t)
 tu = Unsqueeze (tf, axis1) past = GreaterOrEqual (tu, c) pi = Cast <to=7> (past)
 index = ReduceSum <keepdims=0> (pi, axis1)
 f = Gather <axis=1> (e, index) r = RandomNormalLike <scale=0.3, seed=7.0> (f) n = Mul (r, noise)
 xn = Add (f, n) xt = Transpose <perm=[0,2,1]> (xn)
 y0 = ConvTranspose <strides=[STRIDE], pads=[HALF,HALF]> (xt, W) y = Tanh (y0)
"""


def make_graph(inputs: str, outputs: str, head: str, tail: str, stride: int) -> Any:
    """A model: ``head`` makes ids, length, noise and tint of the inputs; ``tail`` the outputs of y and lengths."""
    from onnx import parser

    body = _BODY.replace("STRIDE", str(stride)).replace("HALF", str(stride // 2))
    return parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> tiny ({inputs}) => ({outputs}) {{ {head} {body} {tail} }}'
    )


def make_weights(seed: int, stride: int) -> dict[str, NDArray[Any]]:
    """The initialisers that every graph of :func:`make_graph` needs."""
    random = np.random.default_rng(seed)
    return {
        "zero": np.array(0),
        "one": np.array(1),
        "axis1": np.array([1]),
        "emb": random.standard_normal((SYMBOLS, WIDTH)),
        "dur": 2 + 3 * random.random(SYMBOLS),
        "W": 0.08 * random.standard_normal((WIDTH, 1, 2 * stride)),
    }


def add_vocoder(model: Any, seed: int) -> dict[str, NDArray[Any]]:
    """Replace the single ConvTranspose by a HiFi-GAN generator: 8, 8 and 4 times up from 256 channels."""
    from onnx import helper

    random = np.random.default_rng(seed)
    weights: dict[str, NDArray[Any]] = {}
    nodes: list[Any] = []

    def conv(source: str, inside: int, outside: int, kernel: int, *, dilation: int = 1, stride: int = 0) -> str:
        number = len(weights)
        shape = (inside, outside, kernel) if stride else (outside, inside, kernel)
        weights[f"vw{number}"] = random.standard_normal(shape) / np.sqrt(inside * kernel)
        pad = (kernel - stride) // 2 if stride else dilation * (kernel - 1) // 2
        extra: dict[str, Any] = {"strides": [stride]} if stride else {"dilations": [dilation]}
        kind = "ConvTranspose" if stride else "Conv"
        nodes.append(helper.make_node(kind, [source, f"vw{number}"], [f"v{number}"], pads=[pad, pad], **extra))
        return f"v{number}"

    def apply(kind: str, *sources: str, **keys: Any) -> str:
        out = f"va{len(nodes)}"
        nodes.append(helper.make_node(kind, list(sources), [out], **keys))
        return out

    x, channels = conv("xt", WIDTH, 256, 7), 256
    for stride, kernel in ((8, 16), (8, 16), (4, 8)):
        x = conv(apply("LeakyRelu", x, alpha=0.1), channels, channels // 2, kernel, stride=stride)
        channels //= 2
        blocks = []
        for size, dilations in ((3, (1, 2)), (5, (2, 6)), (7, (3, 12))):
            y = x
            for dilation in dilations:
                y = apply("Add", y, conv(apply("LeakyRelu", y, alpha=0.1), channels, channels, size, dilation=dilation))
            blocks.append(y)
        x = apply("Mean", *blocks)
    x = conv(apply("LeakyRelu", x, alpha=0.01), channels, 1, 7)
    nodes.append(helper.make_node("Mul", [x, "vgain"], ["y0"]))
    weights["vgain"] = np.array([6.0])
    old = next(node for node in model.graph.node if "y0" in node.output)
    at = list(model.graph.node).index(old)
    model.graph.node.remove(old)
    for offset, node in enumerate(nodes):
        model.graph.node.insert(at + offset, node)
    return weights


def save_graph(
    model: Any, weights: Mapping[str, NDArray[Any]], path: Path, *, ballast_mb: int = 0, meta: Mapping[str, str] = {}
) -> None:
    """Put the weights into the model and write it; ``ballast_mb`` adds weights that take memory and no time."""
    import onnx
    from onnx import numpy_helper

    for name, array in weights.items():
        kind = np.float32 if array.dtype.kind == "f" else np.int64
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array, kind), name))
    if ballast_mb:
        _add_ballast(model, ballast_mb)
    for key, value in meta.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(model, str(path))


def _add_ballast(model: Any, megabytes: int) -> None:
    """Weights that the graph needs (so that they are kept) but that add nothing to the sound."""
    from onnx import helper, numpy_helper

    ballast = np.random.default_rng(1).standard_normal((megabytes * 256, 1024)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(ballast, "ballast"))
    last = next(node for node in model.graph.node if "y" in node.output)
    last.output[list(last.output).index("y")] = "y_light"
    at = list(model.graph.node).index(last) + 1
    nodes = [
        helper.make_node("Min", ["ti", "zero"], ["b_index"]),  # 0, but not before the graph runs
        helper.make_node("Gather", ["ballast", "b_index"], ["b_row"]),
        helper.make_node("ReduceMean", ["b_row"], ["b_mean"], keepdims=0),
        helper.make_node("Mul", ["b_mean", "b_zero"], ["b_none"]),
        helper.make_node("Add", ["y_light", "b_none"], ["y"]),
    ]
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((), np.float32), "b_zero"))
    for offset, node in enumerate(nodes):
        model.graph.node.insert(at + offset, node)
