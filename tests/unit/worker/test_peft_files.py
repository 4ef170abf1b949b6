"""LoRAs as PEFT and Unsloth write them: what is taken from their files, and what is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from parley.errors import ConfigError
from parley.worker.adapters.peft_files import LoraConfig, Share, layer_of, read_config, shares

PLAIN: dict[str, Any] = {
    "peft_type": "LORA",
    "r": 16,
    "lora_alpha": 32,
    "bias": "none",
    "modules_to_save": None,
    "use_dora": False,
    "alpha_pattern": {},
}
LAYER = "backbone_model.layers.0.self_attn.q_proj"
A, B = f"base_model.model.{LAYER}.lora_A.weight", f"base_model.model.{LAYER}.lora_B.weight"
LAYERS = {LAYER: (8, 6), "codec_model.encoder.encoder_transformer.layers.0.self_attn.q_proj": (4, 4)}
FILE = Path("/voices/anna/adapter_model.safetensors")


def config(tmp_path: Path, **changed: Any) -> LoraConfig:
    (tmp_path / "adapter_config.json").write_text(json.dumps(PLAIN | changed), "utf-8")
    return read_config(tmp_path)


@pytest.mark.parametrize(
    ("changed", "layer", "rank", "scale"),
    [
        ({}, LAYER, 16, 2.0),
        ({}, LAYER, 8, 4.0),
        ({"use_rslora": True}, LAYER, 16, 8.0),
        ({"alpha_pattern": {"q_proj": 8}}, LAYER, 16, 0.5),
        ({"alpha_pattern": {"k_proj": 8}}, LAYER, 16, 2.0),
        ({"alpha_pattern": {"0.self_attn.q_proj": 4, "q_proj": 8}}, LAYER, 16, 0.25),
        ({"alpha_pattern": {"k_proj|q_proj$": 8}}, LAYER, 16, 0.5),
        ({"alpha_pattern": {"_proj": 8}}, LAYER, 16, 2.0),
        ({"alpha_pattern": {rf"^{LAYER}".replace(".", r"\."): 8}}, LAYER, 16, 0.5),
        ({"alpha_pattern": {"^self_attn.q_proj": 8}}, LAYER, 16, 2.0),
    ],
)
def test_a_share_is_scaled_as_peft_does(
    tmp_path: Path, changed: dict[str, Any], layer: str, rank: int, scale: float
) -> None:
    assert config(tmp_path, **changed).scale(layer, rank) == scale


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"peft_type": "IA3"}, "peft_type"),
        ({"use_dora": True}, "use_dora"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "all"}, "bias"),
        ({"lora_alpha": None}, "lora_alpha"),
        ({"lora_alpha": float("nan")}, "lora_alpha"),
        ({"alpha_pattern": {"(": 3}}, "more than names"),
        ({"alpha_pattern": {r"([\w.]+)+!": 3}}, "more than names"),
        ({"alpha_pattern": {"": 3}}, "more than names"),
        ({"alpha_pattern": {f"layers.{number}": 3 for number in range(2_001)}}, "2001 layers"),
        ({"alpha_pattern": {"|".join(["q_proj"] * 2_001): 3}}, "more than names"),
        ({"alpha_pattern": {"q_proj": "x" * (1 << 20)}}, "longer than"),
        ({"alpha_pattern": [1]}, "alpha_pattern"),
    ],
)
def test_what_is_more_than_a_share_is_refused_by_name(tmp_path: Path, changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        config(tmp_path, **changed)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_a_file_that_is_no_configuration_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "adapter_config.json").write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=r"adapter_config\.json"):
        read_config(tmp_path)


def test_a_folder_without_one_is_told_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"adapter_model\.safetensors"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("named", "layer"),
    [
        (f"base_model.model.{LAYER}", LAYER),
        (LAYER, LAYER),
        (
            "base_model.model.codec_model.encoder_transformer.layers.0.self_attn.q_proj",
            "codec_model.encoder.encoder_transformer.layers.0.self_attn.q_proj",
        ),
        (
            "base_model.model.codec_model.decoder_transformer.layers.1.mlp.fc1",
            "codec_model.decoder.decoder_transformer.layers.1.mlp.fc1",
        ),
        (
            "base_model.model.codec_model.encoder.encoder_transformer.layers.0.mlp.fc1",
            "codec_model.encoder.encoder_transformer.layers.0.mlp.fc1",
        ),
    ],
)
def test_layers_are_found_under_the_names_of_old_and_new_transformers(named: str, layer: str) -> None:
    assert layer_of(named) == layer


@pytest.mark.parametrize("name", ["weight", "default.weight"])
def test_a_share_is_two_tensors_and_a_scale(name: str) -> None:
    down, up = A.replace("weight", name), B.replace("weight", name)
    found = shares(LoraConfig(8.0), {down: (2, 6), up: (8, 2)}, LAYERS, FILE)
    assert found == {LAYER: Share(down, up, 4.0)}


@pytest.mark.parametrize(
    ("there", "says"),
    [
        ({}, "holds no LoRA"),
        ({A: (2, 6)}, "half"),
        ({A: (2, 6), B: (8, 3)}, "another model"),
        ({A: (2, 7), B: (8, 2)}, "another model"),
        ({A: (0, 6), B: (8, 0)}, "another model"),
        ({A.replace("q_proj", "x_proj"): (2, 6)}, "no linear layer"),
        ({"base_model.model.lm_head.weight": (2, 6)}, "no part of a LoRA"),
        ({B.replace("lora_B.weight", "lora_B.bias"): (8,)}, "no part of a LoRA"),
        ({f"base_model.model.{LAYER}.lora_magnitude_vector": (8,)}, "no part of a LoRA"),
    ],
)
def test_tensors_that_do_not_fit_the_model_are_refused(there: dict[str, tuple[int, ...]], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        shares(LoraConfig(8.0), there, LAYERS, FILE)
    assert str(FILE) in str(caught.value)
