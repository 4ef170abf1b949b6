"""Parler-TTS: a voice that is described in words, "A woman speaks slowly, in a small room.".

Engine: ``parler-tts`` 0.2 on torch (Apache-2.0, as are its weights), which asks for one old release of transformers:
it lives in an environment of its own, ``parley engines install parler``. Audio leaves in chunks of half a second while
the rest is being made. A speaker is a description under ``speakers``; without one the option ``description`` speaks.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from parley.errors import ConfigError, EngineError, InvalidRequest, NotFound
from parley.values import SynthesizedAudio
from parley.worker.adapters.loading import import_engine, unreadable
from parley.worker.pack import PackFile, PackOption, VoicePack, no_such_speaker
from parley.worker.words import proportional_marks, words

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from parley.values import ModelInfo, Voice

_DEVICES = ("auto", "cpu", "cuda")
EDGE_FRAMES = 12
"""Frames on either side that the codec's filters reach."""


class ParlerAdapter:
    """One Parler-TTS model and the descriptions that it speaks by."""

    files: ClassVar[Mapping[str, PackFile]] = {
        "config": PackFile("the model's layout, as `save_pretrained` writes it", "config.json"),
        "weights": PackFile("the model's weights", "model*.safetensors"),
        "tokenizer": PackFile("the tokenizer of the text", "tokenizer.json"),
    }
    options: ClassVar[Mapping[str, PackOption]] = {
        "description": PackOption(
            "How the voice sounds, in English, where no speaker is named.",
            "A clear voice speaks at a moderate pace in a quiet room.",
        ),
        "description_tokenizer": PackOption(
            "Folder, inside the pack, of the tokenizer of descriptions; empty for the text's own.", ""
        ),
        "chunk_seconds": PackOption(
            "Audio in one chunk; shorter ones come sooner and cost more work.", 0.5, ge=0.1, le=5
        ),
        "temperature": PackOption("How much the voice varies; 0 always takes the likeliest.", 1.0, ge=0, le=2),
        "seed": PackOption("Makes the same text sound the same each time; -1 for chance.", -1, ge=-1),
        "longest": PackOption("Seconds of audio after which a text is cut off.", 30.0, ge=1, le=120),
        "threads": PackOption("Threads of one inference; 0 leaves torch's own number.", 0, ge=0, le=64),
        "device": PackOption(
            "Where it runs: auto takes a GPU when there is one.", "auto", choices=("auto", "cpu", "cuda")
        ),
    }
    concurrency: ClassVar[int] = 1

    def __init__(self, pack: VoicePack) -> None:
        self.info: ModelInfo = pack.info
        self._pack = replace(pack, options=pack.filled(self.options))
        self._model: Any = None
        self._of_text: Any = None
        self._of_descriptions: Any = None
        self._speaking = False

    @classmethod
    def describe(cls, pack: VoicePack) -> ModelInfo:
        """The speakers: descriptions by name."""
        return replace(pack.info, speakers=_speakers(pack))

    def load(self) -> None:
        """Read the weights and both tokenizers, and speak one word."""
        folder, options = self._folder(), self._pack.options
        parler = import_engine("parler_tts", "parler", "parler-tts", "")
        import torch
        from transformers import AutoTokenizer
        from transformers.utils import logging

        logging.set_verbosity_error()  # it tells its whole layout each time
        if options["threads"]:
            torch.set_num_threads(options["threads"])
        device = options["device"]
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self._model = parler.ParlerTTSForConditionalGeneration.from_pretrained(folder, local_files_only=True)
            self._model = self._model.to(device).eval()
            self._of_text = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            other = options["description_tokenizer"]
            self._of_descriptions = (
                AutoTokenizer.from_pretrained(self._pack.path(other), local_files_only=True) if other else self._of_text
            )
        except ConfigError:
            raise
        except Exception as error:  # somebody else's code: torch, safetensors and tokenizers raise what they like
            raise ConfigError(unreadable(folder, "a model of Parler-TTS", error, self.info.model_id)) from error
        self.info = replace(
            self.info, sample_rate=int(self._model.config.sampling_rate), speakers=_speakers(self._pack)
        )

    def synthesize(self, text: str, *, voice: Voice) -> Generator[SynthesizedAudio, None, None]:
        """Speak ``text`` in chunks; a sentence's marks come with its end.

        Raises NotFound for an unknown speaker, InvalidRequest for a speed other than 1.
        """
        if self._model is None:
            raise EngineError(f"The model {self.info.model_id} is not loaded.")
        if voice.speed != 1.0:
            raise InvalidRequest(
                f"Parler-TTS takes its pace from the voice's description, not from a speed of {voice.speed:g}."
            )
        description = self._description(voice)
        if self._speaking:
            raise EngineError(f"The model {self.info.model_id} is speaking another text; it speaks one at a time.")
        self._speaking = True
        generation = _Generation(self._model, self._arguments(text, description), self._pack.options)
        position, rate = 0, self.info.sample_rate
        try:
            for samples in generation.chunks():
                position += samples.size
                yield SynthesizedAudio(samples, rate)
            yield SynthesizedAudio(np.zeros(0, np.float32), rate, proportional_marks(text, words(text), 0, position))
        finally:
            generation.end()
            self._speaking = False

    def unload(self) -> None:
        """Drop the model."""
        import gc

        self._model = self._of_text = self._of_descriptions = None
        gc.collect()  # torch modules hold cycles

    def _arguments(self, text: str, description: str) -> dict[str, Any]:
        """What is to be said, and how, as numbers."""
        said = self._of_text(text, return_tensors="pt").to(self._model.device)
        manner = self._of_descriptions(description, return_tensors="pt").to(self._model.device)
        return {
            "input_ids": manner.input_ids,
            "attention_mask": manner.attention_mask,
            "prompt_input_ids": said.input_ids,
            "prompt_attention_mask": said.attention_mask,
        }

    def _description(self, voice: Voice) -> str:
        names = _speakers(self._pack)
        name = voice.speaker or self._pack.default_speaker
        if not name:
            return str(self._pack.options["description"])
        if name not in names:
            raise NotFound(no_such_speaker(self.info.model_id, name, names))
        return str(self._pack.speaker_ids[name])

    def _folder(self) -> Path:
        """Of the pack, when everything is in it."""
        for role, declared in self.files.items():
            self._pack.file(role, declared)
        assert self._pack.folder is not None
        return self._pack.folder


