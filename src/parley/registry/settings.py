"""What a person may set about the registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parley.settings import Setting


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """Where workers announce themselves, and for how long an announcement is believed."""

    url: Annotated[
        str,
        Setting(
            "redis://[:password@]host:port/db, or rediss:// for TLS, shared by all hosts; empty keeps the registry in "
            "this process.",
            secret=True,
        ),
    ] = ""
    prefix: Annotated[str, Setting("Start of every Redis key, so that several fleets can share a server.")] = "parley"
    lease: Annotated[
        float, Setting("How long a worker that fell silent is still believed to be there.", unit="s", ge=0.2, le=300)
    ] = 4.0
    heartbeat: Annotated[
        float, Setting("How often a worker renews its lease with fresh figures.", unit="s", ge=0.05, le=100)
    ] = 1.0
    refresh: Annotated[
        float, Setting("How often an orchestrator reads the list anew even without news.", unit="s", ge=0.05, le=60)
    ] = 1.0
    max_backoff: Annotated[
        float, Setting("Longest wait between two tries to reach a registry that is gone.", unit="s", ge=0.05, le=60)
    ] = 2.0
    snapshots: Annotated[
        bool, Setting("Keep each session's history for a while, so that a client that reconnects goes on with it.")
    ] = True
    snapshot_ttl: Annotated[
        float, Setting("How long a disconnected session's history is kept.", unit="s", ge=1, le=86_400)
    ] = 30.0
