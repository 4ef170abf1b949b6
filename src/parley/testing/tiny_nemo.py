"""A NeMo transducer (Parakeet's family) of a few kB for the real onnx-asr: one word of a sentence per burst.

Laid out as onnx-asr's models are: encoder, decoder with joiner, vocabulary, configuration. The encoder counts the
bursts of sound, the decoder the words so far; together they say the next word while there are fewer. Needs the onnx
package.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from parley.testing.bursts import save_graph

if TYPE_CHECKING:
    from pathlib import Path

_FEATURES, _SUBSAMPLING = 80, 8
_DURATIONS = 5
_LOUD = 0.2
"""Mean of the normalised features above which a frame is loud."""
_HEADER = '<ir_version: 8, opset_import: ["" : 17]>'


def nemo_offline_folder(folder: Path, sentence: str, *, sure: float = 20.0) -> Path:
    """Write a token-and-duration transducer; ``sure``: by how much its words are likelier than none."""
    folder.mkdir(parents=True, exist_ok=True)
    words = sentence.split()
    count, size = len(words), len(words) + 1
    lines = [f"\u2581{word} {number}\n" for number, word in enumerate(words)]
    (folder / "vocab.txt").write_text("".join([*lines, f"<blk> {count}\n"]))
    facts = {"model_type": "nemo-conformer-tdt", "features_size": _FEATURES, "subsampling_factor": _SUBSAMPLING}
    (folder / "config.json").write_text(json.dumps(facts))
    encoder = f"""{_HEADER} encoder (float[1,{_FEATURES},T] audio_signal, int64[1] length)
     => (float[1,{count},S] outputs, int64[1] encoded_lengths)
     {{ loudness = ReduceMean <axes=[1], keepdims=1> (audio_signal)
     most = MaxPool <kernel_shape=[{_SUBSAMPLING}], strides=[{_SUBSAMPLING}], ceil_mode=1> (loudness)
     isloud = Greater (most, limit) loud = Cast <to=1> (isloud) all = Concat <axis=2> (silent, loud)
     before = Slice (all, first, beforelast, along) quiet = Sub (unit, before) edges = Mul (loud, quiet)
     bursts = CumSum (edges, axis) more = Greater (bursts, places) outputs = Cast <to=1> (more)
     shorter = Sub (length, one) steps = Div (shorter, each) encoded_lengths = Add (steps, one) }}"""
    save_graph(
        folder / "encoder-model.onnx",
        encoder,
        {
            "limit": np.array(_LOUD, np.float32), "silent": np.zeros((1, 1, 1), np.float32), "first": np.array([0]),
            "beforelast": np.array([-1]), "along": np.array([2]), "unit": np.array(1, np.float32),
            "axis": np.array(2), "places": np.arange(count, dtype=np.float32).reshape(1, count, 1),
            "one": np.array([1]), "each": np.array([_SUBSAMPLING]),
        },
    )  # fmt: skip
    joint = f"""{_HEADER} joint
     (float[1,{count},1] encoder_outputs, int32[1,1] targets, int32[1] target_length, float[1,B,1] input_states_1,
      float[1,B,1] input_states_2)
     => (float[1,1,{size + _DURATIONS}] outputs, float[1,B,1] output_states_1, float[1,B,1] output_states_2)
     {{ isblank = Equal (targets, blank) isword = Not (isblank) flag = Cast <to=1> (isword) word = Reshape (flag, cube)
     output_states_1 = Add (input_states_1, word) output_states_2 = Identity (input_states_2)
     at = Equal (output_states_1, places) place = Cast <to=1> (at)
     heard = Transpose <perm=[0,2,1]> (encoder_outputs) a = MatMul (heard, wanted) b = MatMul (place, following)
     ab = Add (a, b) logits = Add (ab, never) outputs = Concat <axis=2> (logits, durations) }}"""
    wanted = np.zeros((count, size), np.float32)
    wanted[np.arange(count), np.arange(count)] = 2 * sure
    following = np.vstack([wanted, np.zeros((1, size), np.float32)])
    never = np.full((1, 1, size), -3 * sure, np.float32)
    never[..., -1] = 0
    save_graph(
        folder / "decoder_joint-model.onnx",
        joint,
        {
            "blank": np.array(count, np.int32), "cube": np.array([1, 1, 1]), "wanted": wanted, "following": following,
            "never": never, "places": np.arange(count + 1, dtype=np.float32).reshape(1, 1, count + 1),
            "durations": np.eye(_DURATIONS, dtype=np.float32)[1].reshape(1, 1, _DURATIONS),
        },
    )  # fmt: skip
    return folder
