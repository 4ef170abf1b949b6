"""The store itself: one folder per model, visible once it is whole."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from parley.errors import NotFound
from parley.folders import data_folder, size_of

if TYPE_CHECKING:
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
    folder = Path(settings.folder).expanduser() if settings.folder else data_folder() / "models"
    return Store(folder, voices or folder / "voice")
