"""A tiny Parler-TTS model with random weights: ``python parler_model.py FOLDER`` in the environment ``parler``.

Imports nothing of ours: that environment has no test code. The codec's width is fixed in the library, so its random
weights are the real size (76 million parameters); what predicts its codes is tiny.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

CODES, CODEBOOKS, WIDTH = 64, 9, 32
END, BEGIN = CODES, CODES + 1


def main(folder: Path) -> None:
    """Write the folder as ``save_pretrained`` does."""
    import torch
    from parler_tts import DACConfig, ParlerTTSConfig, ParlerTTSDecoderConfig, ParlerTTSForConditionalGeneration
    from transformers import T5Config

    torch.manual_seed(0)
    letters = tokenizer(folder)
    text = T5Config(
        vocab_size=letters, d_model=WIDTH, d_kv=8, d_ff=64, num_layers=1, num_heads=2, is_encoder_decoder=False
    )
    codec = DACConfig(num_codebooks=CODEBOOKS, codebook_size=CODES, latent_dim=WIDTH)
    predictor = ParlerTTSDecoderConfig(
        vocab_size=CODES + 2,
        num_codebooks=CODEBOOKS,
        pad_token_id=END,
        eos_token_id=END,
        bos_token_id=BEGIN,
        hidden_size=WIDTH,
        ffn_dim=64,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    config = ParlerTTSConfig.from_sub_models_config(text, codec, predictor, vocab_size=letters)
    config.decoder_start_token_id, config.pad_token_id = BEGIN, END
    model = ParlerTTSForConditionalGeneration(config).eval()
    louder(model.audio_encoder)
    settings = model.generation_config
    settings.decoder_start_token_id, settings.bos_token_id = BEGIN, BEGIN
    settings.pad_token_id = settings.eos_token_id = END
    settings.suppress_tokens = [END, BEGIN]  # random weights would end a text anywhere
    settings.min_new_tokens, settings.max_new_tokens = 10, 2580
    model.save_pretrained(folder)


def tokenizer(folder: Path) -> int:
    """One entry a byte, and the end; returns their number."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = ["<pad>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    bytewise = Tokenizer(models.BPE(vocab={piece: at for at, piece in enumerate(pieces)}, merges=[]))
    bytewise.pre_tokenizer, bytewise.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    bytewise.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    special = {"pad_token": "<pad>", "eos_token": "</s>"}
    PreTrainedTokenizerFast(tokenizer_object=bytewise, **special).save_pretrained(folder)
    return len(pieces)


def louder(codec: Any) -> None:
    """Random weights are nearly silent."""
    import torch

    for name, weights in codec.named_parameters():
        if "codebook" in name and weights.ndim == 2:
            torch.nn.init.normal_(weights, std=1.0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
