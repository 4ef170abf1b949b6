"""Actors who speak the lines of an adventure game, to choose weights by: more people and more pauses than prompts have.

Debian's package of the game may be had and passed on for nothing; it is unpacked as data into the user's cache, and
none of it is part of Parley. A line is what one character says in one go; nobody's name stands beside it.
"""

from __future__ import annotations

import functools
import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from parley.bench import people
from parley.bench.people import ACTORS, Recording
from parley.errors import UnavailableError

_PACKAGE = "flight-of-the-amazon-queen"
_ARCHIVE = f"usr/share/scummvm/{_PACKAGE}/queen.1c"
_TABLE, _ENTRY = struct.Struct(">4s8sBH"), struct.Struct(">12sBII")
"""Signature, version, compression, number of entries; of each its name, bundle, offset and length in bytes."""
_MP3 = 1
_SPEECH = ".SB"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file within the archive."""

    name: str
    start: int
    size: int


@functools.cache
def actors(every: int) -> tuple[Recording, ...]:
    """Those lines whose name has a CRC-32 that ``every`` divides, without their words, which nobody compared.

    Raises ConfigError or UnavailableError where they can not be had.
    """
    archive = (people.debian(_PACKAGE) / _ARCHIVE).read_bytes()
    entries = [entry for entry in entries_of(archive) if entry.name.endswith(_SPEECH)]
    names = {entry.name for entry in entries}
    return tuple(
        Recording(
            f"line/{entry.name.removesuffix(_SPEECH)}", ACTORS, "en", "",
            people.decode(io.BytesIO(archive[entry.start : entry.start + entry.size]), form="mp3"),
            whole=following(entry.name) not in names,
        )
        for entry in entries
        if zlib.crc32(entry.name.encode()) % every == 0
    )  # fmt: skip


def entries_of(archive: bytes) -> Iterator[Entry]:
    """What is in it, by the table at its front. UnavailableError where it is not this kind of archive."""
    signature, _, compression, count = _TABLE.unpack_from(archive)
    if signature != b"QTBL" or compression != _MP3:
        raise UnavailableError(f"Debian's package {_PACKAGE} holds its sound in another form than is known here.")
    for number in range(count):
        name, _, start, size = _ENTRY.unpack_from(archive, _TABLE.size + number * _ENTRY.size)
        yield Entry(name.rstrip(b"\0").decode("ascii"), start, size)


def following(name: str) -> str:
    """What the line that the same character goes on with would be called: the third part after the second."""
    stem = name.removesuffix(_SPEECH)
    return f"{stem[:-1]}{int(stem[-1]) + 1}{_SPEECH}" if stem[-1:].isdigit() else ""
