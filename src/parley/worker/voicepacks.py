"""The catalog of a worker: voice packs on disk, known downloadable voices, built-in models.

A pack is a folder ``voicepacks/<family>/<model_id>/`` with a ``metadata.yaml``. Reading a pack
imports no engine and opens no weights. A pack with a mistake does not hide the others: it is
listed with its problem, and loading it says the file, the key, the value and what is allowed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from parley.environments import EngineSettings, Environments, open_environments
from parley.errors import ConfigError, NotFound
from parley.hints import command
from parley.interfaces import TtsAdapter
from parley.store.catalog import Catalog as KnownModels
from parley.text.languages import speaks
from parley.values import CLONING, ModelInfo, split_lora, with_lora
from parley.worker import adapters
from parley.worker.adapters import espeak as espeak_voices
from parley.worker.adapters.peft_files import CONFIG
from parley.worker.known_voices import read_known_voices
from parley.worker.metadata import MODEL_ID, read_pack
from parley.worker.pack import VOICES, PackFile, PackOption, VoicePack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Catalog", "Changes", "PackFile", "PackOption", "VoicePack", "VoicePackCatalog", "builtin_models"]

METADATA = "metadata.yaml"
LORAS = "loras"
"""In a pack: its LoRAs, each a folder."""
Fingerprint = tuple[tuple[str, int, int], ...]
AUTO = "auto"
"""In place of a model: the best that is here."""
EMBEDDED = "espeak"


class Catalog(Protocol):
    """What the model manager needs to know about models."""

    def models(self) -> list[ModelInfo]:
        """All usable models, sorted by id."""

    def resolve(self, name: str) -> str:
        """The model id behind an id or an alias. Raises NotFound that lists what there is."""

    def best(self, language: str) -> str:
        """The model that speaks where nobody names one: the best that is here for a language (empty: any)."""

    def create(self, model_id: str) -> TtsAdapter:
        """A fresh adapter, not loaded. Raises NotFound, or ConfigError when its pack has a mistake."""

    def isolated(self, model_id: str) -> bool:
        """True when the model's engine must run in a process of its own."""

    def interpreter(self, model_id: str) -> str:
        """The Python of the environment that the model's library lives in; empty for this one.

        Raises ConfigError with the command that makes the environment where it is missing.
        """

    def lora(self, name: str) -> Path:
        """The folder of the LoRA behind an id such as "csm-1b+anna". Raises NotFound."""

    def lexicon(self, model_id: str) -> Mapping[str, str]:
        """Words and how the model's pack wants them said."""

    def pack(self, name: str) -> VoicePack:
        """The pack of a model. Raises NotFound, or the ConfigError that its metadata deserves."""

    def broken(self) -> list[tuple[ModelInfo, ConfigError]]:
        """Models that cannot be used, as far as they are known, and why."""

    @property
    def pins(self) -> frozenset[str]:
        """Models that must never be evicted."""

    def fingerprints(self) -> Mapping[str, Fingerprint]:
        """Names, sizes and times of each model's files, as of the last :meth:`refresh`."""

    def refresh(self) -> object:
        """Look again at what there is; called on a thread."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a look at the disk found."""

    added: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


@dataclass(slots=True)
class _Entry:
    family: str
    pack: VoicePack | None
    problem: ConfigError | None = None
    fingerprint: tuple[tuple[str, int, int], ...] = ()
    voices: tuple[tuple[str, int, int], ...] = ()
    """The same of the recordings that were added, for which no model is read again."""


def builtin_models() -> tuple[VoicePack, ...]:
    """The models that need no files: test tones and the embedded voice."""
    espeak = ModelInfo(
        "espeak",
        "espeak",
        languages=espeak_voices.LANGUAGES,
        sample_rate=22_050,
        speakers=espeak_voices.SPEAKERS,
        tags=("cpu_ok", "embedded"),
        licence="GPL-3.0-or-later",
        memory_bytes=60_000_000,
        word_marks="native",
    )
    return (
        VoicePack(_tone("tone")),
        VoicePack(_tone("tone-paced"), options={"pace": 1.0}),
        VoicePack(_tone("tone-words"), options={"words": True}),
        VoicePack(_tone("tone-words-paced"), options={"words": True, "pace": 1.0}),
        VoicePack(espeak),
    )


def _tone(model_id: str) -> ModelInfo:
    return ModelInfo(
        model_id,
        "tone",
        languages=("und",),
        tags=("test", "cpu_ok"),
        licence="MIT",
        memory_bytes=1_000_000,
        word_marks="native",
        concurrency=256,
    )


