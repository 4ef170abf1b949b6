"""Kokoro voices: StyleTTS 2 with 82 M parameters on ONNX Runtime, one sentence at a time.

Engine: ``kokoro-onnx`` 0.6 (MIT; it pulls in ``phonemizer``, GPL-3.0, and espeak-ng), installed by the
extra ``kokoro``; the published weights are Apache-2.0. The engine would speak up to 510 phonemes
(half a minute) before its first sound; it is given one sentence at a time. It phonemises under
a lock of its own and infers outside it: one loaded model speaks for several sessions at a time.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from parley.errors import ConfigError, EngineError, InvalidRequest, NotFound
from parley.values import SynthesizedAudio, Voice
from parley.worker.adapters.espeak_names import voice_name
from parley.worker.adapters.loading import import_engine, in_slices, onnx_session, unreadable
from parley.worker.adapters.onnx_outputs import names, with_output
from parley.worker.pack import PackFile, PackOption, VoicePack, no_such_speaker
from parley.worker.words import Sizes, Span, grouped_marks, proportional_marks, words

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from parley.values import ModelInfo

_RATE = 24_000
_MOST_PHONEMES = 510
_LENGTHS = "/encoder/Clip_output_0"
"""The tensor of the published model that holds how long each phoneme is."""
_EARLY = 0.04
"""Seconds by which a phoneme sounds before its length says: measured on what follows a silence, 7 to 90 ms."""
_OUTPUT_NAME = "duration"
"""The output in which the engine looks for it."""
_SPOKEN = ("en-us", "en-gb", "es", "fr-fr", "hi", "it", "pt-br", "cmn", "ja", "de")
"""espeak-ng voices that the published weights were made for, and German, which they pronounce too."""
_FLAG = re.compile(r"\([^()]*\)")
"""espeak-ng says where it changes the language for a foreign word: "(en)wˈɜːld(fr)"."""
_SOUNDS = re.compile(r"\[\[([^\[\]]*)\]\]")
_SILENT = frozenset('.,;:!?…—"“”()')
_UNCOUNTED = _SILENT | frozenset(" ˈˌː")
"""Stress and length: a word has less of them in a sentence than by itself."""
_BRACKETS = str.maketrans("()", "“”")
# The first letter of a published speaker's name says which language it was made for.
_BY_PREFIX = {"a": "en-us", "b": "en-gb", "e": "es", "f": "fr-fr", "h": "hi", "i": "it", "p": "pt-br", "z": "cmn"}


@dataclass(frozen=True, slots=True)
class _Manner:
    """How one sentence is spoken."""

    style: Any
    language: str
    speed: float


class KokoroAdapter:
    """One Kokoro model with all its speakers."""

    files: ClassVar[Mapping[str, PackFile]] = {
        "model": PackFile("the model as an ONNX file", "*.onnx"),
        "voices": PackFile("the speakers' styles (a NumPy archive, published as voices-v1.0.bin)", "voices*"),
    }
    options: ClassVar[Mapping[str, PackOption]] = {
        "threads": PackOption("Threads of one inference; 0 takes one per core.", 0, ge=0, le=64),
        "alignments": PackOption(
            "Exact word marks: the published model is given an output with its phonemes' lengths.", True
        ),
        "sentence_pause": PackOption("Silence between two sentences, in seconds.", 0.25, ge=0, le=2),
        "lead_out": PackOption("Silence behind a clause and the last sentence, in seconds.", 0.08, ge=0, le=2),
    }
    concurrency: ClassVar[int] = 16
    phonemes: ClassVar[str] = "[[{}]]"
    """The bracket in which sounds may stand in a text."""

    def __init__(self, pack: VoicePack) -> None:
        self.info: ModelInfo = pack.info
        self._pack = pack = replace(pack, options=pack.filled(self.options))
        self.sentence_pause, self.lead_out = pack.options["sentence_pause"], pack.options["lead_out"]
        self._engine: Any = None
        self._pronounced: tuple[str, ...] = ()
        """All languages that it has a pronunciation for."""

    @classmethod
    def describe(cls, pack: VoicePack) -> ModelInfo:
        """The speakers' names out of the archive, as far as it can be read."""
        try:
            with zipfile.ZipFile(pack.file("voices", cls.files["voices"])) as archive:
                speakers = tuple(sorted(name.removesuffix(".npy") for name in archive.namelist()))
        except (ConfigError, OSError, zipfile.BadZipFile):
            return pack.info  # loading says what is wrong
        return replace(pack.info, sample_rate=_RATE, speakers=pack.info.speakers or speakers)

    def load(self) -> None:
        """Read the model and its speakers, and speak one word."""
        module = import_engine("kokoro_onnx", "kokoro", "kokoro-onnx", "kokoro")
        model, voices = self._pack.file("model", self.files["model"]), self._pack.file("voices", self.files["voices"])
        session = self._session(model)
        inputs = {item.name for item in session.get_inputs()}
        if not {"style", "speed"} <= inputs or not inputs & {"tokens", "input_ids"}:
            raise ConfigError(
                f"{model} is an ONNX model but no Kokoro model: its inputs are {', '.join(sorted(inputs))}; "
                "expected are tokens (or input_ids), style and speed."
            )
        try:
            engine = module.Kokoro.from_session(session, str(voices))
            with engine.voices as archive:  # read once: an open archive is neither quick nor safe for two threads
                engine.voices = {name: archive[name] for name in archive.files}
            speakers = tuple(engine.get_voices())
        except Exception as error:  # somebody else's code: NumPy raises what it likes about a broken archive
            raise ConfigError(unreadable(voices, "an archive of Kokoro styles", error, self.info.model_id)) from error
        self._engine = engine
        backend = import_engine("phonemizer.backend", "kokoro", "phonemizer", "kokoro").EspeakBackend
        self._pronounced = tuple(backend.supported_languages())
        self.info = replace(
            self.info,
            sample_rate=_RATE,
            speakers=self.info.speakers or speakers,
            word_marks="native" if engine.has_timings else "proportional",
        )
        for _ in self.synthesize("Ready.", voice=Voice()):
            pass

    def _session(self, model: Path) -> Any:
        """The model; one that computes its lengths and does not give them out is made to."""
        threads, model_id = self._pack.options["threads"], self.info.model_id
        content = _with_lengths(model) if self._pack.options["alignments"] else None
        session = onnx_session(model, threads=threads, model_id=model_id, content=content)
        session._model_path = str(model)  # the engine looks whether that file is there; of content there is none
        return session

    def synthesize(self, text: str, *, voice: Voice) -> Generator[SynthesizedAudio, None, None]:
        """Speak ``text``, a sentence. Raises NotFound (speaker), InvalidRequest (speed)."""
        engine = self._engine
        if engine is None:
            raise EngineError(f"The model {self.info.model_id} is not loaded.")
        if not 0.5 <= voice.speed <= 2.0:
            raise InvalidRequest(f"Kokoro speaks at speeds from 0.5 to 2, not at {voice.speed:g}.")
        name, style = self._style(engine, voice)
        language = _language(voice, name, self._pronounced)
        text = text.replace("\0", " ")  # espeak-ng would end there
        manner = _Manner(style, language, voice.speed)
        phonemes = " ".join(_phonemes(engine, text, language).split())
        yield from _spoken(engine, text, _pieces(phonemes), manner)

    def unload(self) -> None:
        """Drop the model; ONNX Runtime gives the memory back."""
        self._engine = None

    def spoken_language(self, voice: Voice) -> str:
        """The language that a speaker was made for."""
        return _language(Voice(), voice.speaker or self._pack.default_speaker)

    def _style(self, engine: Any, voice: Voice) -> tuple[str, Any]:
        known = engine.get_voices()
        asked = self._pack.speaker(voice)
        name = str(self._pack.speaker_ids.get(asked, asked)) if asked else known[0]
        if name not in known and asked in known:
            name = asked  # a list of speakers in the metadata numbers them; Kokoro goes by name
        if name not in known:
            raise NotFound(no_such_speaker(self.info.model_id, asked, tuple(known)))
        return name, engine.get_voice_style(name)


