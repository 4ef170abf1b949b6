"""The packages that run models: which are here, under which licence, and how the others are brought."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from importlib import invalidate_caches
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec
from typing import TYPE_CHECKING

from parley.errors import ConfigError
from parley.store.sources.pip import run_installer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parley.store.catalog import Entry

DISTRIBUTION = "parley-voice"
_APART = "so it runs in a process of its own"


@dataclass(frozen=True, slots=True)
class EnginePackage:
    """What an extra brings."""

    module: str
    """Is there when it can be imported."""
    package: str
    licence: str
    note: str = ""
    """What follows from the licence."""

    @property
    def terms(self) -> str:
        """Licence and note, for people."""
        return f"{self.licence}, {self.note}" if self.note else self.licence


ENGINES: dict[str, EnginePackage] = {
    "whisper": EnginePackage("faster_whisper", "faster-whisper", "MIT"),
    "piper": EnginePackage("piper", "piper-tts", "GPL-3.0-or-later", _APART),
    "kokoro": EnginePackage("kokoro_onnx", "kokoro-onnx", "MIT, with phonemizer, which is GPL-3.0-or-later"),
    "sherpa": EnginePackage("sherpa_onnx", "sherpa-onnx", "Apache-2.0"),
    "moonshine": EnginePackage("moonshine_voice", "moonshine-voice", "MIT"),
    "onnx-asr": EnginePackage("onnx_asr", "onnx-asr", "MIT"),
    "pocket": EnginePackage("pocket_tts", "pocket-tts", "MIT"),
}
"""By extra of the distribution."""

OTHERS: dict[str, EnginePackage] = {
    "pocketsphinx": EnginePackage("pocketsphinx", "pocketsphinx", "BSD-2-Clause"),
    "espeak": EnginePackage("espeakng_loader", "espeak-ng", "GPL-3.0-or-later", _APART),
    "smart-turn": EnginePackage("onnxruntime", "onnxruntime", "MIT"),
    "turn-1-mini": EnginePackage("onnxruntime", "onnxruntime", "MIT"),
    "backchannel-detector": EnginePackage("onnxruntime", "onnxruntime", "MIT"),
    "words": EnginePackage("parley", DISTRIBUTION, "MIT"),
    "script": EnginePackage("parley", DISTRIBUTION, "MIT"),
    "llama.cpp": EnginePackage("xllamacpp", "llama.cpp", "MIT", "or any other server of GGUF files, beside Parley"),
}
"""By the engine's name: those that come with Parley, and those that run beside it."""


def engine_of(entry: Entry) -> EnginePackage | None:
    """What runs a model; None for an engine that only its own adapter knows."""
    return ENGINES.get(entry.extra) or OTHERS.get(entry.engine)


def runnable(entry: Entry) -> bool:
    """True when the model's engine is installed. A family that Parley does not know judges that for itself."""
    package = ENGINES.get(entry.extra)
    return package is None or find_spec(package.module) is not None


def missing(entries: Iterable[Entry]) -> list[str]:
    """The extras whose engines these models need and this environment lacks."""
    return list(dict.fromkeys(entry.extra for entry in entries if not runnable(entry)))


def requirements(extra: str) -> list[str]:
    """What an extra of this distribution asks for, as the installed package states it."""
    try:
        stated = requires(DISTRIBUTION) or []
    except PackageNotFoundError as error:
        raise ConfigError(f"The package {DISTRIBUTION} is not installed, so its engines are not known.") from error
    marker = re.compile(rf"""\bextra\s*==\s*['"]{re.escape(extra)}['"]""")
    return [line.partition(";")[0].strip() for line in stated if marker.search(line)]


def install(extras: Iterable[str]) -> None:
    """Bring the packages of these extras into this environment. Raises UnavailableError when they cannot be had."""
    wanted = [requirement for extra in extras for requirement in requirements(extra)]
    if not wanted:
        return
    with tempfile.TemporaryDirectory() as elsewhere:  # no project's own constraints may get in between
        run_installer(wanted, cwd=elsewhere, what=", ".join(wanted))
    invalidate_caches()  # what came can be imported at once
