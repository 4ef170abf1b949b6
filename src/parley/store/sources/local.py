"""Models that lie in a folder of this machine already: copied, never moved."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from parley.errors import UnavailableError
from parley.store.sources.parts import verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley.store.catalog import Entry, Source


def fetch(entry: Entry, source: Source, staging: Path, *, mirror: str, say: Callable[[str], None]) -> None:
    """Copy the files. Raises UnavailableError that names the one which is not there."""
    folder = Path(source.place).expanduser()
    for name, parts in source.files.items():
        target = staging / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            for part in parts:
                try:
                    with (folder / part).open("rb") as file:
                        shutil.copyfileobj(file, out)
                except OSError as error:
                    raise UnavailableError(
                        f"{entry.model_id}: {folder / part} cannot be read ({error.strerror or error})."
                    ) from error
        verify(entry, name, target)
