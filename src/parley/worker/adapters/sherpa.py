"""Voices that sherpa-onnx runs: VITS (Piper, MeloTTS, Coqui, icefall), Matcha, Kokoro, Kitten.

Engine: ``sherpa-onnx`` 2 (Apache-2.0), installed by the extra ``sherpa``. Models without a lexicon need
phonemes; they come from the espeak-ng inside ``piper-tts`` (GPL-3.0-or-later), which the extra installs
too. A file that the engine does not like makes it exit its process, without an exception: this
family therefore always runs in a process of its own, and its files are looked at before the
engine sees them. One sentence at a time.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from parley.errors import ConfigError, EngineError, InvalidRequest, NotFound
from parley.values import SynthesizedAudio, Voice
from parley.worker.adapters.espeak_names import voice_name
from parley.worker.adapters.loading import import_engine, in_slices, onnx_session
from parley.worker.pack import PackFile, PackOption, VoicePack, no_such_speaker
from parley.worker.words import proportional_marks, words

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from parley.values import ModelInfo

_NEEDS: Mapping[str, tuple[str, ...]] = {
    "vits": ("model", "tokens"),
    "matcha": ("model", "vocoder", "tokens"),
    "kokoro": ("model", "voices", "tokens"),
    "kitten": ("model", "voices", "tokens"),
}
_METADATA: Mapping[str, tuple[str, ...]] = {
    "vits": ("n_speakers", "sample_rate"),
    "matcha": ("n_speakers",),
    "kokoro": ("sample_rate",),
    "kitten": ("sample_rate",),
}


class SherpaAdapter:
    """One model of sherpa-onnx."""

    files: ClassVar[Mapping[str, PackFile]] = {
        "model": PackFile("the model as an ONNX file with sherpa-onnx's metadata", "model*.onnx"),
        "tokens": PackFile("the symbols, one 'symbol id' a line", "tokens.txt"),
        "lexicon": PackFile("pronunciations, one word a line", "lexicon*.txt", required=False),
        "voices": PackFile("the speakers' styles of Kokoro and Kitten", "voices*.bin", required=False),
        "vocoder": PackFile("the vocoder of Matcha as an ONNX file", "voc*.onnx", required=False),
    }
    options: ClassVar[Mapping[str, PackOption]] = {
        "type": PackOption("Architecture of the model.", "vits", choices=tuple(_NEEDS)),
        "threads": PackOption("Threads of one inference.", 2, ge=1, le=64),
        "phonemes": PackOption(
            "Who turns text into symbols: the model's lexicon or espeak-ng; auto takes a lexicon where there is one.",
            "auto",
            choices=("auto", "lexicon", "espeak"),
        ),
        "espeak_voice": PackOption("espeak-ng voice for the phonemes; empty takes the pack's first language.", ""),
        "sentence_pause": PackOption("Silence between two sentences, in seconds.", 0.2, ge=0, le=2),
    }
    open_speakers: ClassVar[bool] = True
    """How many it has stands in the weights: before they are read, a number may be right."""
    concurrency: ClassVar[int] = 16
    isolated: ClassVar[bool] = True

    def __init__(self, pack: VoicePack) -> None:
        self.info: ModelInfo = pack.info
        self._pack = pack = replace(pack, options=pack.filled(self.options))
        self.sentence_pause = pack.options["sentence_pause"]
        self._engine: Any = None
        self._phonemizer: Any = None
        self._espeak_voices: tuple[str, ...] = ()

    def load(self) -> None:
        """Look at the files, read the model and speak one word."""
        sherpa = import_engine("sherpa_onnx", "sherpa", "sherpa-onnx", "sherpa")
        kind = self._pack.options["type"]
        paths = {role: self._pack.file(role, self.files[role]) for role in _NEEDS[kind]}
        lexicon = self._pack.find("lexicon", self.files["lexicon"])
        _check_model(paths["model"], kind, self.info.model_id)
        _check_tokens(paths["tokens"])
        if "vocoder" in paths:
            onnx_session(paths["vocoder"], model_id=self.info.model_id)
        config = self._config(sherpa, kind, paths, lexicon)
        self._engine = sherpa.OfflineTts(config)
        how = self._pack.options["phonemes"]
        if how == "espeak" or (how == "auto" and lexicon is None):
            phonemizer = import_engine("piper.phonemize_espeak", "sherpa", "piper-tts", "sherpa")
            self._phonemizer = phonemizer.EspeakPhonemizer()
            languages = Path(phonemizer.ESPEAK_DATA_DIR, "lang").rglob("*")
            self._espeak_voices = tuple(path.name for path in languages if path.is_file())
        self.info = replace(
            self.info,
            sample_rate=self._engine.sample_rate,
            speakers=self.info.speakers or _numbers(self._engine.num_speakers),
        )
        for _ in self.synthesize("Ready.", voice=Voice()):
            pass

    def synthesize(self, text: str, *, voice: Voice) -> Generator[SynthesizedAudio, None, None]:
        """Speak ``text``, a sentence. Raises NotFound for an unknown speaker."""
        engine = self._engine
        if engine is None:
            raise EngineError(f"The model {self.info.model_id} is not loaded.")
        if voice.speed <= 0:
            raise InvalidRequest(f"The speed {voice.speed:g} is not above 0.")
        speaker = self._speaker_id(voice)
        text = text.replace("\0", " ")  # C strings end there
        samples = self._speak(engine, text, speaker, voice)
        if samples is not None:
            yield from in_slices(samples, engine.sample_rate, proportional_marks(text, words(text), 0, len(samples)))

    def unload(self) -> None:
        """Drop the model; its process gives the rest of the memory back."""
        self._engine = self._phonemizer = None

    def _speak(self, engine: Any, sentence: str, speaker: int, voice: Voice) -> Any:
        import sherpa_onnx

        settings = sherpa_onnx.GenerationConfig()
        settings.sid, settings.speed = speaker, voice.speed
        if self._phonemizer is not None:
            lines = self._phonemizer.phonemize(self._espeak_voice(voice), sentence)
            settings.phoneme_codepoints = [[ord(c) for part in line for c in part] for line in lines if line]
            if not settings.phoneme_codepoints:
                return None
            sentence = ""
        audio = engine.generate(sentence, settings)
        samples = np.asarray(audio.samples, np.float32)
        return np.clip(samples, -1.0, 1.0) if len(samples) else None

    def _espeak_voice(self, voice: Voice) -> str:
        named = str(self._pack.options["espeak_voice"])
        if named:
            return named
        tag = voice.language or self.info.languages[0]
        name = voice_name(self._espeak_voices, tag)
        if name is None:
            raise InvalidRequest(f"espeak-ng, which phonemises for {self.info.model_id}, has no language {tag!r}.")
        return name

    def _speaker_id(self, voice: Voice) -> int:
        name = self._pack.speaker(voice)
        if not name:
            return 0
        number = self._pack.speaker_ids.get(name, name)
        if str(number).isdecimal() and int(number) < max(1, self._engine.num_speakers):
            return int(number)
        raise NotFound(no_such_speaker(self.info.model_id, name, self.info.speakers))

    def _config(self, sherpa: Any, kind: str, paths: Mapping[str, Path], lexicon: Path | None) -> Any:
        named = {"acoustic_model" if kind == "matcha" and role == "model" else role: str(path)
                 for role, path in paths.items()}  # fmt: skip
        if lexicon is not None:
            named["lexicon"] = str(lexicon)
        classes = {
            "vits": sherpa.OfflineTtsVitsModelConfig,
            "matcha": sherpa.OfflineTtsMatchaModelConfig,
            "kokoro": sherpa.OfflineTtsKokoroModelConfig,
            "kitten": sherpa.OfflineTtsKittenModelConfig,
        }
        model = sherpa.OfflineTtsModelConfig(num_threads=self._pack.options["threads"])
        setattr(model, kind, classes[kind](**named))
        folder = paths["model"].parent
        rules = ",".join(str(path) for path in sorted(folder.glob("*.fst")))
        return sherpa.OfflineTtsConfig(model=model, rule_fsts=rules, max_num_sentences=1)


def _numbers(speakers: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(speakers)) if speakers > 1 else ()


def _check_model(path: Path, kind: str, model_id: str) -> None:
    """Raise ConfigError for what would make the engine exit: no ONNX, or not sherpa-onnx's own."""
    session = onnx_session(path, model_id=model_id)
    metadata = session.get_modelmeta().custom_metadata_map
    missing = [key for key in _METADATA[kind] if key not in metadata]
    if missing:
        raise ConfigError(
            f"{path} is an ONNX model but not one for sherpa-onnx's type {kind}: "
            f"its metadata lacks {', '.join(missing)}. Take the model that the sherpa-onnx project publishes, "
            "or say another 'options.type'."
        )


def _check_tokens(path: Path) -> None:
    for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
        fields = line.split()
        if line and (not fields or not fields[-1].isdecimal() or len(fields) > 2):
            raise ConfigError(f"{path}: line {number} is {line!r}; each line must be 'symbol id'.")
