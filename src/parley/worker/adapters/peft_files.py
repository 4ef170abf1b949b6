"""A LoRA on disk as PEFT and Unsloth write it: ``adapter_config.json`` and ``adapter_model.safetensors``. Pure.

What is understood is what can be added beside a linear layer. Anything else that the files ask for (other methods,
retrained layers, changed biases) is refused by name: a voice that is half a LoRA would sound like neither.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parley.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."
_TENSOR = re.compile(r"(?P<path>.+)\.lora_(?P<side>[AB])(?:\.(?!weight$)[^.]+)?\.weight")
_END = re.compile(r"\^?[\w-]+(?:\.[\w-]+)*")
_LONGEST = 1 << 20
_MOST_LAYERS = 2_000
_FOREIGN = ("use_dora", "fan_in_fan_out", "modules_to_save", "bias", "layer_replication", "alora_invocation_tokens")
"""What changes more than a share beside a linear layer."""
_MOVED = (
    (re.compile(r"(^|\.)codec_model\.encoder_transformer\."), r"\1codec_model.encoder.encoder_transformer."),
    (re.compile(r"(^|\.)codec_model\.decoder_transformer\."), r"\1codec_model.decoder.decoder_transformer."),
)
"""Layers that transformers 4 called otherwise than 5 does."""


@dataclass(frozen=True, slots=True)
class LoraConfig:
    """What ``adapter_config.json`` says of the numbers."""

    alpha: float
    rank_stabilised: bool = False
    alphas: Mapping[str, float] = field(default_factory=dict)
    """Of layers whose path ends so, where it differs; with ``^`` in front, of the layer of just that path."""

    def scale(self, path: str, rank: int) -> float:
        """What the share of the layer at ``path`` is multiplied by."""
        own = (alpha for end, alpha in self.alphas.items() if f"^{path}" == end or f".{path}".endswith(f".{end}"))
        return next(own, self.alpha) / (math.sqrt(rank) if self.rank_stabilised else rank)


@dataclass(frozen=True, slots=True)
class Share:
    """What is added at one linear layer."""

    down: str
    """Name of the tensor [rank, in]."""
    up: str
    """Name of the tensor [out, rank]."""
    scale: float


def read_config(folder: Path) -> LoraConfig:
    """Read ``folder/adapter_config.json``. Raises ConfigError that names the file and what is wrong."""
    path = folder / CONFIG
    try:
        if path.stat().st_size > _LONGEST:
            raise ConfigError(f"{path} is longer than {_LONGEST} bytes; a LoRA's settings take some hundreds.")
        said: Any = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing: a LoRA is a folder with {CONFIG} and {WEIGHTS}.") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from None
    if not isinstance(said, dict) or str(said.get("peft_type")) != "LORA":
        raise ConfigError(f"{path}: 'peft_type' is not LORA; only LoRAs can be put on a voice.")
    for key in _FOREIGN:
        if said.get(key) and said[key] != "none":
            raise ConfigError(f"{path}: '{key}' is {said[key]!r}, which cannot be put on a voice; merge it instead.")
    own = said.get("alpha_pattern") or {}
    if not isinstance(own, dict):
        raise ConfigError(f"{path}: 'alpha_pattern' must map layers to numbers.")
    if len(own) > _MOST_LAYERS:
        raise ConfigError(f"{path}: 'alpha_pattern' names {len(own)} layers; {_MOST_LAYERS} is the most.")
    alphas: dict[str, float] = {}
    for pattern, alpha in own.items():
        for end in _ends(path, pattern):
            alphas.setdefault(end, _number(path, f"alpha_pattern.{pattern}", alpha))
    return LoraConfig(_number(path, "lora_alpha", said.get("lora_alpha")), bool(said.get("use_rslora")), alphas)


def _number(path: Path, key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"{path}: '{key}' is {value!r}; it must be a number.")
    return float(value)


def _ends(path: Path, pattern: str) -> list[str]:
    """Ends of layers' paths that ``pattern`` names. PEFT takes any regular expression, which may never come to an end.

    Raises ConfigError for what is more than names.
    """
    ends = [end.removesuffix("$").replace("\\.", ".") for end in pattern.split("|")]
    if len(ends) > _MOST_LAYERS or not all(_END.fullmatch(end) for end in ends):
        raise ConfigError(
            f"{path}: 'alpha_pattern' holds {pattern[:80]!r}, which is more than names of layers with | between them; "
            "write the layers out."
        )
    return ends


def shares(
    config: LoraConfig, there: Mapping[str, tuple[int, ...]], layers: Mapping[str, tuple[int, int]], path: Path
) -> dict[str, Share]:
    """Layer to what is added there, from the names and shapes of the tensors in ``path``.

    ``layers``: the model's linear layers, path to (out, in). Raises ConfigError for a tensor that is no LoRA's, for a
    layer that the model does not have, and for one of another shape.
    """
    sides: dict[str, dict[str, str]] = {}
    for name in there:
        match = _TENSOR.fullmatch(name)
        if match is None:
            raise ConfigError(f"{path}: {name!r} is no part of a LoRA that can be put on a voice; merge it instead.")
        sides.setdefault(layer_of(match["path"]), {})[match["side"]] = name
    if not sides:
        raise ConfigError(f"{path} holds no LoRA.")
    return {layer: _share(config, there, layers, path, layer, names) for layer, names in sorted(sides.items())}


def layer_of(path: str) -> str:
    """The layer's path in the model as it is called today."""
    path = path.removeprefix(_PREFIX)
    for old, new in _MOVED:
        path = old.sub(new, path)
    return path


def _share(
    config: LoraConfig, there: Mapping[str, tuple[int, ...]], layers: Mapping[str, tuple[int, int]], path: Path,
    layer: str, names: Mapping[str, str],
) -> Share:  # fmt: skip
    if layer not in layers:
        raise ConfigError(f"{path}: this model has no linear layer {layer!r}; the LoRA is for another one.")
    if len(names) < 2:
        raise ConfigError(f"{path}: half of the LoRA at {layer!r} is missing.")
    down, up = there[names["A"]], there[names["B"]]
    out, width = layers[layer]
    if len(down) != 2 or not down[0] or down[1] != width or up != (out, down[0]):
        raise ConfigError(
            f"{path}: at {layer!r} the LoRA is {down} and {up}, the model {(out, width)}; it is for another model."
        )
    return Share(names["A"], names["B"], config.scale(layer, down[0]))
