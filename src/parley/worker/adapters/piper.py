"""Piper voices: VITS on ONNX Runtime, one sentence at a time, word marks from phoneme lengths.

Engine: ``piper-tts`` 1.8 (GPL-3.0-or-later; brings its own espeak-ng), installed by the extra
``piper``, and run in a process of its own. The voices have licences of their own. The engine phonemises
under a lock of its own; inference runs outside it, so one loaded voice could speak several texts at a time.
"""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from parley.errors import ConfigError, EngineError, InvalidRequest, NotFound
from parley.worker.adapters.loading import import_engine, in_slices, onnx_session, read_json
from parley.worker.pack import PackFile, PackOption, VoicePack, no_such_speaker
from parley.worker.words import Sizes, Span, grouped_marks, proportional_marks, words

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from parley.values import ModelInfo, SynthesizedAudio, Voice

_BREAKS = frozenset(" \n\t")
_SILENT = frozenset("^$_.,;:!?¡¿…—–-\"'«»“”()")
_UNCOUNTED = _BREAKS | _SILENT | frozenset("ˈˌː")


class PiperAdapter:
    """One Piper voice."""

    files: ClassVar[Mapping[str, PackFile]] = {
        "model": PackFile("the voice as an ONNX file", "*.onnx"),
        "config": PackFile("the voice's JSON (sample rate, phoneme ids, speakers)", "*.onnx.json"),
    }
    options: ClassVar[Mapping[str, PackOption]] = {
        "threads": PackOption("Threads of one inference; 0 takes one per core.", 0, ge=0, le=64),
        "noise_scale": PackOption("How much the voice varies; -1 keeps the voice's own value.", -1.0, ge=-1, le=2),
        "noise_w": PackOption("How much the rhythm varies; -1 keeps the voice's own value.", -1.0, ge=-1, le=2),
        "alignments": PackOption(
            "Exact word marks: the model is given an output with phoneme lengths when it has none.", True
        ),
    }
    concurrency: ClassVar[int] = 16
    phonemes: ClassVar[str] = "[[{}]]"
    """The bracket in which the engine takes sounds."""

    def __init__(self, pack: VoicePack) -> None:
        self.info: ModelInfo = pack.info
        self._pack = pack = replace(pack, options=pack.filled(self.options))
        self._voice: Any = None
        self._settings: Any = None

    @classmethod
    def describe(cls, pack: VoicePack) -> ModelInfo:
        """Rate and speakers out of the voice's JSON, as far as it can be read."""
        try:
            data = json.loads(pack.file("config", cls.files["config"]).read_text("utf-8"))
            speakers = tuple(data.get("speaker_id_map") or ())
            rate = int(data["audio"]["sample_rate"])
        except (ConfigError, OSError, ValueError, KeyError, TypeError, AttributeError):
            return pack.info  # loading says what is wrong
        return replace(pack.info, sample_rate=rate, speakers=pack.info.speakers or speakers)

    def load(self) -> None:
        """Read the voice and speak one word, so that the first real one is not slower."""
        piper = import_engine("piper", "piper", "piper-tts", "piper")
        model, config = self._pack.file("model", self.files["model"]), self._pack.file("config", self.files["config"])
        data = read_json(config, "a Piper voice's JSON", self.info.model_id)
        try:
            voice_config = piper.PiperConfig.from_dict(data)
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{config} is not a Piper voice's JSON: {type(error).__name__} {error}; it belongs to the ONNX file "
                "beside it and is published with it."
            ) from error
        content = _with_alignments(model) if self._pack.options["alignments"] else None
        session = onnx_session(
            model, threads=self._pack.options["threads"], model_id=self.info.model_id, content=content
        )
        self._check_inputs(session, model, voice_config)
        self._settings = piper.SynthesisConfig
        self._voice = piper.PiperVoice(session=session, config=voice_config)
        self.info = replace(
            self.info,
            sample_rate=voice_config.sample_rate,
            speakers=self.info.speakers or tuple(voice_config.speaker_id_map),
            word_marks="native" if len(session.get_outputs()) > 1 else "proportional",
        )
        self._warm_up()

    def synthesize(self, text: str, *, voice: Voice) -> Generator[SynthesizedAudio, None, None]:
        """Speak ``text``, a sentence. Raises NotFound for an unknown speaker."""
        engine = self._voice
        if engine is None:
            raise EngineError(f"The voice {self.info.model_id} is not loaded.")
        settings = self._settings_for(voice)
        text = text.replace("\0", " ")  # espeak-ng would end there
        parts = [part for part in engine.phonemize(text) if part]
        shares = _shared(words(text), [_groups(part) for part in parts])
        position = 0
        for part, mine in zip(parts, shares, strict=True):
            ids = engine.phonemes_to_ids(part)
            audio, lengths = engine.phoneme_ids_to_audio(ids, settings, include_alignments=True)
            samples = np.clip(np.atleast_1d(audio), -1.0, 1.0).astype(np.float32)
            groups = (
                [] if lengths is None else _group_samples(part, lengths, engine.config.phoneme_id_map, len(samples))
            )
            if groups:
                sizes = _sizes(engine, text, mine, part) if len(groups) != len(mine) else None
                marks = grouped_marks(text, mine, groups, position, sizes=sizes)
            else:
                marks = proportional_marks(text, mine, position, len(samples))
            position += len(samples)
            yield from in_slices(samples, engine.config.sample_rate, marks)

    def unload(self) -> None:
        """Drop the voice; ONNX Runtime gives the memory back."""
        self._voice = None

    def _settings_for(self, voice: Voice) -> Any:
        config, options = self._voice.config, self._pack.options
        noise, noise_w = options["noise_scale"], options["noise_w"]
        if voice.speed <= 0:
            raise InvalidRequest(f"The speed {voice.speed:g} is not above 0.")
        return self._settings(
            speaker_id=self._speaker_id(voice),
            length_scale=config.length_scale / voice.speed,
            noise_scale=noise if noise >= 0 else None,
            noise_w_scale=noise_w if noise_w >= 0 else None,
        )

    def _speaker_id(self, voice: Voice) -> int | None:
        config = self._voice.config
        name = self._pack.speaker(voice)
        known = dict(config.speaker_id_map) | dict(self._pack.speaker_ids)
        if not name:
            return None
        if name in known:
            return int(known[name])
        if name.isdecimal() and int(name) < config.num_speakers:
            return int(name)
        raise NotFound(no_such_speaker(self.info.model_id, name, tuple(known)))

    def _check_inputs(self, session: Any, model: Any, config: Any) -> None:
        names = {item.name for item in session.get_inputs()}
        wanted = {"input", "input_lengths", "scales"} | ({"sid"} if config.num_speakers > 1 else set())
        if not wanted <= names:
            raise ConfigError(
                f"{model} is an ONNX model but no Piper voice: it lacks the inputs {', '.join(sorted(wanted - names))}."
            )

    def _warm_up(self) -> None:
        from parley.values import Voice

        try:
            for _ in self.synthesize("Ready.", voice=Voice()):
                pass
        except Exception as error:  # somebody else's code: whatever the engine raises here is about the files
            self._voice = None
            raise ConfigError(
                f"{self._pack.folder}: the voice loads but does not speak ({error}); "
                "its ONNX file and its JSON may not belong together."
            ) from error


