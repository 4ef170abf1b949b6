"""Speech recognition: one table of recognisers, imported on use."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, cast

from parley.asr.settings import AsrSettings
from parley.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley.environments import Environments
    from parley.interfaces import Recognizer

RECOGNIZERS: dict[str, str] = {
    "pocketsphinx": "parley.asr.pocketsphinx:create",
    "faster-whisper": "parley.asr.faster_whisper:create",
    "sherpa": "parley.asr.sherpa:create",
    "moonshine": "parley.asr.moonshine:create",
    "onnx-asr": "parley.asr.onnx_asr:create",
    "whisperx": "parley.asr.whisperx:create",
    "instant": "parley.asr.instant:create",
}
"""Name in the settings -> "module:function"; each function takes AsrSettings and returns a Recognizer."""
APART = frozenset({"whisperx"})
"""Those that run in environments of their own; their functions take the Environments, too (None: the user's own)."""

AUTO = "auto"
"""In the settings: whoever knows what was fetched chooses; here it is the embedded one."""
EMBEDDED = "pocketsphinx"

__all__ = ["AUTO", "EMBEDDED", "RECOGNIZERS", "AsrSettings", "create_recognizer"]


def create_recognizer(
    settings: AsrSettings | None = None, *, phrases: Sequence[str] = (), environments: Environments | None = None
) -> Recognizer:
    """Make the recogniser that all sessions share; its engine is loaded with the first turn.

    ``phrases`` are added to those of the settings; ``environments`` are the user's own where none are given.
    Raises ConfigError when the engine, its environment or its model is known to be missing.
    """
    settings = settings or AsrSettings()
    if settings.engine == AUTO:
        settings = replace(settings, engine=EMBEDDED)
    if phrases:
        settings = replace(settings, phrases=tuple(dict.fromkeys((*settings.phrases, *phrases))))
    if settings.engine not in RECOGNIZERS:
        raise ConfigError(f'There is no recogniser "{settings.engine}"; choose one of {", ".join(RECOGNIZERS)}.')
    module, _, function = RECOGNIZERS[settings.engine].partition(":")
    create = getattr(import_module(module), function)
    if settings.engine not in APART:
        return cast("Recognizer", create(settings))
    return cast("Recognizer", create(settings, environments))
