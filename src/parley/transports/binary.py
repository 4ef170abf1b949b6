"""The binary messages of the WebSocket protocol: audio behind a small typed header.

Little endian throughout::

    microphone    0  u8   kind = 1
                  1  u8   flags = 0
                  2  u16  reserved = 0
                  4  ...  PCM

    agent         0  u8   kind = 2
                  1  u8   flags; bit 0: the utterance's last frame
                  2  u16  reserved = 0
                  4  u32  number of the utterance, as in its ``reply`` message
                  8  u64  position of the first sample in the utterance, at 48 kHz
                 16  ...  PCM
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from parley.errors import InvalidRequest

MICROPHONE = 1
AGENT = 2
FINAL = 1
"""Flag: the utterance's last frame."""

MICROPHONE_HEADER = b"\x01\x00\x00\x00"
AGENT_HEADER = struct.Struct("<BBHIQ")
MIN_FRAME_MS = 10
MAX_FRAME_MS = 60


class AgentAudio(NamedTuple):
    """One binary message of the agent, taken apart."""

    number: int
    """Stands for the utterance id."""
    start_sample: int
    final: bool
    pcm: bytes


def pack_agent(number: int, start_sample: int, final: bool, pcm: bytes) -> bytes:
    """One frame of the agent's voice as a binary message."""
    return AGENT_HEADER.pack(AGENT, final, 0, number, start_sample) + pcm


def unpack_agent(data: bytes) -> AgentAudio:
    """Take a binary message of the agent apart; InvalidRequest when it is not one."""
    if len(data) < AGENT_HEADER.size or data[0] != AGENT:
        raise InvalidRequest("The binary message is not a frame of the agent's audio.")
    _, flags, _, number, start_sample = AGENT_HEADER.unpack_from(data)
    return AgentAudio(number, start_sample, bool(flags & FINAL), data[AGENT_HEADER.size :])


def unpack_microphone(data: bytes, min_bytes: int, max_bytes: int) -> bytes:
    """The PCM of a microphone frame, between ``min_bytes`` and ``max_bytes`` of it; InvalidRequest otherwise."""
    if data[:4] != MICROPHONE_HEADER:
        raise InvalidRequest("A binary message must begin with the microphone header: bytes 1, 0, 0, 0.")
    size = len(data) - 4
    if size & 1:
        raise InvalidRequest("Microphone audio must be whole 16-bit samples; this frame has an odd number of bytes.")
    if not min_bytes <= size <= max_bytes:
        raise InvalidRequest(
            f"A microphone frame must hold {MIN_FRAME_MS} to {MAX_FRAME_MS} ms "
            f"({min_bytes} to {max_bytes} bytes at this rate), not {size} bytes."
        )
    return data[4:]


def microphone_bounds(sample_rate: int) -> tuple[int, int]:
    """Fewest and most bytes of PCM in one microphone frame at ``sample_rate``."""
    per_ms = 2 * sample_rate // 1000
    return MIN_FRAME_MS * per_ms, MAX_FRAME_MS * per_ms
