"""Settings of what happens to the microphone before anybody listens to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parley.settings import Setting


@dataclass(frozen=True, slots=True)
class MicrophoneSettings:
    """Echo, noise and level."""

    echo: Annotated[
        str,
        Setting(
            "Echo from loudspeakers, for clients that do not cancel it: auto cancels it where one is heard and the "
            "livekit package is installed; cancel insists on the package; judge only recognises the agent's own "
            "voice; off trusts headphones.",
            choices=("auto", "cancel", "judge", "off"),
        ),
    ] = "auto"
    suppress_noise: Annotated[
        bool, Setting("Take steady noise out before listening (needs the livekit package; 5 ms of CPU per second).")
    ] = False
    normalise_level: Annotated[bool, Setting("Raise quiet microphones to the usual level before listening.")] = False
    level_dbfs: Annotated[float, Setting("The level to which speech is raised.", unit="dBFS", ge=-40, le=-10)] = -23.0
    max_gain_db: Annotated[float, Setting("Most that a quiet microphone is raised.", unit="dB", ge=0, le=40)] = 18.0
