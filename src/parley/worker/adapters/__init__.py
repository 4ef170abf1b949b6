"""The families of voices: one lazy table, and whatever other packages add to it.

A family is a name and an adapter class. The built-in ones are named here as ``module:Class`` and
imported when a model of theirs is read. Another distribution adds a family through the entry
point group ``parley.tts_adapters``; it can not take a built-in name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from parley.errors import ConfigError
from parley.worker.pack import traits_of

if TYPE_CHECKING:
    from parley.worker.adapters.csm import CsmAdapter
    from parley.worker.adapters.espeak import EspeakAdapter
    from parley.worker.adapters.kokoro import KokoroAdapter
    from parley.worker.adapters.omni_speech import OmniSpeechAdapter
    from parley.worker.adapters.openai_speech import OpenAISpeechAdapter
    from parley.worker.adapters.parler import ParlerAdapter
    from parley.worker.adapters.piper import PiperAdapter
    from parley.worker.adapters.pocket import PocketAdapter
    from parley.worker.adapters.sherpa import SherpaAdapter
    from parley.worker.adapters.tone import ToneAdapter
    from parley.worker.pack import AdapterFactory

    _HELD_TO_IT: tuple[AdapterFactory, ...] = (
        ToneAdapter, EspeakAdapter, PiperAdapter, KokoroAdapter, SherpaAdapter, PocketAdapter, ParlerAdapter,
        CsmAdapter, OpenAISpeechAdapter, OmniSpeechAdapter,
    )  # fmt: skip

ENTRY_POINT_GROUP = "parley.tts_adapters"


@dataclass(frozen=True, slots=True)
class Family:
    """Where a family's adapter is, and what a person should know about it."""

    target: str
    """``module:Class``."""
    extra: str = ""
    """The extra of this distribution that installs its engine; empty when nothing is needed."""
    module: str = ""
    """The engine's import name, to see whether it is installed without importing it."""
    code_licence: str = ""
    """Licence of the engine's code (the weights' own is in each pack)."""
    isolated: bool = False
    """True when the engine must run in a process of its own."""
    environment: str = ""
    """The family of `parley engines` whose environment its library lives in; empty for this one."""


_HERE = "parley.worker.adapters"

FAMILIES: dict[str, Family] = {
    "tone": Family(f"{_HERE}.tone:ToneAdapter", code_licence="MIT"),
    "espeak": Family(
        f"{_HERE}.espeak:EspeakAdapter", module="espeakng_loader", code_licence="GPL-3.0-or-later", isolated=True
    ),
    "piper": Family(f"{_HERE}.piper:PiperAdapter", "piper", "piper", "GPL-3.0-or-later", isolated=True),
    "kokoro": Family(f"{_HERE}.kokoro:KokoroAdapter", "kokoro", "kokoro_onnx", "MIT, with GPL-3.0 phonemizer"),
    "sherpa": Family(f"{_HERE}.sherpa:SherpaAdapter", "sherpa", "sherpa_onnx", "Apache-2.0", isolated=True),
    "pocket": Family(f"{_HERE}.pocket:PocketAdapter", "pocket", "pocket_tts", "MIT"),
    "parler": Family(
        f"{_HERE}.parler:ParlerAdapter",
        module="parler_tts",
        code_licence="Apache-2.0",
        isolated=True,
        environment="parler",
    ),
    "csm": Family(
        f"{_HERE}.csm:CsmAdapter",
        module="transformers",
        code_licence="Apache-2.0",
        isolated=True,
        environment="csm",
    ),
    "openai-speech": Family(f"{_HERE}.openai_speech:OpenAISpeechAdapter", code_licence="MIT"),
    "omni-speech": Family(f"{_HERE}.omni_speech:OmniSpeechAdapter", code_licence="MIT"),
}


def family_names() -> tuple[str, ...]:
    """All families known here, built-in ones first."""
    return (*FAMILIES, *sorted(_outside()))


def family(name: str) -> Family:
    """The family called ``name``. Raises ConfigError that lists the families there are."""
    found = FAMILIES.get(name)
    if found is not None:
        return found
    outside = _outside().get(name)
    if outside is None:
        raise ConfigError(
            f"There is no family of voices called {name!r}; known here are {', '.join(family_names())}. "
            f"Another one comes with a package that has an entry point in the group {ENTRY_POINT_GROUP}."
        )
    cls = _imported(name, outside.value)
    return Family(outside.value, isolated=traits_of(cls).isolated)


def installed(name: str) -> bool:
    """True when the engine of a family is on this machine. Imports nothing."""
    module = family(name).module
    return not module or find_spec(module) is not None


def adapter_class(name: str) -> AdapterFactory:
    """The adapter class of a family. Raises ConfigError when it is unknown or can not be imported."""
    return _imported(name, family(name).target)


def forget_outside_families() -> None:
    """Look for entry points again, after a package was installed or in tests."""
    _outside.cache_clear()


@cache
def _outside() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name in FAMILIES:
            raise ConfigError(
                f"{_package(point)} offers a family called {point.name!r}, which is built in; "
                f"it must choose another name for its entry point in {ENTRY_POINT_GROUP}."
            )
        other = found.get(point.name)
        if other is not None and other.value != point.value:
            raise ConfigError(
                f"Both {_package(other)} and {_package(point)} offer a family called {point.name!r}; uninstall one."
            )
        found[point.name] = point
    return found


def _package(point: EntryPoint) -> str:
    return f"The package {point.dist.name}" if point.dist is not None else f"The entry point {point.value}"


def _imported(name: str, target: str) -> AdapterFactory:
    module, _, attribute = target.partition(":")
    try:
        return cast("AdapterFactory", getattr(import_module(module), attribute))
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"The adapter of the family {name} ({target}) can not be imported: {error}.") from error
