"""What CSM's adapter makes of a model, beside what the library makes: ``python csm_checks.py MODEL ANNA BERT``.

Runs in the environment ``torch``, with the part of Parley that lives there, and prints one object of figures.
"""

from __future__ import annotations

import copy
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import CsmForConditionalGeneration, CsmProcessor

from parley.values import ModelInfo, Voice
from parley.worker.adapters import peft_files
from parley.worker.adapters.csm import CsmAdapter
from parley.worker.adapters.csm_frames import CodecStream
from parley.worker.adapters.side_paths import read_pairs
from parley.worker.memory import process_memory
from parley.worker.pack import VoicePack

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT, FRAMES = "One two three.", 40
"""Frames: past the codec's window of 12."""
BOOKS = 8


def main(folder: Path, anna: Path, bert: Path) -> dict[str, Any]:
    """All figures."""
    torch.set_num_threads(1)
    checks = Checks(folder, anna, bert)
    return {
        "codes as generate": checks.codes_as_generate(),
        "codes as generate with a LoRA merged": checks.codes_as_generate("anna"),
        "codes as generate after a recording": checks.codes_as_generate("", "ann"),
        "sound off by": checks.sound_off_by(),
        "old names": checks.old_names(),
        **checks.algebra(),
        **checks.interleaved(),
        **checks.caches(),
        "seconds in bfloat16": checks.seconds_in_bfloat16(),
        "grows by": checks.grows_by(),
    }


