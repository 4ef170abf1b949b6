"""Voice packs with tiny, randomly initialised models in each family's real format.

They make noise, not speech, but through each family's real library and on its real on-disk
layout: loading, phonemising, streaming, cancelling, marks and memory can be tested with no
download. Building one needs the ``onnx`` package (and for Pocket TTS, torch) and takes under a second.

``python -m parley.testing.tiny_models FOLDER [NAME ...]`` writes packs that a worker can be pointed at.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from parley.testing.tiny_graphs import SYMBOLS, WIDTH, add_vocoder, make_graph, make_weights, save_graph

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


def piper_pack(
    root: Path,
    model_id: str = "piper-tiny",
    *,
    speakers: Sequence[str] = (),
    alignments: bool = True,
    ballast_mb: int = 0,
    seed: int = 0,
    medium: bool = False,
) -> Path:
    """A Piper voice at 22.05 kHz under ``root``; returns its folder.

    ``ballast_mb`` adds random weights that take memory and no time. ``medium`` puts in a vocoder of the
    size that Piper's medium voices have, so that it costs about what they cost.
    """
    from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

    folder = _folder(root, "piper", model_id)
    sid = ", int64[1] sid" if speakers else ""
    outputs = "float[1,1,T] output" + (", float[1,N] w_ceil" if alignments else "")
    head = "noise = Gather (scales, zero) length = Gather (scales, one) ids = Identity (input) " + (
        "t0 = Gather (voices, sid) tint = Unsqueeze (t0, axis1)" if speakers else "tint = Identity (voices)"
    )
    tail = "output = Identity (y)" + (" w_ceil = Identity (lengths)" if alignments else "")
    model = make_graph(f"int64[1,N] input, int64[1] input_lengths, float[3] scales{sid}", outputs, head, tail, 256)
    weights = make_weights(seed, 256)
    if medium:
        weights |= add_vocoder(model, seed)
        del weights["W"]
    weights["voices"] = (
        np.random.default_rng(seed + 1).standard_normal((len(speakers), WIDTH)) if speakers else np.zeros((1, 1, WIDTH))
    )
    save_graph(model, weights, folder / "model.onnx", ballast_mb=ballast_mb)
    config = {
        "audio": {"sample_rate": 22_050},
        "espeak": {"voice": "en-us"},
        "phoneme_type": "espeak",
        "num_symbols": SYMBOLS,
        "num_speakers": max(1, len(speakers)),
        "speaker_id_map": {name: number for number, name in enumerate(speakers)},
        "phoneme_id_map": DEFAULT_PHONEME_ID_MAP,
        "hop_length": 256,
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
    }
    (folder / "model.onnx.json").write_text(json.dumps(config), "utf-8")
    _metadata(folder, sample_rate=22_050, memory_mb=2 + ballast_mb)
    return folder


def kokoro_pack(
    root: Path,
    model_id: str = "kokoro-tiny",
    *,
    speakers: Sequence[str] = ("af_one", "am_two"),
    timings: bool = True,
    lengths: str = "lengths",
    ballast_mb: int = 0,
    seed: int = 0,
) -> Path:
    """A Kokoro model at 24 kHz with random styles under ``root``; returns its folder.

    With ``timings`` it gives out its phonemes' lengths; ``lengths`` is what its graph calls them.
    """
    folder = _folder(root, "kokoro", model_id)
    outputs = "float[T] audio" + (", int64[1,N] duration" if timings else "")
    head = (
        "ids = Identity (tokens) length = Reciprocal (speed) noise = Identity (one_f) "
        "t0 = MatMul (style, voices) tint = Unsqueeze (t0, axis1)"
    )
    tail = "audio = Reshape (y, flat)" + (" duration = Cast <to=7> (lengths)" if timings else "")
    model = make_graph("int64[1,N] tokens, float[1,256] style, float[1] speed", outputs, head, tail, 600)
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [lengths if name == "lengths" else name for name in names]
    random = np.random.default_rng(seed + 1)
    weights = make_weights(seed, 600) | {
        "voices": 0.05 * random.standard_normal((256, WIDTH)),
        "one_f": np.array([1.0]),
        "flat": np.array([-1]),
    }
    save_graph(model, weights, folder / "model.onnx", ballast_mb=ballast_mb)
    styles: dict[str, Any] = {name: random.standard_normal((510, 1, 256)).astype(np.float32) for name in speakers}
    with (folder / "voices.bin").open("wb") as file:
        np.savez(file, **styles)
    _metadata(folder, sample_rate=24_000, memory_mb=5 + ballast_mb)
    return folder


def sherpa_pack(root: Path, model_id: str = "sherpa-tiny", *, speakers: int = 1, ballast_mb: int = 0) -> Path:
    """A VITS model for sherpa-onnx that wants phonemes, at 22.05 kHz, under ``root``; returns its folder."""
    folder = _folder(root, "sherpa", model_id)
    sid = ", int64[1] sid" if speakers > 1 else ""
    head = "noise = Gather (scales, zero) length = Gather (scales, one) ids = Identity (x) " + (
        "t0 = Gather (voices, sid) tint = Unsqueeze (t0, axis1)" if speakers > 1 else "tint = Identity (voices)"
    )
    inputs = f"int64[1,N] x, int64[1] x_length, float[3] scales{sid}"
    model = make_graph(inputs, "float[1,1,T] y_out", head, "y_out = Identity (y)", 256)
    shape = (speakers, WIDTH) if speakers > 1 else (1, 1, WIDTH)
    weights = make_weights(0, 256) | {"voices": 0.5 * np.random.default_rng(3).standard_normal(shape)}
    meta = _sherpa_meta("vits", 22_050) | {"comment": "piper", "n_speakers": str(speakers), "add_blank": "1"}
    save_graph(model, weights, folder / "model.onnx", ballast_mb=ballast_mb, meta=meta)
    _phoneme_tokens(folder)
    _metadata(folder, sample_rate=22_050, memory_mb=5 + ballast_mb)
    return folder


def sherpa_styled_pack(root: Path, model_id: str = "sherpa-kokoro-tiny", *, kind: str = "kokoro") -> Path:
    """A Kokoro or Kitten (``kind``) model for sherpa-onnx with two speakers, at 24 kHz; returns its folder."""
    folder = _folder(root, "sherpa", model_id)
    tokens, style, model_type = {
        "kokoro": ("tokens", (510, 1, 256), "kokoro"),
        "kitten": ("input_ids", (1, 256), "kitten-tts"),
    }[kind]
    head = (
        f"ids = Identity ({tokens}) length = Reciprocal (speed) noise = Identity (one_f) "
        "t0 = MatMul (style, voices) tint = Unsqueeze (t0, axis1)"
    )
    inputs = f"int64[1,N] {tokens}, float[1,256] style, float[1] speed"
    model = make_graph(inputs, "float[T] audio", head, "audio = Reshape (y, flat)", 600)
    random = np.random.default_rng(2)
    weights = make_weights(0, 600) | {
        "voices": 0.05 * random.standard_normal((256, WIDTH)),
        "one_f": np.array([1.0]),
        "flat": np.array([-1]),
    }
    dimensions = {"style_dim": ",".join(map(str, style)), "speaker_names": "one,two"}
    save_graph(
        model, weights, folder / "model.onnx", meta=_sherpa_meta(model_type, 24_000) | {"n_speakers": "2", **dimensions}
    )
    random.standard_normal((2, *style)).astype(np.float32).tofile(folder / "voices.bin")
    _phoneme_tokens(folder)
    _metadata(folder, sample_rate=24_000, memory_mb=5, speakers={"one": 0, "two": 1}, options={"type": kind})
    return folder


def matcha_pack(root: Path, model_id: str = "matcha-tiny") -> Path:
    """A Matcha model with its vocoder for sherpa-onnx, at 22.05 kHz; returns its folder."""
    from onnx import parser

    folder = _folder(root, "sherpa", model_id)
    head = "noise = Identity (noise_scale) length = Identity (length_scale) ids = Identity (x) tint = Identity (voices)"
    inputs = "int64[1,N] x, int64[1] x_length, float[1] noise_scale, float[1] length_scale"
    model = make_graph(inputs, "float[1,80,T] mel", head, "mel = Identity (y)", 1)
    random = np.random.default_rng(0)
    weights = make_weights(0, 1) | {
        "voices": np.zeros((1, 1, WIDTH)),
        "W": 0.3 * random.standard_normal((WIDTH, 80, 1)),
    }
    meta = _sherpa_meta("matcha-tts", 22_050) | {"pad_id": "0", "use_eos_bos": "1", "num_ode_steps": "3"}
    save_graph(model, weights, folder / "model.onnx", meta=meta)
    vocoder = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> vocoder (float[1,80,T] mel) => (float[1,1,S] audio) '
        "{ y = ConvTranspose <strides=[256], pads=[128,128]> (mel, W) audio = Tanh (y) }"
    )
    upsampling = {"W": 0.08 * random.standard_normal((80, 1, 512))}
    save_graph(vocoder, upsampling, folder / "vocoder.onnx", meta={"model_type": "hifigan", "sample_rate": "22050"})
    _phoneme_tokens(folder)
    _metadata(folder, sample_rate=22_050, memory_mb=5, options={"type": "matcha"})
    return folder


def _sherpa_meta(model_type: str, rate: int) -> dict[str, str]:
    """The metadata that sherpa-onnx wants in every model that speaks phonemes."""
    return {
        "model_type": model_type,
        "comment": model_type,
        "language": "English",
        "voice": "en-us",
        "has_espeak": "1",
        "jieba": "0",
        "n_speakers": "1",
        "sample_rate": str(rate),
        "version": "1",
    }


def _phoneme_tokens(folder: Path) -> None:
    from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

    lines = [f"{symbol} {ids[0]}" for symbol, ids in DEFAULT_PHONEME_ID_MAP.items() if len(symbol) == 1]
    (folder / "tokens.txt").write_text("\n".join(lines) + "\n", "utf-8")


def melo_pack(
    root: Path, model_id: str = "melo-tiny", *, vocabulary: Sequence[str] = ("hello", "there", "ready")
) -> Path:
    """A MeloTTS model for sherpa-onnx with a lexicon of ``vocabulary``, at 44.1 kHz; returns its folder."""
    folder = _folder(root, "sherpa", model_id)
    head = (
        "noise = Identity (noise_scale) length = Identity (length_scale) "
        "ids = Identity (x) t0 = Gather (voices, sid) tint = Unsqueeze (t0, axis1)"
    )
    inputs = (
        "int64[1,N] x, int64[1] x_lengths, int64[1,N] tones, int64[1] sid, float[1] noise_scale, "
        "float[1] length_scale, float[1] noise_scale_w"
    )
    model = make_graph(inputs, "float[1,1,T] y_out", head, "y_out = Identity (y)", 512)
    weights = make_weights(0, 512) | {"voices": np.zeros((1, WIDTH))}
    meta = {
        "model_type": "melo-vits",
        "comment": "melo",
        "version": "2",
        "language": "English",
        "jieba": "0",
        "n_speakers": "1",
        "speaker_id": "0",
        "sample_rate": "44100",
        "add_blank": "1",
    }
    save_graph(model, weights, folder / "model.onnx", meta=meta)
    symbols = ["_", *"abcdefghijklmnopqrstuvwxyz", ",", ".", "!", "?"]
    (folder / "tokens.txt").write_text("".join(f"{s} {i}\n" for i, s in enumerate(symbols)), "utf-8")
    entries = "".join(f"{word} {' '.join(word)} {' '.join('7' * len(word))}\n" for word in vocabulary)
    (folder / "lexicon.txt").write_text(entries, "utf-8")
    _metadata(folder, sample_rate=44_100, memory_mb=5)
    return folder


def pocket_pack(root: Path, model_id: str = "pocket-tiny") -> Path:
    """A Pocket TTS model with a reference recording, at 24 kHz; needs pocket-tts and torch. Returns its folder."""
    import pocket_tts
    import torch
    import yaml
    from pocket_tts.utils.config import CONFIGS_DIR
    from safetensors.torch import save_file

    folder = _folder(root, "pocket", model_id)
    config = yaml.safe_load((CONFIGS_DIR / "english_2026-04.yaml").read_text("utf-8"))
    bins = _unigram_tokenizer(folder / "tokenizer.json")
    _shrink_pocket(config, bins, str(folder / "tokenizer.json"))
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    torch.manual_seed(0)
    model = pocket_tts.TTSModel.load_model(config=path)
    state = {}
    for name, tensor in model.state_dict().items():
        usable = torch.nan_to_num(tensor.float(), nan=0.0, posinf=0.0, neginf=0.0).to(tensor.dtype)
        state[name] = usable.contiguous().clone()
    save_file(state, folder / "model.safetensors")
    (folder / "ref").mkdir(exist_ok=True)
    _save_wav(folder / "ref" / "seed.wav", 24_000)
    _metadata(folder, sample_rate=24_000, memory_mb=5, reference={"audio": "ref/seed.wav"})
    return folder


def _shrink_pocket(config: dict[str, Any], bins: int, tokenizer: str) -> None:
    for key in ("weights_path", "weights_path_without_voice_cloning"):
        config.pop(key, None)
    flow, mimi = config["flow_lm"], config["mimi"]
    flow["flow"].update(depth=2, dim=32)
    flow["transformer"].update(d_model=64, num_heads=2, num_layers=2)
    flow["lookup_table"].update(dim=64, n_bins=bins, tokenizer_path=tokenizer)
    mimi["outer_dim"] = 32
    mimi["seanet"].update(dimension=32, n_filters=4)
    mimi["transformer"].update(d_model=32, num_heads=2, dim_feedforward=64, input_dimension=32, output_dimensions=[32])
    mimi["quantizer"].update(output_dimension=32)


def _unigram_tokenizer(path: Path) -> int:
    """A tokenizer of single characters; returns the number of its entries."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    pieces = ["<unk>", "▁", *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?'-"]
    tokenizer = Tokenizer(models.Unigram([(piece, -3.0) for piece in pieces], unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.save(str(path))
    return len(pieces)


def _save_wav(path: Path, rate: int, seconds: float = 2.0) -> None:
    """A buzz with a changing pitch: enough for an encoder that never learnt anything."""
    import wave

    time = np.arange(round(seconds * rate)) / rate
    buzz = 0.3 * np.sin(2 * np.pi * (140 + 20 * np.sin(3 * time)) * time)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((buzz * 32_767).astype("<i2").tobytes())


def _folder(root: Path, family: str, model_id: str) -> Path:
    folder = root / family / model_id
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _metadata(folder: Path, **keys: Any) -> None:
    import yaml

    data = {"languages": ["en-US"], "licence": "none: random weights made for tests", "tags": ["test"], **keys}
    (folder / "metadata.yaml").write_text(yaml.safe_dump(data, sort_keys=False), "utf-8")


BUILDERS: Mapping[str, Callable[[Path, str], Path]] = {
    "piper-tiny": piper_pack,
    "piper-medium": lambda root, name: piper_pack(root, name, medium=True),
    "kokoro-tiny": kokoro_pack,
    "sherpa-tiny": sherpa_pack,
    "melo-tiny": melo_pack,
    "matcha-tiny": matcha_pack,
    "sherpa-kokoro-tiny": sherpa_styled_pack,
    "kitten-tiny": lambda root, name: sherpa_styled_pack(root, name, kind="kitten"),
    "pocket-tiny": pocket_pack,
}


def main(arguments: Sequence[str]) -> int:
    """Write the packs named (all but Pocket TTS when none is) under a folder."""
    import argparse
    from pathlib import Path

    parser = argparse.ArgumentParser("python -m parley.testing.tiny_models", description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the packs are written")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which; of {', '.join(BUILDERS)}")
    wanted = parser.parse_args(arguments)
    if strange := set(wanted.names) - set(BUILDERS):
        parser.error(f"there is no pack {', '.join(sorted(strange))}; choose of {', '.join(BUILDERS)}")
    for name in wanted.names or [name for name in BUILDERS if not name.startswith("pocket")]:
        print(BUILDERS[name](wanted.folder, name))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
