"""What a recording looks like on disk.

.. code-block:: text

    <folder>/<session id>/
      events.jsonl     a header, then one entry a line, in the order in which things happened
      microphone.pcm   the microphone's samples, s16le mono, one frame after the other
      voice.pcm        the synthesised samples, s16le mono 48 kHz, one frame after the other
      clean.pcm        the microphone at 16 kHz after echo cancellation, where the session had one

Entries of kinds ``mic``, ``frame`` and ``clean`` say how many bytes of the PCM files are theirs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parley.errors import NotFound, RequestError

FORMAT = 1
EVENTS, MICROPHONE, VOICE, CLEAN = "events.jsonl", "microphone.pcm", "voice.pcm", "clean.pcm"


class BadRecording(RequestError):
    """The folder is no recording, or one of a format that this version does not read."""

    code = "bad_recording"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened."""

    at: int
    """Microseconds since the session began."""
    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """As it stands in the file."""
        return json.dumps([self.at, self.kind, self.data], ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording, read."""

    folder: Path
    header: Mapping[str, Any]
    """``format``, ``parley`` (version), ``session_id``, ``input_rate``, ``start``, ``settings``, ``vad``;
    ``items`` of the conversation that the session goes on with."""
    entries: tuple[Entry, ...]

    def pcm(self, kind: str) -> Iterator[tuple[Entry, bytes]]:
        """The entries of one kind of sound (``mic``, ``frame``, ``clean``), each with its samples."""
        path = self.folder / {"mic": MICROPHONE, "frame": VOICE, "clean": CLEAN}[kind]
        sound = path.read_bytes() if path.exists() else b""
        start = 0
        for entry in self.of(kind):
            end = start + entry.data["bytes"]
            yield entry, sound[start:end]
            start = end

    def of(self, *kinds: str) -> Iterator[Entry]:
        """The entries of these kinds, in order."""
        return (entry for entry in self.entries if entry.kind in kinds)


def read_recording(path: Path) -> Recording:
    """Read a session's folder, or its events file.

    Raises:
        NotFound: there is nothing at ``path``.
        BadRecording: it is not a recording of this format; a file that was cut off is read as far as it goes.
    """
    folder = path.parent if path.name == EVENTS else path
    events = folder / EVENTS
    if not events.is_file():
        raise NotFound(f"{path} is no recording: it holds no {EVENTS}.")
    lines = events.read_text(encoding="utf-8").splitlines()
    try:
        header = json.loads(lines[0])
        known = header["format"] == FORMAT
    except (IndexError, ValueError, KeyError, TypeError) as error:
        raise BadRecording(f"{events} does not begin with a recording's header.") from error
    if not known:
        raise BadRecording(f"{events} has format {header['format']}; this version of Parley reads format {FORMAT}.")
    return Recording(folder, header, tuple(_entries(lines[1:])))


def _entries(lines: list[str]) -> Iterator[Entry]:
    for line in lines:
        try:
            at, kind, data = json.loads(line)
        except ValueError:
            return  # the process died while it wrote this line: what came before it counts
        yield Entry(at, kind, data)
