"""Settings of the LiveKit transport; apart from its code, which needs the extra ``livekit``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parley.settings import Setting


@dataclass(frozen=True, slots=True)
class LiveKitSettings:
    """The LiveKit server that sessions may come through; none unless ``url`` is set."""

    url: Annotated[str, Setting("Address of the LiveKit server, such as ws://127.0.0.1:7880; empty for none.")] = ""
    public_url: Annotated[
        str, Setting("Address that clients are told, where it differs from the one this process uses.")
    ] = ""
    api_key: Annotated[str, Setting("API key of the LiveKit server.")] = ""
    api_secret: Annotated[str, Setting("Secret that belongs to the API key.", secret=True)] = ""
    agent_name: Annotated[
        str, Setting("Name under which this orchestrator takes jobs; rooms ask for it by this name.")
    ] = "parley"
    token_ttl: Annotated[
        float, Setting("How long a token for a room may be used to join.", unit="s", ge=10, le=86_400)
    ] = 120.0
    tokens: Annotated[bool, Setting("Hand out tokens at /v1/livekit/token to clients that may use this server.")] = True
    join_timeout: Annotated[
        float, Setting("An agent waits this long for its participant, then leaves.", unit="s", ge=1, le=600)
    ] = 30.0
    start_timeout: Annotated[
        float,
        Setting("How long a Parley client may take to send its start message after joining.", unit="s", ge=0.1, le=60),
    ] = 5.0
    client_delay: Annotated[
        float,
        Setting(
            "Time from this process to the ear through room and jitter buffer, where nobody tells.",
            unit="s",
            ge=0,
            le=2,
        ),
    ] = 0.1
    drain: Annotated[float, Setting("At shutdown, how long running sessions may go on.", unit="s", ge=0, le=3600)] = (
        30.0
    )
