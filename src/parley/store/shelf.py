"""The store itself: one folder per model, visible once it is whole."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from parley.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parley.store.catalog import Catalog, Entry
    from parley.store.settings import StoreSettings


@dataclass(frozen=True, slots=True)
class Store:
    """``folder/<kind>/<id>/``; voices lie as a worker's folder of voice packs has them."""

    folder: Path
    voices: Path
    """A folder of voice packs: ``<family>/<id>/``."""

    def path(self, entry: Entry) -> Path:
        """Where a model lies, or would."""
        if entry.kind == "voice":
            return self.voices / entry.engine / entry.model_id
        return self.folder / entry.kind / entry.model_id

    def has(self, entry: Entry) -> bool:
        """True when all of it is here."""
        path = self.path(entry)
        return path.is_dir() and all((path / name).is_file() for name in entry.files)

    def installed(self, catalog: Catalog, kind: str) -> list[Entry]:
        """The models of one kind that are here, the preferred ones first."""
        return [entry for entry in catalog.of_kind(kind).values() if self.has(entry)]

    def remove(self, entry: Entry) -> int:
        """Delete a model; returns the bytes that came back. Raises NotFound when it is not here."""
        path = self.path(entry)
        if not path.is_dir():
            raise NotFound(f"The model {entry.model_id} is not on this machine; there is nothing to remove.")
        freed = size_of(path)
        shutil.rmtree(path)
        return freed


def open_store(settings: StoreSettings, voices: Path | None = None) -> Store:
    """The store that the settings name, or the user's own; ``voices`` keeps those elsewhere."""
    folder = Path(settings.folder).expanduser() if settings.folder else _data_folder() / "models"
    return Store(folder, voices or folder / "voice")


def _data_folder() -> Path:
    """Where this system keeps a user's data."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "parley"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "parley"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "parley"


def size_of(folder: Path) -> int:
    """Bytes of all files in it."""
    return sum(path.stat().st_size for path in _files(folder))


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
