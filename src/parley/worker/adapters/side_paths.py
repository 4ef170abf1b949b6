"""LoRAs beside a model's own matrices: the one that speaks just now adds its share, the matrices stay as they are.

So a LoRA comes and goes without touching a weight, the model without one is the same to the bit whatever came and
went, and two texts with different LoRAs take turns frame by frame. Imported in an engine's environment only (torch).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from parley.errors import ConfigError
from parley.worker.adapters.peft_files import shares

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from parley.worker.adapters.peft_files import LoraConfig

Pair = tuple[Any, Any]
"""[rank, in] and [out, rank], the second one scaled."""


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """A matrix [out, in], or several that take the same input, one below the other."""

    matrix: Any
    parts: tuple[tuple[str, int], ...]
    """The path in the model and the rows of each."""
    bias: Any = None


class SidePaths:
    """What each LoRA adds at each linear layer, by the layer's path in the model."""

    def __init__(self) -> None:
        self.active = ""
        """The LoRA that speaks; empty for none."""
        self._pairs: dict[str, Mapping[str, Pair]] = {}
        self._at: dict[tuple[str, Linear], Pair | None] = {}
        self._following: set[str] = set()

    def __contains__(self, lora: str) -> bool:
        return lora in self._pairs

    def pairs(self, lora: str) -> Mapping[str, Pair] | None:
        """What one adds, by layer; None for one that is not there."""
        return self._pairs.get(lora)

    def add(self, lora: str, pairs: Mapping[str, Pair], model: Any) -> int:
        """A LoRA is there, and layers of ``model`` that it names ask for it; returns the bytes that it takes."""
        self.drop(lora)
        for path in pairs.keys() - self._following:
            self._follow(path, model.get_submodule(path))
        self._pairs[lora] = pairs
        return sum(part.numel() * part.element_size() for pair in pairs.values() for part in pair)

    def drop(self, lora: str) -> None:
        """A LoRA goes."""
        self._pairs.pop(lora, None)
        self._at = {key: pair for key, pair in self._at.items() if key[0] != lora}

    def through(self, rows: Any, layer: Linear) -> Any:
        """``rows`` through a layer, and past the LoRA's share of it."""
        out = F.linear(rows, layer.matrix, layer.bias)
        if not self.active:
            return out
        key = self.active, layer
        if key not in self._at:
            self._at[key] = below(layer.parts, self._pairs[self.active])
        pair = self._at[key]
        return out if pair is None else out + F.linear(F.linear(rows, pair[0]), pair[1])

    def _follow(self, path: str, module: Any) -> None:
        """A layer of the library's own goes through here from now on."""
        self._following.add(path)
        layer = Linear(module.weight, ((path, module.out_features),), module.bias)
        module.forward = lambda rows: self.through(rows, layer)


def below(parts: Sequence[tuple[str, int]], pairs: Mapping[str, Pair]) -> Pair | None:
    """The shares of layers whose matrices are one below the other, as one; None where there is none."""
    there = [pairs[path] for path, _ in parts if path in pairs]
    if len(there) < 2 and len(parts) < 2:
        return there[0] if there else None
    if not there:
        return None
    down = torch.cat([pair[0] for pair in there])
    up = down.new_zeros(sum(rows for _, rows in parts), down.shape[0])
    row = rank = 0
    for path, rows in parts:
        if path in pairs:
            width = pairs[path][1].shape[1]
            up[row : row + rows, rank : rank + width] = pairs[path][1]
            rank += width
        row += rows
    return down, up


def read_pairs(path: Path, config: LoraConfig, model: Any) -> dict[str, Pair]:
    """A LoRA's file for ``model``, scaled, where and as its layers are; without those that add nothing. ConfigError."""
    from safetensors import SafetensorError, safe_open

    layers = {name: part for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)}
    shapes = {name: (part.out_features, part.in_features) for name, part in layers.items()}
    pairs = {}
    try:
        with safe_open(path, "pt") as file:
            there = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            for layer, share in shares(config, there, shapes, path).items():
                down, up = file.get_tensor(share.down), file.get_tensor(share.up).float() * share.scale
                if bool(up.any()) and bool(down.any()):
                    own = layers[layer].weight
                    pairs[layer] = (down.to(own), up.to(own))
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"{path} cannot be read: {str(error).rstrip('.')}.") from None
    return pairs
