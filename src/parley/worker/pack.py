"""What a voice pack is: the values between ``metadata.yaml`` and an adapter.

A family's adapter class receives a :class:`VoicePack` and declares, as class attributes, the
files and options it understands (:class:`PackFile`, :class:`PackOption`); reading a pack checks
them, so a typo is named before an engine is started.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Protocol

from parley.errors import ConfigError, NotFound
from parley.hints import command

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from parley.interfaces import TtsAdapter
    from parley.values import ModelInfo, Voice, WordMarks

REFERENCE = "reference"
"""Name of the speaker that a pack's reference recording makes."""
VOICES = "voices"
"""In a pack: recordings that were added as speakers while it was in use, each with its text and its consent."""
VOICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class PackFile:
    """One file that a family reads from a pack's folder."""

    doc: str
    """What it holds."""
    pattern: str
    """File name or glob inside the pack's folder, used when ``files`` does not name it."""
    required: bool = True


@dataclass(frozen=True, slots=True)
class PackOption:
    """One key of a family's ``options``."""

    doc: str
    """The effect, in one sentence."""
    default: Any
    """Its type is the type that is accepted."""
    ge: float | None = None
    le: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VoicePack:
    """One model of the catalog, ready to be given to its family's adapter. Can be pickled."""

    info: ModelInfo
    folder: Path | None = None
    """Where its files are; None for a model that is built in."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Role to path, relative to the folder, as far as the metadata names them."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Checked against the family's declaration, defaults filled in."""
    speaker_ids: Mapping[str, int | str] = field(default_factory=dict)
    """A speaker's public name to the engine's own number or name."""
    default_speaker: str = ""
    reference_audio: str = ""
    """Path of a recording of the voice to clone, relative to the folder."""
    reference_text: str = ""
    """What is said in it."""
    lexicon: Mapping[str, str] = field(default_factory=dict)
    """Words and how this voice is to say them."""

    def filled(self, declared: Mapping[str, PackOption]) -> dict[str, Any]:
        """Every option of the family: what the pack says, else the family's default."""
        return {name: option.default for name, option in declared.items()} | dict(self.options)

    @property
    def model_id(self) -> str:
        return self.info.model_id

    def path(self, relative: str) -> Path:
        """``relative`` inside the pack's folder. Raises ConfigError when it leaves the folder."""
        if self.folder is None:
            raise ConfigError(f"The model {self.model_id} is built in and has no files.")
        path = (self.folder / relative).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise ConfigError(
                f"{self.folder}/metadata.yaml: {relative!r} points outside the pack's folder; move the file into it."
            )
        return path

    def file(self, role: str, declared: PackFile) -> Path:
        """The path of one file. Raises ConfigError that says which file, what it holds and how to get it."""
        found = self.find(role, declared)
        if found is not None:
            return found
        expected = self.files.get(role, declared.pattern)
        raise ConfigError(
            f"{self.folder}/{expected} is missing: the family {self.info.family} expects {declared.doc} there. "
            f"Put it there, name it as '{role}' under 'files' in {self.folder}/metadata.yaml, "
            f"or fetch the voice again with `{command(f'models pull {self.model_id}')}`."
        )

    def find(self, role: str, declared: PackFile) -> Path | None:
        """The path of one file, None when it is not there. Raises ConfigError when several match."""
        if self.folder is None:
            return None
        if role in self.files:
            path = self.path(self.files[role])
            return path if path.exists() else None
        matches = sorted(path for path in self.folder.glob(declared.pattern) if not path.name.startswith("."))
        if len(matches) > 1:
            names = ", ".join(path.name for path in matches)
            raise ConfigError(
                f"{self.folder}: several files could be the {role} ({names}); "
                f"say which under 'files: {{{role}: ...}}' in metadata.yaml."
            )
        return matches[0] if matches else None

    def reference(self) -> Path | None:
        """The reference recording, None when the pack has none. Raises ConfigError when it is named but missing."""
        if not self.reference_audio:
            return None
        path = self.path(self.reference_audio)
        if not path.exists():
            raise ConfigError(
                f"{path} is missing: metadata.yaml names it as 'reference.audio', the recording of the voice to clone. "
                "Put a clean WAV of 5 to 30 seconds there."
            )
        return path

    def added(self) -> dict[str, str]:
        """Speakers that were added as recordings, to their files, as they are on the disk now."""
        if self.folder is None:
            return {}
        found = sorted((self.folder / VOICES).glob("*.wav"))
        return {path.stem: f"{VOICES}/{path.name}" for path in found if VOICE_NAME.fullmatch(path.stem)}

    def recordings(self) -> dict[str, str]:
        """Every speaker that is a file, to that file: the reference, those of the metadata, those that were added."""
        own = {name: file for name, file in self.speaker_ids.items() if isinstance(file, str)}
        reference = {REFERENCE: self.reference_audio} if self.reference_audio else {}
        added = {name: file for name, file in self.added().items() if name not in {*reference, *own}}
        return {**reference, **own, **added}

    def speaker(self, voice: Voice) -> str:
        """The speaker that ``voice`` asks for, or the pack's default. Raises NotFound with the names there are."""
        name = voice.speaker or self.default_speaker
        if voice.speaker and self.info.speakers and voice.speaker not in self.info.speakers:
            raise NotFound(no_such_speaker(self.model_id, voice.speaker, self.info.speakers))
        return name


