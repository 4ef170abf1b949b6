"""How much of an answer the system keeps that its client was not sent yet."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

_UNSENT = 65_536


def keep_little(transport: asyncio.BaseTransport) -> None:
    """Let the system keep 64 KiB.

    It would take megabytes, and ask for more only when a good part of them is gone: a client that reads slowly, as a
    player does, could not be told from one that does not read.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family != getattr(socket, "AF_UNIX", None) and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