def _with_lengths(model: Path) -> bytes | None:
    """The published model with its phonemes' lengths as an output; None for any other, and where it has it already."""
    content = model.read_bytes()
    if not names(content, _LENGTHS) or names(content, _OUTPUT_NAME):
        return None
    return with_output(content, _LENGTHS, _OUTPUT_NAME)


def _spoken(engine: Any, text: str, pieces: Sequence[str], manner: _Manner) -> Generator[SynthesizedAudio, None, None]:
    """The phonemes of ``text`` as audio, its words dealt to the pieces by their number."""
    spans = words(text)
    taken = position = 0
    for number, piece in enumerate(pieces):
        upto = len(spans) if number == len(pieces) - 1 else round(len(spans) * (number + 1) / len(pieces))
        audio, rate, timings = engine.create_timed(
            piece, manner.style, manner.speed, is_phonemes=True, sentence_pause=0.0, clause_pause=0.0
        )
        samples = np.clip(np.ravel(audio), -1.0, 1.0).astype(np.float32)
        mine, groups = spans[taken:upto], _groups(timings, len(samples), rate)
        if groups:
            sizes = _sizes(engine, text, mine, groups, manner.language) if len(groups) != len(mine) else None
            times = [span for span, _ in groups]
            marks = grouped_marks(text, mine, times, position, sizes=sizes)
        else:
            marks = proportional_marks(text, mine, position, len(samples))
        position, taken = position + len(samples), upto
        yield from in_slices(samples, rate, marks)


