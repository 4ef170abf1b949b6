"""Parley in LiveKit Agents: ``from parley.integrations import livekit as parley``, then ``parley.STT`` and ``.TTS``."""

from __future__ import annotations

from parley.integrations.livekit_stt import STT as STT
from parley.integrations.livekit_tts import TTS as TTS
