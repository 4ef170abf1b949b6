"""Voice activity detection, and the models that hear whose turn it is: a table of each, imported on use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from parley.errors import ConfigError
from parley.hints import install_packages
from parley.vad.settings import VadSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from parley.interfaces import EndOfTurnModel, InterruptionModel, VoiceActivityDetector

DETECTORS: dict[str, str] = {
    "silero": "parley.vad.silero:SileroVad",
    "webrtc": "parley.vad.webrtc:WebRtcVad",
}
"""Name in the settings -> "module:Class"; each class takes a VadSettings."""

TURN_MODELS: dict[str, str] = {
    "smart-turn": "parley.vad.smart_turn:SmartTurn",
    "turn-1-mini": "parley.vad.turn_1:Turn1Mini",
}
"""Name in the settings -> "module:Class"; each class takes the path of its file."""

INTERRUPTION_MODELS: dict[str, str] = {"backchannel-detector": "parley.vad.backchannel:BackchannelDetector"}
"""The same for what is said over a reply; ``overhear()`` of each is one session's."""

__all__ = [
    "DETECTORS",
    "INTERRUPTION_MODELS",
    "TURN_MODELS",
    "VadSettings",
    "create_interruption_model",
    "create_turn_model",
    "create_vad",
]


def create_vad(name: str = "", settings: VadSettings | None = None) -> VoiceActivityDetector:
    """Make a detector for one stream. Weights and sessions are shared; state is not.

    ``name`` defaults to ``settings.engine``. Raises ConfigError for a name that is not in the
    table and for a package that is not installed.
    """
    settings = settings or VadSettings()
    name = name or settings.engine
    if name not in DETECTORS:
        raise ConfigError(f'There is no voice activity detector "{name}"; choose one of {", ".join(DETECTORS)}.')
    try:
        detector = _named(DETECTORS[name])
    except ModuleNotFoundError as error:
        raise ConfigError(
            f'The detector "{name}" needs a package; install it with: {install_packages(str(error.name))}.'
        ) from error
    return cast("VoiceActivityDetector", detector(settings))


def create_turn_model(name: str, path: Path) -> EndOfTurnModel:
    """Open a turn model; it serves all sessions. Raises ConfigError for a file that is missing or is none of its kind.

    ``name`` is one of ``TURN_MODELS``.
    """
    return cast("EndOfTurnModel", _named(TURN_MODELS[name])(path))


def create_interruption_model(name: str, path: Path) -> Callable[[], InterruptionModel]:
    """Open an interruption model: what is returned makes one for each session. Raises ConfigError as above.

    ``name`` is one of ``INTERRUPTION_MODELS``.
    """
    return cast("Callable[[], InterruptionModel]", _named(INTERRUPTION_MODELS[name])(path).overhear)


def _named(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
