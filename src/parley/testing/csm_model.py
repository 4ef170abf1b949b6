"""A tiny CSM with random weights: ``python csm_model.py FOLDER`` in the environment ``torch``.

Imports nothing of ours: that environment has no test code. Written by the library itself, so that its layout on disk
is that of the real one; 1.3 MB, for 64 codes in 8 books instead of 2,048 in 32.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

BOOKS, CODES, RATE = 8, 64, 24_000
MARKS = ("<|begin_of_text|>", "<|end_of_text|>", "<|AUDIO|>", "<|audio_eos|>")
CHAT = (
    "{% for m in messages %}{% if not m['role'].isdigit() %}{{ raise_exception('a role is a number') }}{% endif %}"
    "{% for c in m['content'] %}{% if c['type'] == 'text' %}"
    "{{ '<|begin_of_text|>[' + m['role'] + ']' + c['text'] + '<|end_of_text|>' }}"
    "{% elif c['type'] == 'audio' %}{{ '<|AUDIO|><|audio_eos|>' }}{% endif %}{% endfor %}{% endfor %}"
)


def main(folder: Path) -> None:
    """Write the folder as ``save_pretrained`` does."""
    import torch
    from transformers import CsmConfig, CsmDepthDecoderConfig, CsmForConditionalGeneration, GenerationConfig, MimiConfig

    torch.manual_seed(0)
    ids = tokenizer(folder)
    codec = MimiConfig(
        hidden_size=32,
        num_filters=4,
        codebook_size=CODES,
        codebook_dim=16,
        num_quantizers=BOOKS,
        vector_quantization_hidden_dimension=16,
        upsample_groups=32,
        num_hidden_layers=2,
        intermediate_size=64,
        num_attention_heads=2,
        num_key_value_heads=2,
        sliding_window=25,
    )
    depth = CsmDepthDecoderConfig(
        num_codebooks=BOOKS,
        backbone_hidden_size=64,
        vocab_size=CODES + 3,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=BOOKS + 1,
    )
    config = CsmConfig(
        num_codebooks=BOOKS,
        vocab_size=CODES + 3,
        text_vocab_size=max(ids.values()) + 1,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        codebook_pad_token_id=CODES + 2,
        codebook_eos_token_id=0,
        audio_token_id=ids["<|AUDIO|>"],
        audio_eos_token_id=ids["<|audio_eos|>"],
        bos_token_id=ids["<|begin_of_text|>"],
        pad_token_id=ids["<|AUDIO|>"],
        depth_decoder_config=depth,
        codec_config=codec,
    )
    model = CsmForConditionalGeneration(config).eval()
    livelier(model)
    manner: dict[str, Any] = {"do_sample": True, "temperature": 0.9}
    model.generation_config = GenerationConfig(
        max_new_tokens=125, bos_token_id=config.bos_token_id, pad_token_id=config.pad_token_id, **manner
    )
    model.depth_decoder.generation_config = GenerationConfig(
        max_new_tokens=BOOKS - 1, min_new_tokens=BOOKS - 1, **manner
    )
    model.save_pretrained(folder)


def tokenizer(folder: Path) -> dict[str, int]:
    """One entry a byte, and the marks; returns the marks' numbers."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import CsmProcessor, EncodecFeatureExtractor, PreTrainedTokenizerFast

    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *MARKS]
    bytewise = Tokenizer(models.BPE(vocab={piece: at for at, piece in enumerate(pieces)}, merges=[]))
    bytewise.pre_tokenizer, bytewise.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    begin, end, *rest = MARKS
    letters = PreTrainedTokenizerFast(
        tokenizer_object=bytewise, bos_token=begin, eos_token=end, pad_token=end, additional_special_tokens=rest
    )
    features = EncodecFeatureExtractor(feature_size=1, sampling_rate=RATE)
    CsmProcessor(features, letters, chat_template=CHAT).save_pretrained(folder)
    return {mark: letters.convert_tokens_to_ids(mark) for mark in MARKS}


def livelier(model: Any) -> None:
    """Random weights are nearly silent, and choose nearly the same codes whatever is said."""
    import torch

    for weights in model.codec_model.parameters():
        if weights.ndim > 1:
            torch.nn.init.normal_(weights, std=0.15)
    for part in model.codec_model.quantizer.modules():
        if hasattr(part, "embed_sum"):
            part.embed_sum.normal_()
            part.cluster_usage.fill_(1.0)
            part.initialized.fill_(1)
    for name, weights in model.named_parameters():
        if "proj.weight" in name and "codec_model" not in name:
            torch.nn.init.normal_(weights, std=0.1)


def lora(folder: Path, model: Path, *, seed: int, rank: int = 4, old_names: bool = False) -> None:
    """A LoRA as PEFT writes it, with random weights, for the layers that Unsloth names.

    ``old_names``: the codec's layers are called as transformers 4 did; they are zero, as training leaves them.
    """
    from transformers import CsmForConditionalGeneration

    loaded = CsmForConditionalGeneration.from_pretrained(model)
    write_lora(folder, loaded, seed=seed, rank=rank, old_names=old_names)


def write_lora(folder: Path, model: Any, *, seed: int, rank: int = 4, old_names: bool = False) -> None:
    """The same for a model that is in memory."""
    import torch
    from safetensors.torch import save_file

    chance = torch.Generator().manual_seed(seed)
    names = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    tensors = {}
    for path, part in model.named_modules():
        if path.rpartition(".")[2] not in names or not hasattr(part, "in_features"):
            continue
        codec = path.startswith("codec_model.")
        if codec and old_names:
            path = path.replace(".encoder.encoder_t", ".encoder_t").replace(".decoder.decoder_t", ".decoder_t")
        down = torch.randn(rank, part.in_features, generator=chance)
        up = torch.zeros(part.out_features, rank) if codec else torch.randn(part.out_features, rank, generator=chance)
        tensors[f"base_model.model.{path}.lora_A.weight"] = down
        tensors[f"base_model.model.{path}.lora_B.weight"] = up * 0.1
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    said = {
        "peft_type": "LORA",
        "base_model_name_or_path": "unsloth/csm-1b",
        "r": rank,
        "lora_alpha": 2 * rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": list(names),
        "task_type": None,
        "use_rslora": False,
        "use_dora": False,
    }
    (folder / "adapter_config.json").write_text(json.dumps(said, indent=2), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    for name, number in zip(sys.argv[2:], range(1, 100), strict=False):
        lora(Path(sys.argv[1], "loras", name), Path(sys.argv[1]), seed=number, old_names=number % 2 == 0)