def no_such_speaker(model_id: str, asked: str, speakers: tuple[str, ...]) -> str:
    """The sentence that refuses a speaker."""
    if not speakers:
        return f"The model {model_id} has one speaker and knows none called {asked!r}; leave the speaker empty."
    some = ", ".join(speakers[:12]) + (f" and {len(speakers) - 12} more" if len(speakers) > 12 else "")
    return f"The model {model_id} has no speaker {asked!r}; it has {some}."


class AdapterFactory(Protocol):
    """What a family gives: its adapter class. Called with a pack; must be quick and import nothing heavy."""

    @property
    def files(self) -> Mapping[str, PackFile]:
        """Role to file; empty for a family without files. A class attribute."""

    @property
    def options(self) -> Mapping[str, PackOption]:
        """Name to option; empty for none. A class attribute."""

    def __call__(self, pack: VoicePack) -> TtsAdapter: ...


@dataclass(frozen=True, slots=True)
class Traits:
    """What an adapter or its class says of itself, where the default is wrong: an attribute of the same name."""

    concurrency: int = 1
    """Texts that one loaded model speaks in turns."""
    slots: int = 1
    """Engines that a worker runs at least: one a request, where each only waits for a network."""
    isolated: bool = False
    """Run it in a process of its own."""
    calibrated: bool = False
    """Its loudness is right as it comes."""
    word_marks: WordMarks = "proportional"
    phonemes: str = ""
    """The bracket in which it takes IPA inside a text, such as ``[[{}]]``; empty where it takes none."""
    verbatim: bool = False
    """It speaks text as it stands."""
    open_speakers: bool = False
    """A pack that lists no speakers takes any name."""
    sentence_pause: float = 0.0
    """Seconds of silence that the worker puts between sentences."""
    lead_out: float = 0.0
    """Seconds of silence that it puts behind clauses and the last sentence."""
    describe: Callable[[VoicePack], ModelInfo] | None = None
    """Adds what the pack's files say (speakers, rate): quick, never raises for broken files, imports nothing heavy."""
    spoken_language: Callable[[Voice], str] | None = None
    """The language of a voice that names none, where it is not the pack's first one."""


def traits_of(adapter: object) -> Traits:
    """The traits of an adapter or of a family's class."""
    known = {item.name: getattr(adapter, item.name) for item in fields(Traits) if hasattr(adapter, item.name)}
    return Traits(**known)
