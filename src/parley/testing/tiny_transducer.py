"""Streaming transducers of a few kB for the real sherpa-onnx, which understand one word of a sentence per burst.

``transducer_folder`` is laid out like an icefall LSTM transducer (zipformers take the same way through the
library), ``nemo_folder`` like NeMo's cache-aware ones, Nemotron among them. The encoder counts the bursts of sound
(:mod:`parley.testing.bursts`), the decoder the words so far; the joiner says the next word while there are fewer
words than bursts. Needs the onnx package.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from parley.testing.bursts import save_graph

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_FEATURES, _NEMO_FEATURES = 80, 128
_CONTEXT = 2
_SURE = 20.0
_SUBSAMPLING, _POOL = 8, 4
"""Frames of sound that become one of the network's, for NeMo and icefall."""
_QUIET = -9.0
"""Mean log energy of a mel band below which it is silent."""
_SPACE = "\u2581"


def transducer_folder(folder: Path, sentence: str, *, window: int = 9, step: int = 4, sure: float = _SURE) -> Path:
    """Write encoder, decoder, joiner and tokens; ``sentence`` may use no word twice.

    The network looks at ``window`` frames of 10 ms and goes on by ``step`` (a multiple of 4); ``sure``: by how
    much its words are likelier than none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = sentence.split()
    tokens = ["<blk>", "<sos/eos>", "<unk>", *(f"{_SPACE}{word}" for word in words)]
    _write_tokens(folder, tokens)
    count, size = len(words), len(tokens)
    known = np.zeros((size, count + 1), np.float32)
    known[:3, 0] = 1
    known[3 + np.arange(count), 1 + np.arange(count)] = 1
    facts = {
        "model_type": "lstm", "version": "1", "model_author": "parley", "num_encoder_layers": "1", "T": str(window),
        "decode_chunk_len": str(step), "rnn_hidden_size": "1", "d_model": "1",
    }  # fmt: skip
    steps = step // _POOL
    encoder = f"""<ir_version: 8, opset_import: ["" : 13]> encoder
     (float[1,{window},{_FEATURES}] x, float[1,1,1] h, float[1,1,1] c)
     => (float[1,{steps},{count}] encoder_out, float[1,1,1] next_h, float[1,1,1] next_c)
     {{ loudness = ReduceMean <axes=[2], keepdims=0> (x) some = Slice (loudness, from, to, one)
     pooled = Reshape (some, pool) most = ReduceMax <axes=[2], keepdims=0> (pooled)
     isloud = Greater (most, limit) loud = Cast <to=1> (isloud)
     last = Reshape (c, single) all = Concat <axis=1> (last, loud) before = Slice (all, from, steps, one)
     quiet = Sub (unit, before) edges = Mul (loud, quiet) rises = CumSum (edges, axis)
     earlier = Reshape (h, single) bursts = Add (rises, earlier)
     column = Reshape (bursts, tall) more = Greater (column, places) encoder_out = Cast <to=1> (more)
     newest = Slice (bursts, end, steps, one) next_h = Reshape (newest, state)
     ending = Slice (loud, end, steps, one) next_c = Reshape (ending, state) }}"""
    weights: dict[str, NDArray[Any]] = {
        "from": np.array([0]), "to": np.array([step]), "one": np.array([1]), "end": np.array([steps - 1]),
        "steps": np.array([steps]), "axis": np.array(1), "pool": np.array([1, steps, _POOL]),
        "single": np.array([1, 1]), "tall": np.array([1, steps, 1]), "state": np.array([1, 1, 1]),
        "limit": np.array(_QUIET, np.float32), "unit": np.array(1, np.float32),
        "places": np.arange(count, dtype=np.float32),
    }  # fmt: skip
    save_graph(folder / "encoder.onnx", encoder, weights, facts)
    decoder = f"""<ir_version: 8, opset_import: ["" : 13]> decoder
     (int64[N,{_CONTEXT}] y) => (float[N,{count + 1}] decoder_out)
     {{ last = Gather <axis=1> (y, newest) decoder_out = Gather (known, last) }}"""
    save_graph(
        folder / "decoder.onnx",
        decoder,
        {"known": known, "newest": np.array(1)},
        {"vocab_size": str(size), "context_size": str(_CONTEXT)},
    )
    heard, next_word, never = _agreement([tokens.index(f"{_SPACE}{word}") for word in words], size, sure)
    joiner = f"""<ir_version: 8, opset_import: ["" : 13]> joiner
     (float[N,{count}] encoder_out, float[N,{count + 1}] decoder_out) => (float[N,{size}] logit)
     {{ a = MatMul (encoder_out, heard) b = MatMul (decoder_out, next) ab = Add (a, b) logit = Add (ab, never) }}"""
    save_graph(
        folder / "joiner.onnx",
        joiner,
        {"heard": heard, "next": np.vstack([next_word, np.zeros((1, size), np.float32)]), "never": never},
        {"joiner_dim": str(count)},
    )
    return folder


def nemo_folder(folder: Path, sentences: str | Mapping[str, str], *, chunk: int = 56) -> Path:
    """The same for NeMo; ``sentences`` is one, or one per language (BCP 47) of as many words; no word twice.

    The network goes on by ``chunk`` frames of 10 ms (a multiple of 8) and looks 9 further ahead.
    """
    folder.mkdir(parents=True, exist_ok=True)
    languages = list(sentences) if not isinstance(sentences, str) else []
    texts = [sentences] if isinstance(sentences, str) else list(sentences.values())
    words = [word for text in texts for word in text.split()]
    count, size = len(texts[0].split()), len(words) + 1
    _write_tokens(folder, [*(f"{_SPACE}{word}" for word in words), "<blk>"])
    facts = {
        "vocab_size": str(size - 1), "normalize_type": "", "subsampling_factor": str(_SUBSAMPLING),
        "pred_rnn_layers": "1", "pred_hidden": "1", "window_size": str(chunk + 9), "chunk_shift": str(chunk),
        **{f"cache_last_{part}_dim{number}": "1" for part in ("channel", "time") for number in (1, 2, 3)},
    }  # fmt: skip
    if languages:
        prompts = {language: number for number, language in enumerate(languages)}
        facts |= {"prompt_dictionary": json.dumps(prompts | {"auto": 0}), "auto_prompt_id": "0"}
    _save_nemo_encoder(folder / "encoder.int8.onnx", count, len(texts), chunk, facts, prompted=bool(languages))
    decoder = f"""<ir_version: 8, opset_import: ["" : 17]> decoder
     (int32[1,1] targets, int32[1] target_length, float[1,1,1] h, float[1,1,1] c)
     => (float[1,{count + 1},1] outputs, int32[1] prednet_lengths, float[1,1,1] next_h, float[1,1,1] next_c)
     {{ isblank = Equal (targets, blank) isword = Not (isblank) word = Cast <to=1> (isword)
     next_h = Add (h, word) at = Equal (next_h, places) outputs = Cast <to=1> (at)
     prednet_lengths = Identity (target_length) next_c = Identity (c) }}"""
    places = np.arange(count + 1, dtype=np.float32).reshape(1, count + 1, 1)
    save_graph(folder / "decoder.int8.onnx", decoder, {"blank": np.array(size - 1, np.int32), "places": places})
    heard = np.zeros((count + len(texts), size), np.float32)
    following = np.zeros((count + 1, size), np.float32)
    never = np.full((1, size), -2.5 * _SURE, np.float32)
    never[0, -1] = 0
    for number in range(len(words)):
        heard[number % count, number] = heard[count + number // count, number] = _SURE
        following[number % count, number] = _SURE
    joiner = f"""<ir_version: 8, opset_import: ["" : 17]> joiner
     (float[1,{count + len(texts)},1] encoder_outputs, float[1,{count + 1},1] decoder_outputs)
     => (float[1,1,{size}] outputs)
     {{ e = Transpose <perm=[0,2,1]> (encoder_outputs) d = Transpose <perm=[0,2,1]> (decoder_outputs)
     a = MatMul (e, heard) b = MatMul (d, following) ab = Add (a, b) outputs = Add (ab, never) }}"""
    save_graph(folder / "joiner.int8.onnx", joiner, {"heard": heard, "following": following, "never": never})
    return folder


def _save_nemo_encoder(
    path: Path, count: int, texts: int, chunk: int, facts: Mapping[str, str], *, prompted: bool
) -> None:
    steps = chunk // _SUBSAMPLING
    prompt = ", int64[1] prompt_index" if prompted else ""
    chosen = "prompt_index" if prompted else "nothing"
    text = f"""<ir_version: 8, opset_import: ["" : 17]> encoder
     (float[1,{_NEMO_FEATURES},{chunk + 9}] audio_signal, int64[1] length, float[1,1,1,1] cache_last_channel,
      float[1,1,1,1] cache_last_time, int64[1] cache_last_channel_len{prompt})
     => (float[1,{count + texts},{steps}] outputs, int64[1] encoded_lengths, float[1,1,1,1] cache_last_channel_next,
      float[1,1,1,1] cache_last_time_next, int64[1] cache_last_channel_len_next)
     {{ loudness = ReduceMean <axes=[1], keepdims=0> (audio_signal) some = Slice (loudness, from, to, one)
     pooled = Reshape (some, pool) most = ReduceMax <axes=[2], keepdims=0> (pooled)
     isloud = Greater (most, limit) loud = Cast <to=1> (isloud)
     last = Reshape (cache_last_time, single) all = Concat <axis=1> (last, loud) before = Slice (all, from, steps, one)
     quiet = Sub (unit, before) edges = Mul (loud, quiet) rises = CumSum (edges, axis)
     earlier = Reshape (cache_last_channel, single) bursts = Add (rises, earlier)
     row = Reshape (bursts, flat) more = Greater (row, places) thermometer = Cast <to=1> (more)
     hot = OneHot ({chosen}, texts, values) tall = Reshape (hot, column) prompt = Expand (tall, wide)
     outputs = Concat <axis=1> (thermometer, prompt) encoded_lengths = Identity (all_steps)
     newest = Slice (bursts, end, steps, one) cache_last_channel_next = Reshape (newest, state)
     ending = Slice (loud, end, steps, one) cache_last_time_next = Reshape (ending, state)
     cache_last_channel_len_next = Identity (cache_last_channel_len) }}"""
    weights: dict[str, NDArray[Any]] = {
        "from": np.array([0]), "to": np.array([chunk]), "one": np.array([1]), "end": np.array([steps - 1]),
        "steps": np.array([steps]), "all_steps": np.array([steps]), "axis": np.array(1),
        "pool": np.array([1, steps, _SUBSAMPLING]), "single": np.array([1, 1]), "flat": np.array([1, 1, steps]),
        "state": np.array([1, 1, 1, 1]), "column": np.array([1, texts, 1]), "wide": np.array([1, texts, steps]),
        "limit": np.array(_QUIET, np.float32), "unit": np.array(1, np.float32), "texts": np.array(texts),
        "values": np.array([0, 1], np.float32), "places": np.arange(count, dtype=np.float32).reshape(1, count, 1),
    }  # fmt: skip
    if not prompted:
        weights["nothing"] = np.array([0])
    save_graph(path, text, weights, facts)


def _agreement(
    ids: Sequence[int], size: int, sure: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """What the encoder and the decoder add to each word's logit, and what is taken off: both must want it."""
    heard = np.zeros((len(ids), size), np.float32)
    heard[np.arange(len(ids)), ids] = 2 * sure
    never = np.zeros((1, size), np.float32)
    never[:, 1:] = -3 * sure
    return heard, heard.copy(), never


def _write_tokens(folder: Path, tokens: Sequence[str]) -> None:
    (folder / "tokens.txt").write_text("".join(f"{token} {number}\n" for number, token in enumerate(tokens)))