class _Codes:
    """Codes as ``generate`` pushes them, and audio of them as soon as what lies around it is there.

    Codebook k comes k steps late. The library's own streamer decodes the whole text again for each chunk; here each
    stretch is decoded once, with as many frames on either side as the codec can hear: the samples are the same.
    """

    def __init__(
        self, model: Any, frames: int, take: Callable[[np.ndarray], None], stop: threading.Event | None = None
    ) -> None:
        self._stop = stop or threading.Event()
        self._codec, self._books = model.audio_encoder, model.decoder.num_codebooks
        self._size = model.audio_encoder.config.codebook_size
        self._form = {"audio_scales": [None]} if model.use_audio_scales else {}
        self._flat = not model.use_4dim_audio_codes
        self._frames, self._take = frames, take
        self._columns: list[Any] = []
        self._sent = 0

    def put(self, value: Any) -> None:
        """One step's code of every codebook; the first is the beginning's mark. Raises _Enough."""
        if self._stop.is_set():
            raise _Enough
        self._columns.append(value.reshape(self._books, -1)[:, -1])
        if len(self._columns) - self._books - self._sent >= self._frames + EDGE_FRAMES:
            self._decode(self._sent + self._frames)

    def end(self) -> None:
        """No more codes come. Raises _Enough."""
        self._decode(len(self._columns))
        raise _Enough

    def _decode(self, up_to: int) -> None:
        import torch

        columns = torch.stack(self._columns, -1)
        whole = columns.shape[-1] - self._books
        if whole <= self._sent:
            return
        codes = torch.stack([columns[book, book + 1 : book + 1 + whole] for book in range(self._books)])
        codes = codes[:, (codes < self._size).all(0)].to(self._codec.device)  # else marks of the end
        up_to, start = min(up_to, codes.shape[-1]), max(0, self._sent - EDGE_FRAMES)
        if up_to <= self._sent:
            return
        seen = codes[:, start : up_to + EDGE_FRAMES][None]
        audio = self._codec.decode(audio_codes=seen if self._flat else seen[None], **self._form).audio_values
        samples = audio.reshape(-1).float().cpu().numpy()
        hop = samples.size // seen.shape[-1]
        self._take(samples[(self._sent - start) * hop : (up_to - start) * hop])
        self._sent = up_to


class _Enough(Exception):
    """Ends ``generate`` from within: nobody wants more, or all is there and the library would decode it once more."""


class _Generation:
    """One text being made on a thread of its own, since the library pushes what it makes."""

    def __init__(self, model: Any, arguments: dict[str, Any], options: Mapping[str, Any]) -> None:
        self._stop = threading.Event()
        self._made: queue.SimpleQueue[np.ndarray | None] = queue.SimpleQueue()  # bounded by ``longest``
        self._error: Exception | None = None
        rate = model.audio_encoder.config.frame_rate
        codes = _Codes(model, max(1, int(rate * options["chunk_seconds"])), self._made.put, self._stop)
        warmth = options["temperature"]
        manner = {"do_sample": True, "temperature": warmth} if warmth else {"do_sample": False}

        def run() -> None:
            import torch

            try:
                if options["seed"] >= 0:
                    torch.manual_seed(options["seed"])
                model.generate(**arguments, **manner, max_new_tokens=int(rate * options["longest"]), streamer=codes)
            except _Enough:
                pass
            except Exception as error:  # noqa: BLE001  (somebody else's code: handed to whoever reads the audio)
                self._error = error
            self._made.put(None)

        self._thread = threading.Thread(target=run, name="parler", daemon=True)
        self._thread.start()

    def chunks(self) -> Generator[np.ndarray, None, None]:
        """Audio as it comes, float in -1..1."""
        while (samples := self._made.get()) is not None:
            yield np.clip(np.nan_to_num(samples), -1.0, 1.0)
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """Nobody wants the rest: it stops at its next step and is waited for."""
        self._stop.set()
        self._thread.join()


def _speakers(pack: VoicePack) -> tuple[str, ...]:
    return tuple(name for name, description in pack.speaker_ids.items() if isinstance(description, str))
