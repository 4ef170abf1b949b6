"""Pocket TTS: a small streaming model that clones a voice, in real time on two CPU cores.

Engine: ``pocket-tts`` 4 on torch (MIT; weights CC-BY-4.0), installed by the extra ``pocket``. Audio leaves in
chunks of 80 ms while the rest is being made. A model speaks one text at a time, so each engine slot
of the worker loads one. A speaker is the pack's reference recording, a state that was
computed from one (``.safetensors``), named under ``speakers``, or a voice that ``parley voices add`` brought.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from contextlib import closing
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from parley.errors import ConfigError, EngineError, InvalidRequest, NotFound, ParleyError
from parley.hints import command
from parley.store.schema import read_mapping
from parley.values import SynthesizedAudio, Voice
from parley.worker.adapters.loading import import_engine, unreadable
from parley.worker.pack import PackFile, PackOption, VoicePack, no_such_speaker
from parley.worker.words import proportional_marks, words

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from parley.values import ModelInfo


class PocketAdapter:
    """One Pocket TTS model and the voices that were made from recordings."""

    files: ClassVar[Mapping[str, PackFile]] = {
        "config": PackFile("the model's layout as YAML; left out where 'options.base' names one", "config.yaml", False),
        "weights": PackFile("the model's weights", "*.safetensors"),
        "tokenizer": PackFile("the model's tokenizer", "tokenizer.*"),
    }
    options: ClassVar[Mapping[str, PackOption]] = {
        "base": PackOption("Layout out of the package, such as english; used where the pack has no config.yaml.", ""),
        "temperature": PackOption("How much the voice varies; -1 keeps the model's own value.", -1.0, ge=-1, le=2),
        "threads": PackOption("Threads of one inference; 0 leaves torch's own number.", 0, ge=0, le=64),
        "quantize": PackOption("Halve the memory with int8 weights (needs the package torchao).", False),
    }
    concurrency: ClassVar[int] = 1

    def __init__(self, pack: VoicePack) -> None:
        self.info: ModelInfo = pack.info
        self._pack = pack = replace(pack, options=pack.filled(self.options))
        self._model: Any = None
        self._states: dict[str, Any] = {}
        self._speaking = False

    @classmethod
    def describe(cls, pack: VoicePack) -> ModelInfo:
        """The speakers: the reference recording, those that the metadata maps to files, and those that were added."""
        return replace(pack.info, speakers=tuple(pack.recordings()))

    def load(self) -> None:
        """Read the weights, make the speakers' states, and speak one word."""
        speakers = tuple(self._pack.recordings())
        if not speakers:
            raise ConfigError(
                f"{self._pack.folder}/metadata.yaml: Pocket TTS needs a voice to imitate; put a WAV of 5 to 30 seconds "
                "in the folder and name it as 'reference.audio', map speakers to files under 'speakers', or bring one "
                f"with `{command('voices add')}`."
            )
        config = self._config()
        pocket = import_engine("pocket_tts", "pocket", "pocket-tts", "pocket")
        logging.getLogger("pocket_tts").setLevel(logging.WARNING)
        self._set_threads()
        temperature = self._pack.options["temperature"]
        with tempfile.TemporaryDirectory(prefix="parley-pocket-") as folder:
            path = Path(folder, "config.yaml")
            path.write_text(_dump(config), "utf-8")
            try:
                self._model = pocket.TTSModel.load_model(
                    config=path,
                    temp=temperature if temperature >= 0 else None,
                    quantize=self._pack.options["quantize"],
                )
            except Exception as error:  # somebody else's code: torch, safetensors and pydantic raise what they like
                raise ConfigError(
                    unreadable(
                        Path(config["weights_path"]), "Pocket TTS weights for this layout", error, self.info.model_id
                    )
                ) from error
        self.info = replace(self.info, sample_rate=int(self._model.sample_rate), speakers=speakers)
        self._state(Voice())
        for _ in self.synthesize("Ready.", voice=Voice()):
            pass

    def synthesize(self, text: str, *, voice: Voice) -> Generator[SynthesizedAudio, None, None]:
        """Speak ``text`` in chunks of 80 ms; a sentence's marks come with its end.

        Raises NotFound for an unknown speaker, InvalidRequest for a speed other than 1.
        """
        if self._model is None:
            raise EngineError(f"The model {self.info.model_id} is not loaded.")
        if voice.speed != 1.0:
            raise InvalidRequest(f"Pocket TTS speaks at speed 1 only, not at {voice.speed:g}.")
        state = self._state(voice)
        if self._speaking:
            raise EngineError(f"The model {self.info.model_id} is speaking another text; it speaks one at a time.")
        self._speaking = True
        try:
            yield from self._speak(text, state)
        finally:
            self._speaking = False

    def unload(self) -> None:
        """Drop the model and the speakers."""
        import gc

        self._model = None
        self._states = {}
        gc.collect()  # torch modules hold cycles

    # --- voices that come and go ---

    def take_voice(self, name: str) -> None:
        """Hear a speaker that was added; later, when it speaks, while another one is speaking. Raises ConfigError."""
        self.drop_voice(name)
        if not self._speaking:
            self._state(Voice(speaker=name))

    def drop_voice(self, name: str) -> None:
        """Forget a speaker's state; whoever is speaking with it goes on."""
        self._states.pop(name, None)

    def _speak(self, text: str, state: Any) -> Generator[SynthesizedAudio, None, None]:
        position, rate = 0, self.info.sample_rate
        with closing(self._stream(text, state)) as chunks:
            for samples in chunks:
                position += len(samples)
                yield SynthesizedAudio(samples, rate)
        yield SynthesizedAudio(np.zeros(0, np.float32), rate, proportional_marks(text, words(text), 0, position))

    def _stream(self, sentence: str, state: Any) -> Generator[np.ndarray, None, None]:
        """Chunks of one sentence; closing it stops the engine's threads and waits for them."""
        stop = threading.Event()
        chunks = self._model.generate_audio_stream(state, sentence, stop=stop)
        try:
            for chunk in chunks:
                yield np.clip(chunk.detach().cpu().numpy().reshape(-1), -1.0, 1.0).astype(np.float32)
        finally:
            stop.set()
            for _ in chunks:  # at most what was already in the making
                pass

    def _state(self, voice: Voice) -> Any:
        """The state that makes the model speak as the speaker that is asked for."""
        files = self._pack.recordings()
        name = voice.speaker or self._pack.default_speaker or next(iter(files), "")
        if name not in files:
            raise NotFound(no_such_speaker(self.info.model_id, name, tuple(files)))
        if name not in self._states:
            path = self._speaker_path(name, files[name])
            try:
                self._states[name] = self._model.get_state_for_audio_prompt(path)
            except ParleyError:
                raise
            except Exception as error:  # somebody else's code: torch, safetensors and the audio reader
                raise ConfigError(unreadable(path, "a recording or a state of a voice", error, "")) from error
        return self._states[name]

    def _speaker_path(self, name: str, file: str) -> Path:
        path = self._pack.path(file)
        if not path.is_file():
            raise ConfigError(f"{path} is missing: metadata.yaml names it as the voice of the speaker {name!r}.")
        return path

    def _config(self) -> dict[str, Any]:
        """The layout with the paths of this pack's own files in it."""
        path = self._pack.find("config", self.files["config"])
        base = self._pack.options["base"]
        if path is None:
            spec = find_spec("pocket_tts")
            if spec is None or spec.origin is None:
                import_engine("pocket_tts", "pocket", "pocket-tts", "pocket")
            assert spec is not None
            assert spec.origin is not None
            path = Path(spec.origin).parent / "config" / f"{base}.yaml"
            if not base or not path.exists():
                known = ", ".join(sorted(file.stem for file in path.parent.glob("*.yaml")))
                raise ConfigError(
                    f"{self._pack.folder}: there is no config.yaml, and key 'options.base' is {base!r}; "
                    f"it must be one of {known}."
                )
        config = read_mapping(path)
        config["weights_path"] = str(self._weights())
        config.pop("weights_path_without_voice_cloning", None)
        try:
            config["flow_lm"]["lookup_table"]["tokenizer_path"] = str(
                self._pack.file("tokenizer", self.files["tokenizer"])
            )
        except (KeyError, TypeError) as error:
            raise ConfigError(f"{path} is no layout of Pocket TTS: it lacks flow_lm.lookup_table.") from error
        return config

    def _weights(self) -> Path:
        return self._pack.file("weights", self.files["weights"])

    def _set_threads(self) -> None:
        threads = self._pack.options["threads"]
        if threads:
            import torch

            torch.set_num_threads(threads)


def _dump(config: Mapping[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump(dict(config)))
