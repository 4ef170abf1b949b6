"""Voice activity detection: one table of detectors, imported on use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from parley.errors import ConfigError
from parley.hints import install_packages
from parley.vad.settings import VadSettings

if TYPE_CHECKING:
    from parley.interfaces import VoiceActivityDetector

DETECTORS: dict[str, str] = {
    "silero": "parley.vad.silero:SileroVad",
    "webrtc": "parley.vad.webrtc:WebRtcVad",
}
"""Name in the settings -> "module:Class"; each class takes a VadSettings."""

__all__ = ["DETECTORS", "VadSettings", "create_vad"]


def create_vad(name: str = "", settings: VadSettings | None = None) -> VoiceActivityDetector:
    """Make a detector for one stream. Weights and sessions are shared; state is not.

    ``name`` defaults to ``settings.engine``. Raises ConfigError for a name that is not in the
    table and for a package that is not installed.
    """
    settings = settings or VadSettings()
    name = name or settings.engine
    if name not in DETECTORS:
        raise ConfigError(f'There is no voice activity detector "{name}"; choose one of {", ".join(DETECTORS)}.')
    module, _, attribute = DETECTORS[name].partition(":")
    try:
        detector = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f'The detector "{name}" needs a package; install it with: {install_packages(str(error.name))}.'
        ) from error
    return cast("VoiceActivityDetector", detector(settings))
