"""Real weights for tests: fetched once by name, as a user fetches them, into a folder that outlives the test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from parley.errors import ParleyError
from parley.store import StoreSettings, engines, open_store, read_catalog
from parley.store.pulling import pull

FOLDER = Path(os.environ.get("PARLEY_TEST_MODELS") or Path.home() / ".cache" / "parley-tests" / "models")


def fetched(*names: str) -> Path:
    """The store that has these models; skips the test, in one sentence, where they or their engines cannot be had."""
    catalog, store = read_catalog(), open_store(StoreSettings(folder=str(FOLDER)))
    for name in names:
        entry = catalog.find(name)
        if not engines.runnable(entry):
            pytest.skip(f"the engine of {name} is not installed")
        if not store.has(entry):
            try:
                pull(entry, store.path(entry), replace=True)
            except ParleyError as error:
                pytest.skip(f"{name} cannot be fetched here: {error.message}")
    return FOLDER
