"""A worker's handles: its models, capabilities and health."""

from __future__ import annotations

from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from parley.rpc.access import WorkerAccess, metadata_of, open_channel
from parley.rpc.convert import capabilities_from_proto, cloned_from_proto, model_from_proto, new_voice_to_proto
from parley.rpc.gen import tts_pb2 as pb
from parley.rpc.gen import tts_pb2_grpc
from parley.rpc.status import error_of
from parley.rpc.values import Capabilities, ClonedVoice, ModelStatus, NewVoice

CALL_LIMIT = 10.0
START_LIMIT = 330.0
"""A session may have to wait for its model to be read from disk."""
VOICE_LIMIT = 120.0
"""A model in memory hears a new voice before it is kept, between two sentences of what it speaks."""
_SERVICE = pb.DESCRIPTOR.services_by_name["TtsService"].full_name


class WorkerClient:
    """One worker's handles: models, capabilities, health. Methods raise errors of the tree."""

    def __init__(self, address: str, access: WorkerAccess = WorkerAccess(), *, channel: Any = None) -> None:
        self.address = address
        self._own = channel is None
        self._channel = channel if channel is not None else open_channel(address, access)
        self._stub: Any = tts_pb2_grpc.TtsServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._metadata = metadata_of(access)

    async def models(self) -> list[ModelStatus]:
        """All models of the worker's catalog, sorted by id."""
        answer = await self._call(self._stub.ListModels, pb.ListModelsRequest())
        return [model_from_proto(model) for model in answer.models]

    async def load(
        self, model_id: str, *, pin: bool = False, timeout: float = START_LIMIT
    ) -> tuple[ModelStatus, float]:
        """Make a model resident. Returns it and the seconds that it took (0: it was there)."""
        answer = await self._call(self._stub.LoadModel, pb.LoadModelRequest(model_id=model_id, pin=pin), timeout)
        return model_from_proto(answer.model), answer.load_ms / 1000

    async def unload(self, model_id: str) -> int:
        """Free a model. Returns the bytes that came back. Raises PreconditionFailed while it is used."""
        answer = await self._call(self._stub.UnloadModel, pb.UnloadModelRequest(model_id=model_id), 60.0)
        return int(answer.freed_bytes)

    async def reload(self, model_id: str, *, timeout: float = START_LIMIT) -> None:
        """Read a model again from disk; what was serving stays when that fails."""
        request = pb.ControlRequest(command=pb.CONTROL_COMMAND_RELOAD, model_id=model_id)
        await self._call(self._stub.Control, request, timeout)

    async def capabilities(self, *, timeout: float = CALL_LIMIT) -> Capabilities:
        """What the worker is, has and does right now."""
        return capabilities_from_proto(
            await self._call(self._stub.GetCapabilities, pb.GetCapabilitiesRequest(), timeout)
        )

    async def add_voice(self, voice: NewVoice, *, timeout: float = VOICE_LIMIT) -> ClonedVoice:
        """Keep a recording of a person as a voice. Raises PreconditionFailed where the worker does not allow it."""
        answer = await self._call(self._stub.AddVoice, new_voice_to_proto(voice), timeout)
        return cloned_from_proto(answer.voice)

    async def remove_voice(self, model_id: str, name: str, *, timeout: float = VOICE_LIMIT) -> None:
        """Delete such a voice. Raises NotFound."""
        await self._call(self._stub.RemoveVoice, pb.RemoveVoiceRequest(model_id=model_id, name=name), timeout)

    async def voices(self) -> list[ClonedVoice]:
        """Those that were made from recordings, sorted by model and name."""
        answer = await self._call(self._stub.ListVoices, pb.ListVoicesRequest())
        return [cloned_from_proto(voice) for voice in answer.voices]

    async def healthy(self, *, timeout: float = 2.0) -> bool:
        """True when the worker serves; False when it drains, starts or cannot be reached."""
        stub: Any = health_pb2_grpc.HealthStub(self._channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=_SERVICE), timeout=timeout)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    async def aclose(self) -> None:
        """Close the channel, when it is this client's own."""
        if self._own:
            await self._channel.close()

    async def _call(self, method: Any, request: Any, timeout: float = CALL_LIMIT) -> Any:
        try:
            return await method(request, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as failure:
            raise error_of(failure, peer=self.address) from failure
