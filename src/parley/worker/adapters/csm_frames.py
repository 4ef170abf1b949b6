"""Sesame's CSM run step by step: codes frame by frame, and their sound as soon as they are there.

A frame is 80 ms: one code of each codebook. The first one comes from the backbone, which has heard all before it; the
others from the depth decoder, one after the other, from the backbone's state alone. Imported in the engine's
environment only (torch, transformers).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from transformers import DynamicCache

from parley.worker.adapters.side_paths import Linear

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from parley.worker.adapters.side_paths import SidePaths

LATENTS = 12
"""Of the past that the codec's filters are given; they reach 8 back."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How codes are chosen."""

    temperature: float
    """0 takes the likeliest."""
    most: int
    """Of the likeliest codes that chance chooses among."""
    codes: int
    """Of a codebook; what a model may name beyond them has no sound."""

    def chance(self, books: int, generator: Any) -> Any:
        """What decides the codes of a frame: [books, most], drawn from ``generator``."""
        shape = (books, min(self.most, self.codes))
        return torch.empty(shape, device=generator.device).exponential_(generator=generator)

    def choose(self, logits: Any, chance: Any) -> Any:
        """[1, n] and [most] to [1, 1]. Asks the device for nothing: it may be part of a graph."""
        logits = logits[..., : self.codes].float()
        if not self.temperature:
            return logits.argmax(-1, keepdim=True)
        values, places = (logits / self.temperature).topk(chance.shape[-1])
        return places.gather(-1, (values.softmax(-1) / chance).argmax(-1, keepdim=True))


class CodecStream:
    """Codes to sound, frame by frame, to the sample what the codec makes of all of them at once.

    The library's codec keeps nothing of the past but its attention's; its filters would begin anew with each frame.
    """

    def __init__(self, codec: Any) -> None:
        self._codec, self._decoder = codec, codec.decoder
        self._cache = DynamicCache(config=self._decoder.decoder_transformer.config)
        self._hop = codec.config.frame_size // codec.config.latent_stride
        self._last: Any = None
        self._past: Any = None

    def push(self, codes: Any) -> NDArray[np.float32]:
        """[1, books, n] to the sound of these n frames, in -1..1."""
        latents = self._codec.quantizer.decode(codes)
        known = latents if self._last is None else torch.cat([self._last, latents], -1)
        self._last = known[..., -1:]
        wider = self._decoder.upsample(known)[..., -2 * latents.shape[-1] :].transpose(1, 2)
        heard = self._decoder.decoder_transformer(wider, past_key_values=self._cache, use_cache=True)
        fresh = heard.last_hidden_state.transpose(1, 2)
        seen = fresh if self._past is None else torch.cat([self._past, fresh], -1)
        self._past = seen[..., -LATENTS:]
        sound = self._decoder.decoder_seanet(seen)[0, 0, -self._hop * fresh.shape[-1] :]
        samples: NDArray[np.float32] = sound.float().cpu().numpy()
        return np.clip(np.nan_to_num(samples), -1.0, 1.0)