def _with_alignments(model: Any) -> bytes | None:
    """The model with its phoneme lengths as an output; None when it has one already or offers none."""
    if find_spec("onnx") is None:
        return None
    import onnx
    from google.protobuf.message import DecodeError
    from piper.patch_voice_with_alignment import add_alignment_output

    try:
        graph = onnx.load(str(model))
        if len(graph.graph.output) > 1:
            return None
        add_alignment_output(graph)
    except (ValueError, DecodeError):
        return None  # onnxruntime says what is wrong with the file, if anything is
    return bytes(graph.SerializeToString())


def _sizes(engine: Any, text: str, spans: Sequence[Span], phonemes: Sequence[str]) -> Sizes:
    """How many sounds each word has by itself, and each group as it is spoken."""
    alone = [sum(_sounds(part) for part in engine.phonemize(text[begin:end])) for begin, end in spans]
    return alone, [_sounds(phonemes[begin:end]) for begin, end in _spans_of_groups(phonemes)]


def _sounds(phonemes: Sequence[str]) -> int:
    """Stress and length are not counted: a word has less of them in a sentence than by itself."""
    return sum(phoneme not in _UNCOUNTED for phoneme in phonemes)


def _groups(phonemes: Sequence[str]) -> int:
    """Number of groups of sounding phonemes between spaces."""
    return sum(1 for _ in _spans_of_groups(phonemes))


def _spans_of_groups(phonemes: Sequence[str]) -> list[Span]:
    """Index spans of what is spoken between spaces, punctuation left out."""
    spans: list[Span] = []
    first = last = -1
    for i, phoneme in enumerate([*phonemes, " "]):
        if phoneme in _BREAKS:
            if first >= 0:
                spans.append((first, last + 1))
            first = -1
        elif phoneme not in _SILENT:
            first, last = (i if first < 0 else first), i
    return spans


def _group_samples(
    phonemes: Sequence[str], lengths: Any, id_map: Mapping[str, Sequence[int]], samples: int
) -> list[Span]:
    """Sample spans of the groups, from samples per phoneme id; empty when they do not fit together."""
    pad = len(id_map.get("_", ()))
    counts = [len(id_map.get("^", ())) + pad, *(len(id_map[p]) + pad if p in id_map else 0 for p in phonemes)]
    edges = np.concatenate([[0], np.cumsum(np.asarray(lengths, np.int64))])
    at = np.concatenate([[0], np.cumsum(counts)])
    if at[-1] >= len(edges):
        return []
    sample = np.minimum(edges[at], samples)
    return [(int(sample[a + 1]), int(sample[b + 1])) for a, b in _spans_of_groups(phonemes)]


def _shared(spans: Sequence[Span], groups: Sequence[int]) -> list[Sequence[Span]]:
    """Deal the words of a sentence to the parts that the engine cut it into, by their groups."""
    total, out, taken, seen = sum(groups), [], 0, 0
    for count in groups:
        seen += count
        upto = len(spans) if seen == total else round(len(spans) * seen / total)
        out.append(spans[taken:upto])
        taken = upto
    return out
