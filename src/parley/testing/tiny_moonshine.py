"""A Moonshine v2 (streaming) model of a few kB for the real moonshine-voice: one word of a sentence per burst.

Laid out as Moonshine publishes them: five graphs in onnxruntime's own format, a configuration and a tokenizer. The
frontend tells loud stretches of 20 ms from silent ones; the decoder counts how often it grew loud, and says as many
words. Needs the onnx package.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from parley.testing.bursts import save_graph

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_CHUNK, _FRAME = 1_280, 320
_LOOKAHEAD = 16
_BEGIN, _END = 1, 2
_LOUD = 0.02
_HEADER = '<ir_version: 8, opset_import: ["" : 17]>'
_CONFIG = {
    "encoder_dim": 1, "decoder_dim": 1, "depth": 1, "nheads": 1, "head_dim": 1, "bos_id": _BEGIN, "eos_id": _END,
    "frame_len": 80, "total_lookahead": _LOOKAHEAD, "d_model_frontend": 1, "c1": 1, "c2": 1, "max_seq_len": 448,
}  # fmt: skip


def moonshine_folder(folder: Path, sentence: str) -> Path:
    """Write the model; it hears as many words of ``sentence`` as there are bursts, and no more than it has."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = [b"<unk>", b"<s>", b"</s>", *(bytes([byte]) for byte in range(256))]
    first = len(tokens)
    tokens += (f"\u2581{word}".encode() for word in sentence.split())
    (folder / "tokenizer.bin").write_bytes(b"".join(bytes([len(token)]) + token for token in tokens))
    (folder / "streaming_config.json").write_text(json.dumps(_CONFIG | {"vocab_size": len(tokens)}))
    count = len(tokens) - first
    following = np.full((count + 1, len(tokens)), -10, np.float32)
    following[np.arange(count), first + np.arange(count)] = following[count, _END] = 10
    for name, text, weights in (
        (
            "frontend",
            _FRONTEND,
            {"frames": np.array([1, _CHUNK // _FRAME, _FRAME]), "limit": np.array(_LOUD, np.float32)},
        ),
        ("encoder", _ENCODER, {}),
        ("adapter", _ADAPTER, {}),
        ("cross_kv", _CROSS, {"outer": np.array([0, 1])}),
        ("decoder_kv", _DECODER.replace("SIZE", str(len(tokens))), _decoder_weights(following)),
    ):
        _save(folder / f"{name}.ort", text, weights)
    return folder


_FRONTEND = f"""{_HEADER} frontend
 (float[1,{_CHUNK}] audio_chunk, float[1,79] sample_buffer, int64[1] sample_len, float[1,1,4] conv1_buffer,
  float[1,1,4] conv2_buffer, int64[1] frame_count)
 => (float[1,T,1] features, float[1,79] sample_buffer_out, int64[1] sample_len_out, float[1,1,4] conv1_buffer_out,
  float[1,1,4] conv2_buffer_out, int64[1] frame_count_out)
 {{ size = Abs (audio_chunk) stretches = Reshape (size, frames) mean = ReduceMean <axes=[2], keepdims=1> (stretches)
 isloud = Greater (mean, limit) features = Cast <to=1> (isloud) sample_buffer_out = Identity (sample_buffer)
 sample_len_out = Identity (sample_len) conv1_buffer_out = Identity (conv1_buffer)
 conv2_buffer_out = Identity (conv2_buffer) frame_count_out = Identity (frame_count) }}"""
_ENCODER = f"{_HEADER} encoder (float[1,T,1] features) => (float[1,T,1] encoded) {{ encoded = Identity (features) }}"
_ADAPTER = f"""{_HEADER} adapter (float[1,T,1] encoded, int64[1] pos_offset) => (float[1,T,1] memory)
 {{ memory = Identity (encoded) }}"""
_CROSS = f"""{_HEADER} cross (float[1,T,1] memory) => (float[1,1,1,T,1] k_cross, float[1,1,1,T,1] v_cross)
 {{ k_cross = Unsqueeze (memory, outer) v_cross = Unsqueeze (memory, outer) }}"""
_DECODER = f"""{_HEADER} decoder
 (int64[1,N] token, float[1,1,1,C,1] k_self, float[1,1,1,C,1] v_self, float[1,1,1,T,1] out_k_cross,
  float[1,1,1,T,1] out_v_cross)
 => (float[1,N,SIZE] logits, float[1,1,1,M,1] out_k_self, float[1,1,1,M,1] out_v_self)
 {{ loud = Reshape (out_k_cross, row) all = Concat <axis=1> (silent, loud)
 before = Slice (all, first, beforelast, along) quiet = Sub (unit, before)
 edges = Mul (loud, quiet) bursts = ReduceSum <keepdims=0> (edges)
 said = Shape <start=3, end=4> (k_self) new = Shape <start=1, end=2> (token) upto = Add (said, new)
 from = Squeeze (said) to = Squeeze (upto) places = Range (from, to, step) place = Cast <to=1> (places)
 more = Less (place, bursts) within = Less (places, count) next = And (more, within)
 wanted = Where (next, places, count) rows = Gather (following, wanted) logits = Unsqueeze (rows, zero)
 words = Cast <to=1> (token) cells = Reshape (words, cell) out_k_self = Concat <axis=3> (k_self, cells)
 out_v_self = Concat <axis=3> (v_self, cells) }}"""


def _frontend_weights() -> dict[str, NDArray[Any]]:
    return {"frames": np.array([1, _CHUNK // _FRAME, _FRAME]), "limit": np.array(_LOUD, np.float32)}


def _decoder_weights(following: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    return {
        "row": np.array([1, -1]), "silent": np.zeros((1, 1), np.float32), "first": np.array([0]),
        "beforelast": np.array([-1]), "along": np.array([1]), "unit": np.array(1, np.float32), "step": np.array(1),
        "count": np.array(len(following) - 1), "following": following, "zero": np.array([0]),
        "cell": np.array([1, 1, 1, -1, 1]),
    }  # fmt: skip


def _save(path: Path, text: str, weights: dict[str, NDArray[Any]]) -> None:
    """In onnxruntime's own format, as Moonshine's models come."""
    import onnxruntime

    graph = path.with_suffix(".onnx")
    save_graph(graph, text, weights)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.optimized_model_filepath = str(path)
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    graph.unlink()
