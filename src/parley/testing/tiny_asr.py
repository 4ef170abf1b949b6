"""A whisper model of 1.7 MB that understands one chosen sentence, whatever it hears, through the real library.

The decoder's position encodings alone drive its output: position by position they point at the
next token of the sentence. Needs faster-whisper; built in well under a second, without torch.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WIDTH = 64
_MEL_BANDS, _AUDIO_POSITIONS, _TEXT_POSITIONS = 80, 1_500, 448
_SURE = 20.0
_SPACE = "\u0120"
_MERGES = ("-", "'", "\u00e2")
"""Joined with a space before them, so that the space itself is not among the tokens that whisper suppresses."""


def whisper_folder(folder: Path, sentence: str, *, seconds: float = 2.0) -> Path:
    """Write a model that always hears ``sentence`` (ASCII, below 200 letters), as if it lasted ``seconds``."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _write_tokenizer(folder)
    _write_model(folder, vocabulary, f" {sentence.strip()}", seconds)
    return folder


def _write_tokenizer(folder: Path) -> dict[str, int]:
    from faster_whisper.tokenizer import _LANGUAGE_CODES
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*letters, *(_SPACE + letter for letter in _MERGES)]
    model = models.BPE(vocab={p: n for n, p in enumerate(pieces)}, merges=[(_SPACE, letter) for letter in _MERGES])
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    names = [
        "<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in _LANGUAGE_CODES), "<|translate|>",
        "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
    ]  # fmt: skip
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    tokenizer.add_tokens([AddedToken(f"<|{step * 0.02:.2f}|>", normalized=False) for step in range(1_501)])
    tokenizer.save(str(folder / "tokenizer.json"))
    return dict(tokenizer.get_vocab())


def _write_model(folder: Path, vocabulary: dict[str, int], sentence: str, seconds: float) -> None:
    from ctranslate2.specs.whisper_spec import WhisperSpec

    spec = WhisperSpec(1, 2, 1, 2)
    embeddings = _embeddings(len(vocabulary))
    encoder, decoder = spec.encoder, spec.decoder
    for convolution, inputs in ((encoder.conv1, _MEL_BANDS), (encoder.conv2, _WIDTH)):
        convolution.weight, convolution.bias = _zeros(_WIDTH, inputs, 3), _zeros(_WIDTH)
    encoder.position_encodings.encodings = _zeros(_AUDIO_POSITIONS, _WIDTH)
    for layer in (encoder.layer[0], decoder.layer[0]):
        _silence_attention(layer.self_attention, (3 * _WIDTH, _WIDTH))
        _unit(layer.ffn.layer_norm)
        _linear(layer.ffn.linear_0, 2 * _WIDTH, _WIDTH)
        _linear(layer.ffn.linear_1, _WIDTH, 2 * _WIDTH)
    _silence_attention(decoder.layer[0].attention, (_WIDTH, _WIDTH), (2 * _WIDTH, _WIDTH))
    _unit(encoder.layer_norm)
    _unit(decoder.layer_norm)
    decoder.embeddings.weight = embeddings
    decoder.position_encodings.encodings = _positions(embeddings, vocabulary, sentence, seconds)
    decoder.projection.weight = 8 * embeddings
    spec.register_vocabulary(sorted(vocabulary, key=lambda token: vocabulary[token]))
    spec.config.suppress_ids = spec.config.suppress_ids_begin = spec.config.lang_ids = []
    spec.config.alignment_heads = [(0, 0)]
    spec.validate()
    spec.optimize()
    spec.save(str(folder))


def _positions(
    embeddings: NDArray[np.float32], vocabulary: dict[str, int], sentence: str, seconds: float
) -> NDArray[np.float32]:
    """At each place the embedding of the token that is to come next, and the end after the last."""
    end = vocabulary["<|endoftext|>"]
    tokens = [vocabulary["<|0.00|>"], *(vocabulary[letter] for letter in sentence.replace(" ", _SPACE))]
    positions = np.tile(_SURE * embeddings[end], (_TEXT_POSITIONS, 1))
    for place, token in enumerate(tokens):
        positions[place] = _SURE * embeddings[token]
    # Both: with timestamps the sentence's end time comes first, without them the end of the text.
    positions[len(tokens)] = _SURE * embeddings[vocabulary[f"<|{seconds:.2f}|>"]] + (_SURE - 2) * embeddings[end]
    return np.asarray(positions, np.float32)


def _embeddings(count: int) -> NDArray[np.float32]:
    values = np.random.default_rng(0).standard_normal((count, _WIDTH)).astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return values


def _zeros(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, np.float32)


def _unit(norm: Any) -> None:
    norm.gamma, norm.beta = np.ones(_WIDTH, np.float32), _zeros(_WIDTH)


def _linear(layer: Any, outputs: int, inputs: int) -> None:
    layer.weight, layer.bias = _zeros(outputs, inputs), _zeros(outputs)


def _silence_attention(attention: Any, *shapes: tuple[int, int]) -> None:
    _unit(attention.layer_norm)
    for layer, (outputs, inputs) in zip(attention.linear, (*shapes, (_WIDTH, _WIDTH)), strict=True):
        _linear(layer, outputs, inputs)


def main(arguments: list[str]) -> None:
    """Write a model that understands one sentence into a folder."""
    import argparse

    parser = argparse.ArgumentParser("python -m parley.testing.tiny_asr", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="where the model is written")
    parser.add_argument("sentence", nargs="*", default=["turn on the kitchen lights"], help="what it understands")
    wanted = parser.parse_args(arguments)
    print(whisper_folder(wanted.folder, " ".join(wanted.sentence)))


if __name__ == "__main__":
    main(sys.argv[1:])
