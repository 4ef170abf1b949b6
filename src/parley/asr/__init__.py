"""Speech recognition: one table of recognisers, imported on use."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, cast

from parley.asr.settings import AsrSettings
from parley.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley.interfaces import Recognizer

RECOGNIZERS: dict[str, str] = {
    "pocketsphinx": "parley.asr.pocketsphinx:create",
    "faster-whisper": "parley.asr.faster_whisper:create",
    "sherpa": "parley.asr.sherpa:create",
    "moonshine": "parley.asr.moonshine:create",
    "whisperx": "parley.asr.whisperx:create",
    "instant": "parley.asr.instant:create",
}
"""Name in the settings -> "module:function"; each function takes AsrSettings and returns a Recognizer."""

AUTO = "auto"
"""In the settings: whoever knows what was fetched chooses; here it is the embedded one."""
EMBEDDED = "pocketsphinx"

__all__ = ["AUTO", "EMBEDDED", "RECOGNIZERS", "AsrSettings", "create_recognizer"]


def create_recognizer(settings: AsrSettings | None = None, *, phrases: Sequence[str] = ()) -> Recognizer:
    """Make the recogniser that all sessions share; its engine is loaded with the first turn.

    ``phrases`` are added to those of the settings. Raises ConfigError when the engine or its model is
    known to be missing.
    """
    settings = settings or AsrSettings()
    if settings.engine == AUTO:
        settings = replace(settings, engine=EMBEDDED)
    if phrases:
        settings = replace(settings, phrases=tuple(dict.fromkeys((*settings.phrases, *phrases))))
    if settings.engine not in RECOGNIZERS:
        raise ConfigError(f'There is no recogniser "{settings.engine}"; choose one of {", ".join(RECOGNIZERS)}.')
    module, _, function = RECOGNIZERS[settings.engine].partition(":")
    return cast("Recognizer", getattr(import_module(module), function)(settings))
