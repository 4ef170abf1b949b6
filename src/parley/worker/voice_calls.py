"""The calls of ``parley.tts.v1`` about voices that are made from recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley.rpc.convert import cloned_to_proto, new_voice_from_proto
from parley.rpc.gen import tts_pb2 as pb
from parley.worker.requests import identifier

if TYPE_CHECKING:
    from parley.worker.cloning import Cloning
    from parley.worker.sessions import Sessions


class VoiceCalls:
    """Three calls; none adds anything while the worker drains."""

    def __init__(self, cloning: Cloning, sessions: Sessions) -> None:
        self._cloning, self._sessions = cloning, sessions

    async def add_voice(self, request: pb.AddVoiceRequest) -> pb.AddVoiceResponse:
        """Keep a recording of a person as a voice."""
        self._sessions.refuse_when_draining()
        identifier("model_id", request.model_id)
        return pb.AddVoiceResponse(voice=cloned_to_proto(await self._cloning.add(new_voice_from_proto(request))))

    async def remove_voice(self, request: pb.RemoveVoiceRequest) -> pb.RemoveVoiceResponse:
        """Delete such a voice."""
        await self._cloning.remove(identifier("model_id", request.model_id), identifier("name", request.name))
        return pb.RemoveVoiceResponse()

    async def list_voices(self, request: pb.ListVoicesRequest) -> pb.ListVoicesResponse:
        """The voices that were made from recordings."""
        return pb.ListVoicesResponse(voices=[cloned_to_proto(voice) for voice in await self._cloning.voices()])
