"""Sesame's CSM: a voice that goes on as the recording that it was given, with LoRAs that come and go.

Engine: transformers 5 on torch (Apache-2.0, as are the weights of ``csm-1b``, whose page asks for consent), in the
environment ``parley engines install csm``. Sound leaves frame by frame, 80 ms each. A speaker is a recording under
``speakers`` with what is said in it as a text file of the same name, or one that ``parley voices add`` brought;
without one the model makes up a voice.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from parley.errors import ConfigError, EngineError, InvalidRequest, NotFound, ParleyError
from parley.values import SynthesizedAudio, Voice
from parley.worker.adapters.loading import import_engine, unreadable
from parley.worker.pack import REFERENCE, PackFile, PackOption, VoicePack, no_such_speaker
from parley.worker.words import proportional_marks, words

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from parley.values import ModelInfo

_LONGEST_RECORDING = 30.0
"""Seconds: the model hears two and a half minutes in all, the recording included."""
_HEARD = 16
"""Recordings that the model has heard and that are kept, for each LoRA anew."""
FRAMES_A_SECOND = 12.5


class CsmAdapter:
    """One CSM model, the recordings that it has heard, and its LoRAs."""

    files: ClassVar[Mapping[str, PackFile]] = {
        "config": PackFile("the model's layout, as `save_pretrained` writes it", "config.json"),
        "weights": PackFile("the model's weights, or the list of their parts", "model.safetensors*"),
        "tokenizer": PackFile("the tokenizer", "tokenizer.json"),
        "template": PackFile("how turns are written for the model", "chat_template.jinja", required=False),
    }
    options: ClassVar[Mapping[str, PackOption]] = {
        "role": PackOption("Number by which the model knows the speaker.", 0, ge=0, le=99),
        "temperature": PackOption("How much the voice varies; 0 always takes the likeliest.", 0.9, ge=0, le=2),
        "top_k": PackOption("Of the likeliest codes, how many chance chooses among.", 50, ge=1, le=2048),
        "seed": PackOption("Makes the same text sound the same each time; -1 for chance.", -1, ge=-1),
        "longest": PackOption("Seconds of audio after which a text is cut off.", 30.0, ge=1, le=120),
        "threads": PackOption("Threads of one inference; 0 leaves torch's own number.", 0, ge=0, le=64),
        "device": PackOption(
            "Where it runs: auto takes a GPU when there is one.", "auto", choices=("auto", "cpu", "cuda")
        ),
        "precision": PackOption(
            "Of the weights: auto is bfloat16 on a GPU, float32 on a CPU; the codec is always float32.",
            "auto",
            choices=("auto", "float32", "bfloat16"),
        ),
    }
    concurrency: ClassVar[int] = 1

    def __init__(self, pack: VoicePack) -> None:
        self.info: ModelInfo = pack.info
        self._pack = replace(pack, options=pack.filled(self.options))
        self._model: Any = None
        self._processor: Any = None
        self._depth: Any = None
        self._sides: Any = None
        self._manner: Any = None
        self._heard: OrderedDict[tuple[str, str], Any] = OrderedDict()

    @classmethod
    def describe(cls, pack: VoicePack) -> ModelInfo:
        """The speakers: the reference recording, those that the metadata maps to files, and those that were added."""
        return replace(pack.info, speakers=tuple(pack.recordings()))

    def load(self) -> None:
        """Read the weights, hear the default speaker, and say a frame."""
        folder, options = self._folder(), self._pack.options
        import_engine("transformers", "csm", "transformers", "")
        import torch
        from transformers.utils import logging

        logging.set_verbosity_error()  # it tells its whole layout each time
        logging.disable_progress_bar()
        if options["threads"]:
            torch.set_num_threads(options["threads"])
        try:
            self._read(folder)
        except ConfigError:
            raise
        except Exception as error:  # somebody else's code: torch, safetensors and tokenizers raise what they like
            raise ConfigError(unreadable(folder, "a model of CSM", error, self.info.model_id)) from error
        rate = int(self._model.config.codec_config.sampling_rate)
        self.info = replace(self.info, sample_rate=rate, speakers=tuple(self._pack.recordings()))
        self._one_frame("")

    def _read(self, folder: Path) -> None:
        import torch
        from transformers import CsmForConditionalGeneration

        options, device = self._pack.options, self._pack.options["device"]
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        precision = options["precision"]
        if precision == "auto":
            precision = "bfloat16" if device == "cuda" else "float32"
        model = CsmForConditionalGeneration.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=getattr(torch, precision)
        )
        self._set_up(model, folder, device)

    def _set_up(self, model: Any, folder: Path, device: str) -> None:
        """Speak with ``model`` from now on; the folder has its tokenizer."""
        from transformers import CsmProcessor

        from parley.worker.adapters.csm_frames import Depth, Manner
        from parley.worker.adapters.side_paths import SidePaths

        options = self._pack.options
        model = model.to(device).eval().requires_grad_(False)
        model.codec_model.float()
        self._processor = CsmProcessor.from_pretrained(folder, local_files_only=True)
        self._manner = Manner(options["temperature"], options["top_k"], model.config.codec_config.codebook_size)
        self._sides = SidePaths()
        self._depth = Depth(model, self._sides, self._manner)
        self._model = model

    def synthesize(self, text: str, *, voice: Voice) -> Generator[SynthesizedAudio, None, None]:
        """Speak ``text`` in chunks of 80 ms; a sentence's marks come with its end.

        Raises NotFound for an unknown speaker, InvalidRequest for a speed other than 1 and for a text that is longer
        than the model can hear.
        """
        if self._model is None:
            raise EngineError(f"The model {self.info.model_id} is not loaded.")
        if voice.speed != 1.0:
            raise InvalidRequest(f"CSM speaks at speed 1 only, not at {voice.speed:g}.")
        if voice.lora and voice.lora not in self._sides:
            raise EngineError(f"The LoRA {voice.lora} of the model {self.info.model_id} is not loaded.")
        position, rate = 0, self.info.sample_rate
        for samples in self._sound(text, self._speaker(voice), voice.lora):
            position += samples.size
            yield SynthesizedAudio(samples, rate)
        yield SynthesizedAudio(np.zeros(0, np.float32), rate, proportional_marks(text, words(text), 0, position))

    def unload(self) -> None:
        """Drop the model, what it has heard, and its LoRAs."""
        import gc

        self._model = self._processor = self._depth = self._sides = None
        self._heard.clear()
        gc.collect()  # torch modules hold cycles

    # --- LoRAs ---

    def load_lora(self, name: str, folder: Path) -> int:
        """Put a LoRA beside the model, in place of one of the same name; returns the bytes that it takes.

        Raises ConfigError that names the file. Whatever it raises, what was there before is there.
        """
        from parley.worker.adapters import peft_files
        from parley.worker.adapters.side_paths import read_pairs

        if self._model is None:
            raise EngineError(f"The model {self.info.model_id} is not loaded.")
        config = peft_files.read_config(folder)
        pairs = read_pairs(folder / peft_files.WEIGHTS, config, self._model)
        before = self._sides.pairs(name)
        self.drop_lora(name)
        try:
            size: int = self._sides.add(name, pairs, self._model)
            self._one_frame(name)
        except BaseException:  # somebody else's code, torch: what spoke before speaks again
            self.drop_lora(name)
            if before is not None:
                self._sides.add(name, before, self._model)
            raise
        return size

    def drop_lora(self, name: str) -> None:
        """Forget a LoRA, and what the model has heard through it."""
        if self._model is not None:
            self._sides.drop(name)
            self._depth.forget(name)
        for key in [key for key in self._heard if key[1] == name]:
            del self._heard[key]

    # --- voices that come and go ---

    def take_voice(self, name: str) -> None:
        """Hear a speaker that was added, without a LoRA. Raises ConfigError."""
        import torch

        self.drop_voice(name)
        if self._model is None:
            raise EngineError(f"The model {self.info.model_id} is not loaded.")
        with torch.inference_mode():
            self._remembered(self._speaker(Voice(speaker=name)), "")

    def drop_voice(self, name: str) -> None:
        """Forget what the model has heard of a speaker; whoever is speaking with it goes on."""
        for key in [key for key in self._heard if key[0] == name]:
            del self._heard[key]

    # --- speaking ---

    def _sound(self, text: str, speaker: str, lora: str) -> Generator[np.ndarray, None, None]:
        """80 ms each, float in -1..1."""
        import torch

        from parley.worker.adapters.csm_frames import CodecStream, frames

        with torch.inference_mode():
            cache, prompt = self._prompt(text, speaker, lora)
        room = self._model.config.max_position_embeddings - cache.get_seq_length() - prompt.shape[1]
        if room < 1:
            raise InvalidRequest(f"The text is longer than CSM can hear at once ({len(text)} characters).")
        codec = CodecStream(self._model.codec_model)
        made = frames(self._model, self._depth, self._sides, lora, self._manner, prompt, cache, self._chance())
        most = min(room, int(self._pack.options["longest"] * FRAMES_A_SECOND))
        try:
            for codes in made:
                with torch.inference_mode():
                    self._sides.active = lora
                    samples = codec.push(codes[:, :, None])
                yield samples
                most -= 1
                if most < 1:
                    return
        finally:
            made.close()

    def _chance(self) -> Any:
        import torch

        generator = torch.Generator(device=self._model.device)
        seed = self._pack.options["seed"]
        if seed >= 0:
            generator.manual_seed(seed)
        else:
            generator.seed()
        return generator

    def _one_frame(self, lora: str) -> None:
        """What is set up or recorded at the first use is there when somebody speaks."""
        sound = self._sound("Ready.", self._default(), lora)
        next(sound, None)
        sound.close()

    def _prompt(self, text: str, speaker: str, lora: str) -> tuple[Any, Any]:
        """What the model has heard, for this text alone, and what is to be said, as embeddings [1, T, H]."""
        from transformers import DynamicCache

        self._sides.active = lora
        said = self._turns([self._turn(text)])
        if not speaker:
            return DynamicCache(config=self._model.config), self._embedded(said)
        return copy.deepcopy(self._remembered(speaker, lora)), self._embedded(said)

    def _remembered(self, speaker: str, lora: str) -> Any:
        """What the model remembers of a speaker through a LoRA: heard once."""
        self._sides.active = lora
        key = speaker, lora
        if key not in self._heard:
            self._heard[key] = self._hear(speaker)
            if len(self._heard) > _HEARD:
                self._heard.popitem(last=False)
        self._heard.move_to_end(key)
        return self._heard[key]

    def _hear(self, speaker: str) -> Any:
        """What the model remembers of a speaker's recording."""
        from transformers import DynamicCache

        samples, said = self._recording(speaker)
        probe = self._turn("a")
        both = self._turns([self._turn(said, samples), probe])
        behind = self._turns([probe])["input_ids"].shape[1]
        both["input_ids"] = both["input_ids"][:, :-behind]
        cache = DynamicCache(config=self._model.config)
        self._model.backbone_model(inputs_embeds=self._embedded(both), past_key_values=cache, use_cache=True)
        return cache

    def _turn(self, text: str, samples: Any = None) -> dict[str, Any]:
        plain = text.replace("<|", "< ")  # the model's own marks are not for whoever writes a text
        content: list[dict[str, Any]] = [{"type": "text", "text": plain}]
        if samples is not None:
            content.append({"type": "audio", "audio": samples})
        return {"role": str(self._pack.options["role"]), "content": content}

    def _turns(self, turns: list[dict[str, Any]]) -> dict[str, Any]:
        """As the model reads them."""
        made = self._processor.apply_chat_template(turns, tokenize=True, return_dict=True)
        return {name: part.to(self._model.device) for name, part in made.items() if hasattr(part, "to")}

    def _embedded(self, made: Mapping[str, Any]) -> Any:
        model = self._model
        return model._merge_input_ids_with_input_values(
            made["input_ids"], made.get("input_values"), made.get("input_values_cutoffs")
        )["inputs_embeds"]

    # --- speakers ---

    def _default(self) -> str:
        """One that was added speaks for nobody who has not asked for it."""
        added = self._pack.added()
        return self._pack.default_speaker or next((name for name in self._pack.recordings() if name not in added), "")

    def _speaker(self, voice: Voice) -> str:
        names = tuple(self._pack.recordings())
        name = voice.speaker or self._default()
        if name and name not in names:
            raise NotFound(no_such_speaker(self.info.model_id, name, names))
        return name

    def _recording(self, speaker: str) -> tuple[Any, str]:
        """A speaker's recording, float in -1..1 at the model's rate, and what is said in it."""
        from parley.audio.wav import read_wav

        path = self._pack.path(self._pack.recordings()[speaker])
        try:
            samples, rate = read_wav(path, self.info.sample_rate)
        except ParleyError as error:
            raise ConfigError(f"{error} It is the voice of the speaker {speaker!r} of {self.info.model_id}.") from None
        if not samples.size or samples.size > _LONGEST_RECORDING * rate:
            raise ConfigError(
                f"{path} takes {samples.size / rate:.1f} s; CSM goes on as a recording of 5 to "
                f"{_LONGEST_RECORDING:.0f} seconds of clean speech."
            )
        return samples.astype(np.float32) / 32_768, self._said(speaker, path)

    def _said(self, speaker: str, path: Path) -> str:
        if speaker == REFERENCE and self._pack.reference_text:
            return self._pack.reference_text
        written = path.with_suffix(".txt")
        if not written.is_file():
            raise ConfigError(f"{written} is missing: CSM wants to know what is said in {path.name}; write it there.")
        return written.read_text("utf-8").strip()

    def _folder(self) -> Path:
        """Of the pack, when everything is in it."""
        for role in ("config", "tokenizer"):
            self._pack.file(role, self.files[role])
        assert self._pack.folder is not None
        if not any(self._pack.folder.glob("model*.safetensors")):
            self._pack.file("weights", self.files["weights"])
        return self._pack.folder