def _language(voice: Voice, speaker: str, pronounced: Sequence[str] = ()) -> str:
    """The espeak-ng language: what is asked for, else the one that the speaker was made for."""
    if voice.language:
        return voice_name(_SPOKEN, voice.language) or voice_name(pronounced, voice.language) or voice.language
    return _BY_PREFIX.get(speaker[:1], "en-us") if speaker[1:3] in ("f_", "m_") else "en-us"


def _phonemes(engine: Any, sentence: str, language: str) -> str:
    """What the model is to speak. Brackets of the text become quotation marks: those that are left are flags."""
    parts = _SOUNDS.split(sentence)  # text and sounds take turns
    return "".join(
        f" {part} " if number % 2 else _phonemes_of(engine, part, language) for number, part in enumerate(parts)
    ).strip()


def _phonemes_of(engine: Any, text: str, language: str) -> str:
    if not text.strip():
        return ""
    try:
        return _FLAG.sub("", str(engine.tokenizer.phonemize(text.translate(_BRACKETS), language)))
    except RuntimeError as error:
        raise InvalidRequest(f"Kokoro has no pronunciation for the language {language!r} ({error}).") from error


def _pieces(phonemes: str) -> list[str]:
    """``phonemes`` in pieces that the model takes, cut at spaces."""
    if not phonemes:
        return []
    if len(phonemes) <= _MOST_PHONEMES:
        return [phonemes]
    cut = phonemes.rfind(" ", 1, _MOST_PHONEMES)
    cut = cut if cut > 0 else _MOST_PHONEMES
    return [phonemes[:cut], *_pieces(phonemes[cut:].strip())]


def _groups(timings: Sequence[Any], samples: int, rate: int) -> list[tuple[Span, int]]:
    """What is spoken between spaces, punctuation left out: from which sample to which, and how many sounds."""
    groups: list[tuple[Span, int]] = []
    first: float | None = None
    end, sounds = 0.0, 0
    for timing in (*timings, None):
        if timing is None or timing.phoneme == " ":
            if first is not None:
                begin = max(0.0, first - _EARLY)
                groups.append(((min(round(begin * rate), samples), min(round(end * rate), samples)), sounds))
            first, sounds = None, 0
        elif timing.phoneme not in _SILENT:
            first, end = (timing.start if first is None else first), max(0.0, timing.end - _EARLY)
            sounds += timing.phoneme not in _UNCOUNTED
    return groups


def _sizes(engine: Any, text: str, spans: Sequence[Span], groups: Sequence[tuple[Span, int]], language: str) -> Sizes:
    """How many sounds each word has by itself, and each group as it is spoken."""
    alone = [_phonemes_of(engine, text[begin:end], language) for begin, end in spans]
    return [sum(sound not in _UNCOUNTED for sound in sounds) for sounds in alone], [sounds for _, sounds in groups]
