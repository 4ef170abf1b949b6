"""Settings of the WebSocket transport; apart from its code, as the others' are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parley.settings import Setting


@dataclass(frozen=True, slots=True)
class WebSocketSettings:
    """Bounds of the WebSocket endpoint."""

    max_queued_audio: Annotated[
        float,
        Setting(
            "Audio kept for a client whose connection is slow; when_slow says what comes then.", unit="s", ge=0.1, le=10
        ),
    ] = 1.0
    when_slow: Annotated[
        str,
        Setting(
            "Beyond that: stall makes the reply wait, drop_oldest drops the oldest audio and goes on in time.",
            choices=("stall", "drop_oldest"),
        ),
    ] = "stall"
    stall_timeout: Annotated[
        float, Setting("A client that takes no data for this long is dropped.", unit="s", ge=0.5, le=120)
    ] = 5.0
    idle_timeout: Annotated[
        float, Setting("A client that sends nothing at all for this long is dropped.", unit="s", ge=1, le=86_400)
    ] = 300.0
    start_timeout: Annotated[
        float, Setting("How long a new connection may take to send its start message.", unit="s", ge=0.1, le=120)
    ] = 10.0
