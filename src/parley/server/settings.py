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
    keys: Annotated[
        str,
        Setting(
            "YAML file of keys with roles, an end and limits of their own, made by `parley keys add`; read again "
            "when it changes. Beside api_key, which opens everything; empty for none."
        ),
    ] = ""
    audit: Annotated[
        str,
        Setting(
            "File to which a line of JSON is appended for each conversation, refused key, token, and change of models "
            "or voices: who, from where, when, never what was said; empty for none."
        ),
    ] = ""
    allowed_origins: Annotated[
        tuple[str, ...],
        Setting(
            "Origins (https://example.org) whose pages may connect, and call the HTTP routes (CORS), besides this "
            "server's own; * allows all."
        ),
    ] = ()
    allowed_hosts: Annotated[
        tuple[str, ...],
        Setting(
            "Names (parley.example.org) under which this server may be reached by HTTP without a key, besides "
            "localhost, addresses and this machine's own name; * allows all."
        ),
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        Setting(
            "Addresses or networks (127.0.0.1, 10.0.0.0/8) of reverse proxies whose X-Forwarded-For is believed; "
            "nobody's is believed without it."
        ),
    ] = ()
    max_connections: Annotated[
        int,
        Setting(
            "Most connections at a time, of whatever kind; another one is answered with 503. "
            "0 for four for each of max_sessions and 256 more.",
            ge=0,
            le=1_000_000,
        ),
    ] = 0
    max_connections_per_address: Annotated[
        int, Setting("The same for one address, answered with 429; 0 for half of all.", ge=0, le=1_000_000)
    ] = 0
    connection_rate: Annotated[
        float,
        Setting(
            "Connections that one address may open a second in the long run; more wait, for 5 seconds at most.",
            ge=1,
            le=100_000,
        ),
    ] = 50.0
    connection_burst: Annotated[int, Setting("Connections that one address may open at once.", ge=1, le=100_000)] = 200
    handshake_rate: Annotated[
        float,
        Setting(
            "WebSockets that one address may open a second in the long run; more wait, for 5 seconds at most.",
            ge=1,
            le=100_000,
        ),
    ] = 20.0
    handshake_burst: Annotated[int, Setting("WebSockets that one address may open at once.", ge=1, le=100_000)] = 60
    handshakes: Annotated[
        float,
        Setting(
            "WebSockets that are opened a second, for all addresses together; where more are wanted, addresses take "
            "turns.",
            ge=1,
            le=100_000,
        ),
    ] = 50.0
    request_timeout: Annotated[
        float,
        Setting(
            "How long an HTTP request may take to arrive, headers and body together; a long body has more time, by "
            "upload_rate.",
            unit="s",
            ge=1,
            le=600,
        ),
    ] = 15.0
    upload_rate: Annotated[
        int,
        Setting(
            "Slowest body that is waited for beyond request_timeout, over its whole length.",
            unit="bytes/s",
            ge=1,
            le=1_000_000_000,
        ),
    ] = 20_000
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
