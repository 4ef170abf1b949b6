"""How an orchestrator reaches a worker: the channel, the key, the certificates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from parley.errors import ConfigError
from parley.rpc.options import CHANNEL_OPTIONS


@dataclass(frozen=True, slots=True)
class WorkerAccess:
    """How to talk to workers: what they are trusted by and what they trust."""

    api_key: str = ""
    """Sent as ``authorization: Bearer KEY``; empty sends none."""
    tls: bool = False
    """Speak TLS."""
    ca: str = ""
    """PEM file with the authority of the worker's certificate; empty takes the system's."""
    cert: str = ""
    """PEM file with our own certificate, for mutual TLS."""
    key: str = ""
    """PEM file with its private key."""
    server_name: str = ""
    """Name that the worker's certificate is checked for, where it is not the address."""
    session_idle: float = 120.0
    """Seconds without an utterance after which a session's lease is given back."""


def open_channel(address: str, access: WorkerAccess = WorkerAccess()) -> grpc.aio.Channel:
    """Return a channel to ``address`` (host:port) that connects on first use. Raises ConfigError for a bad file."""
    options: list[tuple[str, Any]] = list(CHANNEL_OPTIONS)
    if not access.tls:
        return grpc.aio.insecure_channel(address, options=options)
    if access.server_name:
        options.append(("grpc.ssl_target_name_override", access.server_name))
    credentials = grpc.ssl_channel_credentials(_pem(access.ca), _pem(access.key), _pem(access.cert))
    return grpc.aio.secure_channel(address, credentials, options=options)


def _pem(path: str) -> bytes | None:
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"The TLS file {path} cannot be read ({error.strerror}).") from error


def metadata_of(access: WorkerAccess) -> tuple[tuple[str, str], ...]:
    """What is sent with every call."""
    return (("authorization", f"Bearer {access.api_key}"),) if access.api_key else ()
