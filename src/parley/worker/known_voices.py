"""``model_catalog.yaml``: voices that can be fetched, other names for models, models that stay.

One such file is part of Parley; a file of the same name beside the voice packs adds to it and
wins where both say something.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from parley.errors import ConfigError
from parley.settings import Setting
from parley.worker.metadata import PackMetadata, check_keys, read_mapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CATALOG = "model_catalog.yaml"


@dataclass(frozen=True, slots=True)
class KnownVoice:
    """One voice that 'parley models pull' can fetch."""

    family: Annotated[str, Setting("The adapter that runs it.")]
    repo: Annotated[str, Setting("Repository on the hub, as owner/name.")]
    files: Annotated[
        dict[str, str],
        Setting("Path in the repository to path in the pack."),
    ]
    metadata: Annotated[dict[str, Any], Setting("What is written to the pack's metadata.yaml.")]
    revision: Annotated[str, Setting("Commit, tag or branch of the repository.")] = "main"
    sha256: Annotated[
        dict[str, str], Setting("Known checksums by path in the repository; others are taken from the hub.")
    ] = field(default_factory=dict)
    size_mb: Annotated[int, Setting("About how much is fetched.", unit="MB", ge=0)] = 0


@dataclass(frozen=True, slots=True)
class _CatalogFile:
    voices: Annotated[dict[str, Any], Setting("Voices that can be fetched, by model id.")] = field(default_factory=dict)
    aliases: Annotated[dict[str, str], Setting("Other names for models.")] = field(default_factory=dict)
    pins: Annotated[list[str], Setting("Models that are never evicted.")] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class KnownVoices:
    """Everything that the catalog files say."""

    voices: Mapping[str, KnownVoice] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    pins: tuple[str, ...] = ()


def read_known_voices(roots: Iterable[Path] = ()) -> KnownVoices:
    """Parley's own file and those in ``roots``. Raises ConfigError with file, key, value and what is allowed."""
    voices: dict[str, KnownVoice] = {}
    aliases: dict[str, str] = {}
    pins: list[str] = []
    shipped = Path(str(files("parley.worker").joinpath(CATALOG)))
    for path in [shipped, *(root / CATALOG for root in roots)]:
        if path != shipped and not path.exists():
            continue
        data = check_keys(str(path), "", read_mapping(path), _CatalogFile)
        for model_id, raw in data.get("voices", {}).items():
            voices[model_id] = _voice(path, model_id, raw)
        aliases |= data.get("aliases", {})
        pins += data.get("pins", [])
    return KnownVoices(voices, aliases, tuple(pins))


def _voice(path: Path, model_id: str, raw: Any) -> KnownVoice:
    inside = f"voices.{model_id}."
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: key 'voices.{model_id}' is {raw!r}; it must be a mapping.")
    data = check_keys(str(path), inside, raw, KnownVoice)
    check_keys(str(path), f"{inside}metadata.", data["metadata"], PackMetadata)
    return KnownVoice(**data)
