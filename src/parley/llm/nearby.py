"""Language models that run on this machine already: who answers like OpenAI on the usual ports of the loopback.

A bare request over a bare connection: it is asked while everything else starts, and nothing may be imported for it.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

USUAL_PORTS = (11434, 1234, 8000, 8001)
"""Of Ollama, LM Studio, vLLM and llama.cpp's server or a second one."""
PATIENCE = 0.2
"""Seconds for all of them together."""
_HOST = "127.0.0.1"
_MAX_BYTES = 262_144
_MAX_MODELS = 64
_MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class NearbyModel:
    """A server that was found."""

    port: int
    models: tuple[str, ...]
    """Their names, as the server lists them; at least one."""

    @property
    def address(self) -> str:
        """What ``--llm`` takes: the endpoint, and its first model."""
        return f"http://{_HOST}:{self.port}/v1#{self.models[0]}"


async def find_nearby(ports: Iterable[int] = USUAL_PORTS, patience: float = PATIENCE) -> list[NearbyModel]:
    """Everybody who lists models in time, in the order of ``ports``. Never raises, never takes longer."""
    asked = [asyncio.create_task(_ask(port), name=f"language model at {port}?") for port in ports]
    if not asked:
        return []
    try:
        await asyncio.wait(asked, timeout=patience)
    finally:
        for task in asked:
            task.cancel()
        answers = await asyncio.gather(*asked, return_exceptions=True)
    return [answer for answer in answers if isinstance(answer, NearbyModel)]


async def _ask(port: int) -> NearbyModel | None:
    request = f"GET /v1/models HTTP/1.0\r\nHost: {_HOST}:{port}\r\nAccept: application/json\r\n\r\n"
    try:
        reader, writer = await asyncio.open_connection(_HOST, port)
        try:
            writer.write(request.encode())
            answer = await _all_of(reader)
        finally:
            writer.transport.abort()
    except OSError:
        return None
    models = models_of(answer)
    return NearbyModel(port, models) if models else None


async def _all_of(reader: asyncio.StreamReader) -> bytes:
    """The answer to its end: HTTP/1.0 closes there. What is longer than any list of models is cut, and is none."""
    answer = bytearray()
    while len(answer) < _MAX_BYTES and (piece := await reader.read(_MAX_BYTES)):
        answer += piece
        if _whole(answer):
            break
    return bytes(answer[:_MAX_BYTES])


def _whole(answer: bytearray) -> bool:
    """Some keep the connection open all the same."""
    head, found, body = answer.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n") if found else ():
        name, _, value = line.partition(b":")
        if name == b"content-length" and value.strip().isdigit():
            return len(body) >= int(value)
    return False


def models_of(answer: bytes) -> tuple[str, ...]:
    """The names in ``{"data": [{"id": ...}]}``; none where this is not what a chat endpoint answers."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.") or head[9:12] != b"200":
        return ()
    try:
        listed = json.loads(body)["data"]
        names = [item["id"] for item in listed[:_MAX_MODELS]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
    return tuple(name for name in names if isinstance(name, str) and name.isprintable() and 0 < len(name) <= _MAX_NAME)
