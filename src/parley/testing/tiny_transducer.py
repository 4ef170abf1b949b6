"""A streaming transducer of a few kB that understands one chosen sentence, through the real sherpa-onnx.

Laid out like an icefall LSTM transducer. The decoder alone drives its output: each word points at the
next one, so every frame of audio brings one more word until the sentence is over. Needs the onnx package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_CHUNK, _CHUNK_STEP, _FEATURES, _STATE = 9, 4, 80, 4
_CONTEXT = 2
_SURE = 10.0


def transducer_folder(folder: Path, sentence: str) -> Path:
    """Write encoder, decoder, joiner and tokens; ``sentence`` may use no word twice."""
    folder.mkdir(parents=True, exist_ok=True)
    words = sentence.split()
    tokens = ["<blk>", "<sos/eos>", "<unk>", *(f"\u2581{word}" for word in words)]
    (folder / "tokens.txt").write_text("".join(f"{token} {number}\n" for number, token in enumerate(tokens)))
    following = np.zeros((len(tokens), len(tokens)), np.float32)
    following[:, 0] = _SURE
    for number in range(len(words)):
        last = 0 if number == 0 else 2 + number
        following[last, 3 + number] = 2 * _SURE
    size = len(tokens)
    _save(folder / "encoder.onnx", _ENCODER.replace("SIZE", str(size)), _encoder_weights(size), _ENCODER_FACTS)
    facts = {"vocab_size": str(size), "context_size": str(_CONTEXT)}
    _save(
        folder / "decoder.onnx",
        _DECODER.replace("SIZE", str(size)),
        {"following": following, "newest": np.array(1)},
        facts,
    )
    _save(folder / "joiner.onnx", _JOINER.replace("SIZE", str(size)), {}, {"joiner_dim": str(size)})
    return folder


_ENCODER = f"""<ir_version: 8, opset_import: ["" : 13]> encoder
 (float[N,{_CHUNK},{_FEATURES}] x, float[1,N,{_STATE}] h, float[1,N,{_STATE}] c)
 => (float[N,T,SIZE] encoder_out, float[1,N,{_STATE}] next_h, float[1,N,{_STATE}] next_c)
 {{ some = Slice (x, starts, ends, axes) encoder_out = MatMul (some, weights)
 next_h = Identity (h) next_c = Identity (c) }}"""
_DECODER = f"""<ir_version: 8, opset_import: ["" : 13]> decoder
 (int64[N,{_CONTEXT}] y) => (float[N,SIZE] decoder_out)
 {{ last = Gather <axis=1> (y, newest) decoder_out = Gather (following, last) }}"""
_JOINER = """<ir_version: 8, opset_import: ["" : 13]> joiner
 (float[N,SIZE] encoder_out, float[N,SIZE] decoder_out) => (float[N,SIZE] logit)
 { logit = Add (encoder_out, decoder_out) }"""
_ENCODER_FACTS = {
    "model_type": "lstm", "version": "1", "model_author": "parley", "num_encoder_layers": "1", "T": str(_CHUNK),
    "decode_chunk_len": str(_CHUNK_STEP), "rnn_hidden_size": str(_STATE), "d_model": str(_STATE),
}  # fmt: skip


def _encoder_weights(size: int) -> dict[str, NDArray[Any]]:
    return {
        "starts": np.array([0]),
        "ends": np.array([1]),
        "axes": np.array([1]),
        "weights": np.zeros((_FEATURES, size), np.float32),
    }


def _save(path: Path, text: str, weights: dict[str, NDArray[Any]], facts: dict[str, str]) -> None:
    import onnx
    from onnx import numpy_helper, parser

    model = parser.parse_model(text)
    for name, values in weights.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    onnx.helper.set_model_props(model, facts)
    onnx.save(model, str(path))
