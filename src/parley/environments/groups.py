"""Which groups of engines there are, and every decision about their environments: pure.

A group is one environment: engines that can live together. Its list names every package with its version and
checksums, without addresses; ``scripts/lock_engines.py`` writes it from ``needs``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

Version = tuple[int, ...]

_TORCH = ("torch", "torchaudio", "torchvision")
"""Built for CUDA or for the CPU, all of them for the same."""
_CUDA = re.compile(r"nvidia-|triton$")
"""Packages that only a build for CUDA needs."""


@dataclass(frozen=True, slots=True)
class Family:
    """Something that runs in a group's environment."""

    name: str
    """As the settings name it."""
    kind: str
    """"ears" or "voice"."""
    licence: str
    """Of its package."""


@dataclass(frozen=True, slots=True)
class Group:
    """Engines that share an environment."""

    name: str
    families: tuple[Family, ...]
    needs: tuple[str, ...]
    """What is asked for; everything else follows from it."""
    module: str
    """Is there when it can be imported."""
    disk_mb: int
    """Of the whole environment, measured."""
    cuda_mb: int = 0
    """Of these, what is there for CUDA alone."""
    python: Version = (3, 11)
    """The Python whose packages the list names."""
    sources: tuple[str, ...] = ()
    """Packages that come as source only, so that their own set-up runs while they are installed; all others are
    unpacked as they are."""

    @property
    def python_name(self) -> str:
        """ "3.11"."""
        return ".".join(map(str, self.python))


GROUPS: dict[str, Group] = {
    group.name: group
    for group in (
        Group(
            "whisperx",
            (Family("whisperx", "ears", "BSD-2-Clause"),),
            needs=("whisperx==3.8.6",),
            module="whisperx.asr",
            disk_mb=7700,
            cuda_mb=4900,
        ),
        Group(
            "parler",
            (Family("parler", "voice", "Apache-2.0"),),
            needs=("parler-tts==0.2.3",),
            module="parler_tts",
            disk_mb=6200,
            cuda_mb=4700,
            sources=(
                "argbind",
                "descript-audio-codec-unofficial",
                "descript-audiotools-unofficial",
                "parler-tts",
                "randomname",
            ),
        ),
        Group(
            "torch",
            (Family("csm", "voice", "Apache-2.0"),),
            needs=("soxr==1.1.0", "torch==2.13.0", "transformers==5.23.0"),
            module="transformers.models.csm",
            disk_mb=5000,
            cuda_mb=3500,
        ),
    )
}


def find(name: str, groups: Mapping[str, Group]) -> Group | None:
    """The group of this name, or the one that a family of this name belongs to."""
    by_family = {family.name: group for group in groups.values() for family in group.families}
    return groups.get(name) or by_family.get(name)


# --- interpreters --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python on this machine."""

    path: str
    version: Version
    implementation: str = "cpython"


def fitting(found: Iterable[Interpreter], wanted: Version) -> Interpreter | None:
    """The newest that fits; of the same version the first."""
    fit = [each for each in found if each.implementation == "cpython" and each.version[: len(wanted)] == wanted]
    return max(fit, key=lambda each: each.version, default=None)


# --- lists of packages ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Packages:
    """What is installed, in two steps."""

    pinned: str
    """A list with checksums, for the usual index."""
    from_torch_index: tuple[str, ...] = ()
    """Pinned without checksums: another index has other builds of the same versions."""


def packages(listed: str, *, torch_index: bool) -> Packages:
    """What a list stands for; with an index of its own for torch, CUDA's libraries are left out."""
    if not torch_index:
        return Packages(listed)
    kept, elsewhere = [], []
    for entry in _entries(listed):
        name = entry.partition("==")[0]
        if name in _TORCH:
            elsewhere.append(entry.split()[0])
        elif not for_cuda(name):
            kept.append(entry)
    return Packages("".join(kept), tuple(elsewhere))


def for_cuda(name: str) -> bool:
    """True for a package that only a build for CUDA needs."""
    return _CUDA.match(name) is not None


def not_built(listed: str, sources: Iterable[str]) -> tuple[str, ...]:
    """uv's flags with which nothing of a list is built but ``sources``."""
    if not sources:
        return ("--no-build",)
    names = [entry.partition("==")[0] for entry in _entries(listed)]
    return tuple(flag for name in names if name not in sources for flag in ("--only-binary", name))


def _entries(listed: str) -> list[str]:
    """Each package with its checksums; comments left out."""
    lines = [line for line in listed.splitlines(keepends=True) if not line.startswith("#")]
    return re.findall(r"^\S.*\n(?:[ \t].*\n)*", "".join(lines), re.MULTILINE)


_HEADER = re.compile(r"^# ([a-z ]+): (.*)$", re.MULTILINE)


def header(listed: str) -> dict[str, str]:
    """What a list says of itself: "needs", "python", "download" and "without cuda" (both in MB)."""
    return dict(_HEADER.findall(listed))


def agrees(group: Group, listed: str) -> bool:
    """True when a list was made for what the group asks for now."""
    said = header(listed)
    return said.get("needs") == ", ".join(group.needs) and said.get("python") == group.python_name


# --- what was made -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Label:
    """What an environment says of itself, written when all of it was there."""

    group: str
    listed: str
    """Digest of the list it was made from."""
    child: str
    """Version of the part of Parley in it."""
    python: str
    torch: str = ""
    """Version of torch; empty without."""
    cuda: bool = False
    """Whether that torch was built for CUDA."""
    size: int = 0
    """Bytes, those that other environments share included."""


class State(Enum):
    """Of a group on this machine; the value is what people are told."""

    ABSENT = "not installed"
    READY = "ready"
    LOST = "its interpreter is gone"
    OTHER_PARLEY = "made by another version of Parley"
    OLD_LIST = "made from an older list of packages"


USABLE = (State.READY, State.OLD_LIST)


def state(label: Label | None, *, listed: str, child: str, interpreter: bool) -> State:
    """How an environment stands; ``listed`` and ``child`` are what it would be made of now."""
    if label is None:
        return State.ABSENT
    if not interpreter:
        return State.LOST
    if label.child != child:
        return State.OTHER_PARLEY
    return State.READY if label.listed == listed else State.OLD_LIST


class Work(Enum):
    """What an installation has to do."""

    NOTHING = "nothing"
    CHILD = "the part of Parley in it"
    ALL = "all of it"


def work(label: Label | None, *, listed: str, child: str, interpreter: bool, replace: bool) -> Work:
    """The least that leaves an environment ready."""
    if replace or label is None or not interpreter or label.listed != listed:
        return Work.ALL
    return Work.NOTHING if label.child == child else Work.CHILD


def advice(label: Label | None, *, gpu: bool) -> str:
    """What torch's build means on this machine; empty where it fits."""
    if label is None or not label.torch or label.cuda == gpu:
        return ""
    if gpu:
        return f"torch {label.torch} is a CPU build: the GPU of this machine is not used"
    return f"torch {label.torch} is built for CUDA and runs on the CPU: this machine has no GPU"


def download_mb(listed: str, *, torch_index: bool) -> int:
    """What the packages of a list come to, as far as it says."""
    said = header(listed)
    return int(said.get("without cuda" if torch_index else "download", 0))


def disk_mb(group: Group, *, torch_index: bool) -> int:
    """Room that an environment takes."""
    return group.disk_mb - (group.cuda_mb if torch_index else 0)


def names_of(group: Group) -> Sequence[str]:
    """Its families' names."""
    return [family.name for family in group.families]
