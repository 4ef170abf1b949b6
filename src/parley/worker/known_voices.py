"""What the store's catalog says of voices, each checked as the voice pack that it becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley.store.catalog import Catalog, read_catalog
from parley.store.schema import check_keys
from parley.worker.metadata import PackMetadata

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def read_known_voices(roots: Iterable[Path] = ()) -> Catalog:
    """Parley's own catalog and those in ``roots``. Raises ConfigError with file, key, value and what is allowed."""
    catalog = read_catalog(roots)
    for model_id, entry in catalog.of_kind("voice").items():
        check_keys("model_catalog.yaml", f"voices.{model_id}.metadata.", entry.metadata, PackMetadata)
    return catalog