class Checks:
    """One adapter that always takes the likeliest, one that takes chances, and the library's own model."""

    def __init__(self, folder: Path, anna: Path, bert: Path) -> None:
        self.folders = {"anna": anna, "bert": bert}
        self.folder = folder
        self.sure, self.lively = self.adapter(temperature=0.0), self.adapter(temperature=0.9, seed=7)

    def adapter(self, **options: Any) -> CsmAdapter:
        info = ModelInfo("csm-tiny", "csm", sample_rate=24_000)
        pack = VoicePack(
            info, self.folder, options={"longest": FRAMES / 12.5, **options}, speaker_ids={"ann": "ann.wav"}
        )
        made = CsmAdapter(replace(pack, info=CsmAdapter.describe(pack)))
        made.load()
        return made

    def codes(self, adapter: CsmAdapter, lora: str = "", speaker: str = "") -> torch.Tensor:
        """[books, frames] of the text."""
        return torch.cat(list(self.frames(adapter, lora, speaker)), 0).T

    def frames(self, adapter: CsmAdapter, lora: str = "", speaker: str = "") -> Iterator[Any]:
        from parley.worker.adapters.csm_frames import frames

        with torch.inference_mode():
            cache, prompt = adapter._prompt(TEXT, speaker, lora)
        made = frames(
            adapter._model, adapter._depth, adapter._sides, lora, adapter._manner, prompt, cache, adapter._chance()
        )
        for _, codes in zip(range(FRAMES), made, strict=False):
            yield codes

    def sound(self, adapter: CsmAdapter, lora: str = "", speaker: str = "ann") -> bytes:
        return b"".join(
            chunk.samples.tobytes() for chunk in adapter.synthesize(TEXT, voice=Voice("", speaker, lora=lora))
        )

    def codes_as_generate(self, lora: str = "", speaker: str = "") -> bool:
        """The library's own loop, over weights into which a LoRA is merged."""
        model = CsmForConditionalGeneration.from_pretrained(self.folder).eval()
        processor = CsmProcessor.from_pretrained(self.folder)
        if lora:
            self.sure.load_lora(lora, self.folders[lora])
            config = peft_files.read_config(self.folders[lora])
            for path, (down, up) in read_pairs(self.folders[lora] / peft_files.WEIGHTS, config, model).items():
                model.get_submodule(path).weight.data += up @ down
        turns = [self.sure._turn(TEXT)]
        if speaker:
            turns.insert(0, self.sure._turn(self.sure._recording(speaker)[1], self.sure._recording(speaker)[0]))
        inputs = processor.apply_chat_template(turns, tokenize=True, return_dict=True)
        with _Silenced(model, self.sure._manner.codes):
            theirs = model.generate(
                **inputs, do_sample=False, depth_decoder_do_sample=False, max_new_tokens=FRAMES, output_audio=False
            )
        ours = self.codes(self.sure, lora, speaker)
        varied = len(torch.unique(ours)) > BOOKS
        return bool(varied and ours.shape == theirs[0].T.shape and (ours == theirs[0].T).all())

    def sound_off_by(self) -> dict[str, float]:
        """Frame by frame, and several at a time, against all frames at once."""
        codec = self.lively._model.codec_model
        codes = self.codes(self.lively)[None]
        with torch.inference_mode():
            whole = codec.decode(codes).audio_values[0, 0].numpy()
            off = {}
            for step in (1, 2, 5):
                stream = CodecStream(codec)
                made = np.concatenate([stream.push(codes[..., at : at + step]) for at in range(0, FRAMES, step)])
                off[str(step)] = float(np.abs(made - np.clip(whole, -1, 1)).max())
        return off

    def old_names(self) -> list[bool]:
        """The layers of a LoRA whose codec is named as by transformers 4 are the model's."""
        config, model = peft_files.read_config(self.folders["bert"]), self.sure._model
        pairs = read_pairs(self.folders["bert"] / peft_files.WEIGHTS, config, model)
        return [bool(pairs), not any(path.startswith("codec_model") for path in pairs)]

    def algebra(self) -> dict[str, bool]:
        """None, A, B, none, A again, both gone: bit for bit."""
        one = self.lively
        none = self.sound(one)
        one.load_lora("anna", self.folders["anna"])
        one.load_lora("bert", self.folders["bert"])
        anna, bert = self.sound(one, "anna"), self.sound(one, "bert")
        said = {"none again": self.sound(one) == none, "anna again": self.sound(one, "anna") == anna}
        one.drop_lora("anna")
        said |= {"bert without anna": self.sound(one, "bert") == bert, "none without anna": self.sound(one) == none}
        one.load_lora("anna", self.folders["bert"])
        said["another under the same name"] = self.sound(one, "anna") == bert
        one.load_lora("anna", self.folders["anna"])
        said["anna after both"] = self.sound(one, "anna") == anna
        said["anna when another fails"] = self.failing(one) and self.sound(one, "anna") == anna
        one.drop_lora("anna")
        one.drop_lora("bert")
        said |= {"none after all": self.sound(one) == none, "all differ": len({none, anna, bert}) == 3}
        return said

    def failing(self, one: CsmAdapter) -> bool:
        """Another LoRA under a name that is there, for whose first frame memory does not suffice."""

        def full(lora: str) -> None:
            raise MemoryError

        one._one_frame = full  # type: ignore[method-assign]
        try:
            one.load_lora("anna", self.folders["bert"])
        except MemoryError:
            return True
        finally:
            del one._one_frame
        return False

    def interleaved(self) -> dict[str, bool]:
        """Three texts in turns, frame by frame, with two LoRAs and none."""
        one = self.lively
        for name, folder in self.folders.items():
            one.load_lora(name, folder)
        alone = [self.codes(one, lora) for lora in ("anna", "bert", "")]
        turns = zip(*(self.frames(one, lora) for lora in ("anna", "bert", "")), strict=True)
        together = [torch.cat(parts, 0).T for parts in zip(*turns, strict=True)]
        return {"in turns as alone": all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))}

    def caches(self) -> dict[str, bool]:
        """What a model has heard is kept for each LoRA, and not changed by what is said after it."""
        one, heard = self.lively, self.lively._heard
        for lora in ("", "anna"):
            self.sound(one, lora)
        kept = copy.deepcopy(heard["ann", "anna"])
        self.sound(one, "anna")
        layers = zip(kept.layers, heard["ann", "anna"].layers, strict=True)
        same = all(torch.equal(before.keys, after.keys) for before, after in layers)
        apart = not torch.equal(heard["ann", "anna"].layers[1].keys, heard["ann", ""].layers[1].keys)
        one.drop_lora("anna")
        return {"heard stays": same, "heard apart": apart, "heard goes with its LoRA": ("ann", "anna") not in heard}

    def seconds_in_bfloat16(self) -> float:
        """Sound of the mixture of precisions that a GPU gets, with a LoRA."""
        one = self.adapter(precision="bfloat16", seed=7)
        one.load_lora("anna", self.folders["anna"])
        return len(self.sound(one, "anna")) / 4 / 24_000

    def grows_by(self) -> int:
        """Bytes that loading, speaking with a LoRA and unloading leave behind, the first times apart."""
        sizes, one = [], self.lively
        for _ in range(6):
            one.unload()
            one.load()
            one.load_lora("anna", self.folders["anna"])
            self.sound(one, "anna")
            one.unload()
            sizes.append(process_memory())
        return sizes[-1] - sizes[1]


class _Silenced:
    """Inside, codes that have no sound are never the likeliest for the library either."""

    def __init__(self, model: Any, codes: int) -> None:
        self.heads = (model.lm_head, model.depth_decoder.codebooks_head)
        self.codes = codes
        self.hooks: list[Any] = []

    def __enter__(self) -> None:
        def hook(_module: Any, _inputs: Any, logits: Any) -> Any:
            logits[..., self.codes :] = -torch.inf
            return logits

        self.hooks = [head.register_forward_hook(hook) for head in self.heads]

    def __exit__(self, *_: object) -> None:
        for hook in self.hooks:
            hook.remove()


if __name__ == "__main__":
    print(json.dumps(main(*(Path(argument) for argument in sys.argv[1:4]))))
