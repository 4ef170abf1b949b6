"""The client side of Parley's WebSocket protocol, for programs: ``parley chat``, ``say`` and the benchmarks."""

from parley.client.playout import Heard, Playout
from parley.client.session import Received, SessionClient

__all__ = ["Heard", "Playout", "Received", "SessionClient"]
