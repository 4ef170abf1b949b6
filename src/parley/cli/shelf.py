"""The catalog and the store that the settings lead to: for whoever lists, chooses or fetches models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parley.config import Settings
    from parley.store import Catalog, Store

RECOMMENDED = "recommended"
"""The name that stands for ears, a voice and a turn model of the catalog's choice."""


def opened(settings: Settings, into: Path | None = None) -> tuple[Catalog, Store]:
    """The catalog and the store that the settings lead to; voices go ``into`` another folder where one is named."""
    from parley.store import open_store, read_catalog

    store = open_store(settings.store, into)
    packs = (Path(folder) for folder in settings.worker.voicepacks)
    return read_catalog(dict.fromkeys((*packs, store.folder, store.voices))), store