class Depth:
    """All codes of a frame but the first: the library's depth decoder in a fourth of its steps.

    Matrices that take the same input are one, what is remembered within a frame has a fixed size, and nothing asks the
    device in between: so a GPU runs a frame's as one graph. One graph for each LoRA, whose matrices are in it.
    """

    def __init__(self, model: Any, sides: SidePaths, manner: Manner) -> None:
        decoder, config = model.depth_decoder, model.config.depth_decoder_config
        self._sides, self._manner = sides, manner
        self._books, self._stride = config.num_codebooks, config.vocab_size
        self._heads, self._groups = config.num_attention_heads, config.num_key_value_heads
        self._width, self._epsilon = config.head_dim, config.rms_norm_eps
        self._embeddings = decoder.model.embed_tokens.weight
        self._projector = _layer(f"{PATH}.inputs_embeds_projector", decoder.model.inputs_embeds_projector)
        self._norm, self._readers = decoder.model.norm.weight, decoder.codebooks_head.weight
        self._layers = [_Block(f"{PATH}.layers.{number}", layer) for number, layer in enumerate(decoder.model.layers)]
        length = self._books + 1
        places = torch.arange(length, device=self._norm.device)[None]
        self._cos, self._sin = (part[0] for part in decoder.model.rotary_emb(self._norm, places))
        self._keys = self._norm.new_zeros(len(self._layers), 1, self._groups, length, self._width)
        self._values = torch.zeros_like(self._keys)
        self._graphs: dict[str, _Graph] = {}

    def __call__(self, state: Any, first: Any, chance: Any) -> Any:
        """The backbone's state [1, H], the first code [1, 1] and its frame's chance to all codes [1, books]."""
        if not state.is_cuda:
            return self._run(state, first, chance)
        graph = self._graphs.get(self._sides.active)
        if graph is None:
            graph = self._graphs[self._sides.active] = _Graph(self._run, state, first, chance)
        return graph(state, first, chance)

    def forget(self, lora: str) -> None:
        """A LoRA is gone."""
        self._graphs.pop(lora, None)

    def _run(self, state: Any, first: Any, chance: Any) -> Any:
        codes, at = [first], 0
        rows = torch.stack([state, self._embeddings[first[:, 0]]], 1)
        for book in range(1, self._books):
            seen, at = self._step(self._sides.through(rows, self._projector), at), at + rows.shape[1]
            codes.append(self._manner.choose(seen @ self._readers[book - 1], chance[book]))
            rows = self._embeddings[codes[-1] + book * self._stride]
        return torch.cat(codes, 1)

    def _step(self, into: Any, at: int) -> Any:
        """[1, n, h] at places from ``at`` on to the state after the last of them, [1, h]."""
        count = into.shape[1]
        end, through = at + count, self._sides.through
        allowed = None if count == 1 else torch.ones(count, end, dtype=torch.bool, device=into.device).tril(at)
        for number, layer in enumerate(self._layers):
            calm = F.rms_norm(into, layer.before.shape, layer.before, self._epsilon)
            asked = through(calm, layer.asking).view(1, count, -1, self._width).transpose(1, 2)
            query, key, value = asked.split([self._heads, self._groups, self._groups], 1)
            self._keys[number, :, :, at:end] = self._turned(key, at)
            self._values[number, :, :, at:end] = value
            keys, values = self._keys[number, :, :, :end], self._values[number, :, :, :end]
            heard = F.scaled_dot_product_attention(
                self._turned(query, at), keys, values, attn_mask=allowed, enable_gqa=True
            )
            heard = heard.transpose(1, 2).reshape(1, count, -1)
            into = into + through(heard, layer.answering)
            calm = F.rms_norm(into, layer.between.shape, layer.between, self._epsilon)
            gate, up = through(calm, layer.widening).chunk(2, -1)
            into = into + through(F.silu(gate) * up, layer.narrowing)
        return F.rms_norm(into, self._norm.shape, self._norm, self._epsilon)[:, -1]

    def _turned(self, rows: Any, at: int) -> Any:
        """Rotary places from ``at`` on."""
        half, end = self._width // 2, at + rows.shape[2]
        other = torch.cat((-rows[..., half:], rows[..., :half]), -1)
        return rows * self._cos[at:end] + other * self._sin[at:end]


PATH = "depth_decoder.model"
"""Of the depth decoder inside the model."""


class _Block:
    """One layer of the decoder, those matrices that take the same input as one."""

    def __init__(self, path: str, layer: Any) -> None:
        heads, wide = layer.self_attn, layer.mlp
        self.before, self.between = layer.input_layernorm.weight, layer.post_attention_layernorm.weight
        asking = {"q_proj": heads.q_proj, "k_proj": heads.k_proj, "v_proj": heads.v_proj}
        self.asking = _joined(f"{path}.self_attn", asking)
        self.answering = _layer(f"{path}.self_attn.o_proj", heads.o_proj)
        self.widening = _joined(f"{path}.mlp", {"gate_proj": wide.gate_proj, "up_proj": wide.up_proj})
        self.narrowing = _layer(f"{path}.mlp.down_proj", wide.down_proj)


def _layer(path: str, module: Any) -> Linear:
    return Linear(module.weight, ((path, module.out_features),))


def _joined(path: str, modules: dict[str, Any]) -> Linear:
    matrix = torch.cat([module.weight for module in modules.values()])
    return Linear(matrix, tuple((f"{path}.{name}", module.out_features) for name, module in modules.items()))


class _Graph:
    """A function of tensors of fixed shapes, recorded once and then started as one."""

    def __init__(self, run: Any, *inputs: Any) -> None:
        self._inputs = [each.clone() for each in inputs]
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):  # what libraries set up at their first use cannot be recorded
            for _ in range(3):
                run(*self._inputs)
        torch.cuda.current_stream().wait_stream(beside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._output = run(*self._inputs)

    def __call__(self, *inputs: Any) -> Any:
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given)
        self._graph.replay()
        return self._output.clone()


def frames(
    model: Any, depth: Depth, sides: SidePaths, lora: str, manner: Manner, prompt: Any, cache: Any, generator: Any
) -> Generator[Any, None, None]:
    """Codes [1, books] until the model ends the text; ``prompt`` [1, T, H] follows on what ``cache`` has heard.

    Closing it cancels between two frames. Other texts may be spoken in between, with other LoRAs.
    """
    end, books = model.config.codebook_eos_token_id, model.config.num_codebooks
    heard: dict[str, Any] = {"inputs_embeds": prompt}
    while True:
        with torch.inference_mode():
            sides.active = lora
            state = model.backbone_model(past_key_values=cache, use_cache=True, **heard).last_hidden_state[:, -1]
            chance = manner.chance(books, generator)
            codes = depth(state, manner.choose(model.lm_head(state), chance[0]), chance)
            if bool((codes[:, :-1] == end).all()):
                return
            heard = {"input_ids": codes[:, None, :]}
        yield codes
