"""Models behind plain addresses: fetched by HTTP, gone on with where the last try stopped."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from parley.errors import UnavailableError
from parley.store.sources.parts import gather

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from parley.store.catalog import Entry, Source

_TIMEOUT = 30.0


def fetch(entry: Entry, source: Source, staging: Path, *, mirror: str, say: Callable[[str], None]) -> None:
    """Bring the files. Raises UnavailableError when the address cannot be reached or lacks one."""
    import httpx2

    brought = staging / "fetched"
    with httpx2.Client(timeout=_TIMEOUT, follow_redirects=True) as client:
        for part in dict.fromkeys(part for parts in source.files.values() for part in parts):
            path = brought / part
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                say(part)
                _download(client, f"{source.place.rstrip('/')}/{part}", path)
    gather(entry, source, brought, staging)
    shutil.rmtree(brought)


def _download(client: object, address: str, path: Path) -> None:
    """One file; what is there of it already is not asked for again."""
    import httpx2

    assert isinstance(client, httpx2.Client)
    partial = path.with_name(f"{path.name}.partial")
    have = partial.stat().st_size if partial.exists() else 0
    try:
        with client.stream(
            "GET", address, headers={"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        ) as answer:
            if answer.status_code == 416:  # nothing is left to fetch
                partial.rename(path)
                return
            answer.raise_for_status()
            with partial.open("ab" if answer.status_code == 206 else "wb") as file:
                for block in answer.iter_raw():  # as it comes: what has arrived is kept
                    file.write(block)
    except httpx2.HTTPStatusError as error:
        raise UnavailableError(f"{address} answered {error.response.status_code}.") from error
    except httpx2.HTTPError as error:
        raise UnavailableError(f"{address} cannot be reached ({type(error).__name__}); try again.") from error
    partial.rename(path)
