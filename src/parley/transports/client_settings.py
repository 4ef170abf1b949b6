"""Settings of what one client may send, the same whichever way it came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parley.settings import Setting


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Bounds of one client: nobody can send so much that others have to wait.

    Somebody who talks, taps buttons and reports what they hear does not come near them.
    """

    message_rate: Annotated[
        float, Setting("Messages that one client may send a second in the long run.", ge=10, le=10_000)
    ] = 100.0
    message_burst: Annotated[
        int,
        Setting("Messages that it may send at once, after a stall of its connection for example.", ge=10, le=10_000),
    ] = 200
    patience: Annotated[
        float,
        Setting("A client that goes on sending too many messages for this long is sent away.", unit="s", ge=1, le=600),
    ] = 10.0
    audio_burst: Annotated[
        float, Setting("Microphone audio that it may send faster than real time.", unit="s", ge=0.5, le=60)
    ] = 3.0
    max_message_bytes: Annotated[
        int, Setting("Longest message a client may send.", unit="bytes", ge=8_192, le=1_048_576)
    ] = 65_536
    max_mistakes: Annotated[
        int,
        Setting("Faulty messages in a row (one is forgiven each second) before a client is dropped.", ge=1, le=1000),
    ] = 20