@dataclass(slots=True)
class VoicePackCatalog:
    """Models from one or more ``voicepacks`` folders, with aliases and pins from ``model_catalog.yaml``."""

    roots: tuple[Path, ...] = ()
    """Folders that hold ``<family>/<model_id>/``; one that does not exist is empty."""
    builtins: Iterable[VoicePack] = field(default_factory=builtin_models)
    loras: tuple[Path, ...] = ()
    """Folders of LoRAs for every model that takes them, besides those in the packs."""
    environments: Environments = field(default_factory=lambda: open_environments(EngineSettings()))
    """Where the libraries live that can not be here."""
    cloning: bool = False
    """Whether recordings of people are taken as speakers of models whose family clones."""
    known: KnownModels = field(default_factory=KnownModels)
    """Aliases, pins and downloadable voices; read from the roots by :meth:`refresh`."""
    _entries: dict[str, _Entry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.refresh()

    def models(self) -> list[ModelInfo]:
        """All usable models, sorted by id."""
        return sorted((e.pack.info for e in self._entries.values() if e.pack), key=lambda info: info.model_id)

    def problems(self) -> dict[str, ConfigError]:
        """Packs that can not be used, by model id, and why."""
        return {model_id: e.problem for model_id, e in sorted(self._entries.items()) if e.problem}

    def broken(self) -> list[tuple[ModelInfo, ConfigError]]:
        """The same with what is known of each model: its id and its family."""
        return [
            (ModelInfo(model_id, self._entries[model_id].family, languages=()), problem)
            for model_id, problem in self.problems().items()
        ]

    def resolve(self, name: str) -> str:
        """The model id behind an id or an alias. Raises NotFound that lists what there is."""
        base, lora = split_lora(name)
        model_id = with_lora(self.known.aliases.get(base, base), lora)
        if model_id in self._entries:
            return model_id
        if name == AUTO:
            return self.best("")
        if lora and self.known.aliases.get(base, base) in self._entries:
            raise NotFound(_no_such_lora(self.known.aliases.get(base, base), lora, self._entries))
        there = ", ".join(sorted(self._entries)) or "none"
        if model_id in self.known.of_kind("voice"):
            raise NotFound(
                f"The model {model_id} is not on this worker; fetch it with `{command(f'models pull {model_id}')}`. "
                f"There are {there}."
            )
        places = ", ".join(str(root) for root in self.roots) or "no folder"
        raise NotFound(f"There is no model called {name!r}; there are {there} (voice packs are read from {places}).")

    def best(self, language: str) -> str:
        """The fetched voice that the catalog prefers for a language, where its engine is here; else the embedded one.

        Voices that need a GPU, and packs that the catalog does not know, speak when they are named.
        """
        for model_id in self.known.of_kind("voice"):
            entry = self._entries.get(model_id)
            if entry is None or entry.pack is None or entry.pack.info.needs_gpu:
                continue
            if self._is_here(entry.family) and speaks(entry.pack.info.languages, language):
                return model_id
        return EMBEDDED

    def _is_here(self, name: str) -> bool:
        """Whether the library of a family is on this machine."""
        apart = adapters.family(name).environment
        return self.environments.usable(apart) if apart else adapters.installed(name)

    def pack(self, name: str) -> VoicePack:
        """The pack of a model. Raises NotFound, or the ConfigError that its metadata deserves."""
        entry = self._entries[self.resolve(name)]
        if entry.pack is None:
            assert entry.problem is not None
            raise entry.problem
        return entry.pack

    def folder(self, model_id: str) -> Path | None:
        """Where a pack lies; None for what is built in and what is not here."""
        entry = self._entries.get(model_id)
        return Path(entry.fingerprint[0][0]) if entry is not None and entry.fingerprint else None

    def create(self, model_id: str) -> TtsAdapter:
        """A fresh adapter, not loaded. Raises NotFound, or ConfigError when its pack has a mistake."""
        pack = self.pack(model_id)
        adapter: TtsAdapter = adapters.adapter_class(pack.info.family)(pack)
        return adapter

    def isolated(self, model_id: str) -> bool:
        """True when the model's engine must run in a process of its own."""
        return adapters.family(self.pack(model_id).info.family).isolated

    def interpreter(self, model_id: str) -> str:
        """The Python of the environment that the model's library lives in; empty for this one. ConfigError."""
        apart = adapters.family(self.pack(model_id).info.family).environment
        return self.environments.interpreter(apart) if apart else ""

    def lora(self, name: str) -> Path:
        """The folder of the LoRA behind an id such as "csm-1b+anna". Raises NotFound."""
        folder = self.folder(self.resolve(name))
        assert folder is not None
        return folder

    def lexicon(self, model_id: str) -> Mapping[str, str]:
        """Words and how the model's pack wants them said."""
        return self.pack(model_id).lexicon

    @property
    def pins(self) -> frozenset[str]:
        """Models that ``model_catalog.yaml`` says must never be evicted."""
        return frozenset(self.known.pins)

    def fingerprints(self) -> dict[str, tuple[tuple[str, int, int], ...]]:
        """Names, sizes and times of each model's files, as of the last :meth:`refresh`."""
        return {model_id: entry.fingerprint for model_id, entry in self._entries.items()}

    def refresh(self) -> Changes:
        """Look at the disk again. Returns what was added, changed (any file of the pack) or removed."""
        before = self._entries
        known = read_known_voices(self.roots)
        after = {pack.model_id: _Entry(pack.info.family, pack) for pack in self.builtins}
        for root in self.roots:
            _scan(root, before, after)
        if self.cloning:
            _tag_cloners(after)
        after |= _with_loras(after, self.loras)
        self.known, self._entries = known, after  # at once: others may be reading on another thread
        kept = before.keys() & after.keys()
        return Changes(
            added=frozenset(after.keys() - before.keys()),
            changed=frozenset(m for m in kept if before[m].fingerprint != after[m].fingerprint),
            removed=frozenset(before.keys() - after.keys()),
        )


def _scan(root: Path, before: Mapping[str, _Entry], after: dict[str, _Entry]) -> None:
    """Add the packs under ``root`` to ``after``."""
    for folder in sorted(root.glob("*/*/")):
        if folder.name.startswith((".", "_")) or folder.parent.name.startswith((".", "_")):
            continue
        entry = _read(folder, before.get(folder.name))
        twin = after.get(folder.name)
        if twin is None:
            after[folder.name] = entry
            continue
        problem = ConfigError(
            f"{folder}: the model id {folder.name!r} is taken by the family {twin.family}; rename the folder."
        )
        after[f"{folder.parent.name}/{folder.name}"] = _Entry(entry.family, None, problem, entry.fingerprint)


def _tag_cloners(entries: Mapping[str, _Entry]) -> None:
    """Say of the models whose family clones that they do."""
    for entry in entries.values():
        pack = entry.pack
        if pack is None or pack.folder is None or not hasattr(adapters.adapter_class(entry.family), "take_voice"):
            continue
        tags = tuple(dict.fromkeys((*pack.info.tags, CLONING)))
        entry.pack = replace(pack, info=replace(pack.info, tags=tags))


def _with_loras(entries: Mapping[str, _Entry], shared: Iterable[Path]) -> dict[str, _Entry]:
    """The LoRAs of each model that takes them, as models of their own."""
    found = {}
    for model_id, entry in entries.items():
        if entry.pack is None or entry.pack.folder is None or not entry.pack.info.supports_lora:
            continue
        for name, folder in lora_folders((entry.pack.folder / LORAS, *shared)).items():
            variant = with_lora(model_id, name)
            prints = _fingerprint(folder)
            tags = tuple(dict.fromkeys((*entry.pack.info.tags, "lora")))
            size = sum(each for _, each, _ in prints)
            info = replace(entry.pack.info, model_id=variant, tags=tags, memory_bytes=size)
            found[variant] = _Entry(entry.family, replace(entry.pack, info=info), None, prints)
    return found


def lora_folders(places: Iterable[Path]) -> dict[str, Path]:
    """Name to folder: those in ``places``, and those that are one themselves; the first of a name counts.

    The name is that of the folder as it is written, and not of what a link points to: a ``checkpoint-500`` is many.
    """
    found: dict[str, Path] = {}
    for place in places:
        for config in sorted((*place.glob(CONFIG), *place.glob(f"*/{CONFIG}"))):
            written, folder = config.parent, config.parent.resolve()
            name = folder.name if written.name in ("", ".", "..") else written.name
            if MODEL_ID.fullmatch(name):
                found.setdefault(name, folder)
    return found


def _no_such_lora(model_id: str, lora: str, entries: Iterable[str]) -> str:
    there = [split_lora(other)[1] for other in sorted(entries) if other.startswith(f"{model_id}+")]
    some = f"it has {', '.join(there)}" if there else "it has none"
    return (
        f"The model {model_id} has no LoRA {lora!r}; {some}. A LoRA is a folder {LORAS}/{lora} in the voice pack, "
        "or in a folder of worker.lora_paths, for models that take one."
    )


def _read(folder: Path, before: _Entry | None) -> _Entry:
    """Read one pack, or keep what is known of it when none of its files has changed."""
    fingerprint, voices = _fingerprint(folder), _fingerprint(folder / VOICES)
    family = folder.parent.name
    if before is not None and (before.fingerprint, before.voices, before.family) == (fingerprint, voices, family):
        return before
    try:
        return _Entry(family, read_pack(folder), None, fingerprint, voices)
    except ConfigError as error:
        return _Entry(family, None, error, fingerprint, voices)


def _fingerprint(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Path, size and time of every file of a pack but its LoRAs and voices, which change alone; its own name first."""
    found = [(str(folder), 0, 0)]
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and parts[0] not in (LORAS, VOICES) and not any(part.startswith(".") for part in parts):
            stat = path.stat()
            found.append((str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns))
    return tuple(found)
