"""Settings of the orchestrator's HTTP server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parley.settings import Setting


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where the orchestrator listens, whom it lets in, and how many."""

    host: Annotated[str, Setting("Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1"
    port: Annotated[int, Setting("Port to listen on; 0 takes a free one.", ge=0, le=65_535)] = 8080
    max_sessions: Annotated[
        int, Setting("Most conversations at a time; the next one is refused at once.", ge=1, le=100_000)
    ] = 100
    api_key: Annotated[
        str, Setting("Key that clients must send; empty lets everybody in who can reach the port.", secret=True)
    ] = ""
    allowed_origins: Annotated[
        tuple[str, ...],
        Setting("Origins (https://example.org) whose pages may connect besides this server's own; * allows all."),
    ] = ()
    session_idle: Annotated[
        float,
        Setting(
            "A conversation in which nobody has said anything for this long is ended; 0 for never.", unit="s", ge=0
        ),
    ] = 900.0
    tls_cert: Annotated[str, Setting("PEM file with the certificate chain for HTTPS; empty serves HTTP.")] = ""
    tls_key: Annotated[str, Setting("PEM file with the certificate's private key.")] = ""
    reuse_port: Annotated[
        bool, Setting("Let several orchestrator processes on this host share the port; the system spreads clients.")
    ] = False
    drain: Annotated[
        float,
        Setting("After SIGTERM, how long conversations may go on before they are ended.", unit="s", ge=0, le=3600),
    ] = 30.0
    metrics: Annotated[bool, Setting("Serve Prometheus metrics at /metrics.")] = True
    page: Annotated[bool, Setting("Serve the web page at /.")] = True
    warm_up: Annotated[bool, Setting("Load the recogniser and the voice before /health says that all is well.")] = True
