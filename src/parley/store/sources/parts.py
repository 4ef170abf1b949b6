"""What every source does with the files that it has brought: held against their checksums, and put together."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING, BinaryIO

from parley.errors import NotFound, UnavailableError
from parley.hints import install_packages

if TYPE_CHECKING:
    from pathlib import Path

    from parley.store.catalog import Entry, Source


def gather(entry: Entry, source: Source, brought: Path, staging: Path) -> None:
    """Move the files below ``brought`` to their names in the store, joining those that come in parts.

    Nothing is moved before every whole file has proven right, so that the next try finds the good ones.
    """
    found = {name: [_inside(brought, part, source) for part in parts] for name, parts in source.files.items()}
    for name, paths in found.items():
        if len(paths) == 1:
            verify(entry, name, paths[0])
    for name, paths in found.items():
        target = staging / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if len(paths) == 1:
            shutil.move(paths[0], target)
            continue
        with target.open("wb") as out:
            for path in paths:
                with path.open("rb") as part:
                    shutil.copyfileobj(part, out)
        verify(entry, name, target)


def verify(entry: Entry, name: str, path: Path) -> None:
    """Hold a file against what its author states. Raises UnavailableError, and deletes it, when it is another one."""
    kind, _, digest = entry.checksums.get(name, "").partition(":")
    if digest and digest_of(path, kind) != digest:
        path.unlink()
        raise UnavailableError(
            f"{name} of {entry.model_id} arrived with another checksum than its author states, and was deleted; "
            "try again, and distrust the source when it happens again."
        )


def digest_of(path: Path, kind: str) -> str:
    """Checksum of a file as lower-case hexadecimal; ``kind`` is sha256, md5 or crc32c.

    The last is no protection against malice, and all that some authors state. Raises UnavailableError where the
    package that reckons it is missing.
    """
    with path.open("rb") as file:
        if kind == "crc32c":
            return _crc32c(file)
        return hashlib.file_digest(file, kind).hexdigest()


def _crc32c(file: BinaryIO) -> str:
    try:
        import google_crc32c
    except ModuleNotFoundError as error:
        raise UnavailableError(
            "Checking what was fetched needs the package google-crc32c; install it with: "
            f"{install_packages('google-crc32c')}."
        ) from error
    checksum = 0
    while block := file.read(1 << 20):
        checksum = google_crc32c.extend(checksum, block)
    return f"{checksum:08x}"


def _inside(folder: Path, part: str, source: Source) -> Path:
    path = (folder / part).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise NotFound(f"{source} has no file {part}; correct its entry in the catalog.")
    return path
