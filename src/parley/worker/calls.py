"""The servicer's calls as both wires serve them: by name, each with the message that it takes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from parley.errors import InvalidRequest
from parley.rpc.gen import tts_pb2 as pb
from parley.tracing import Place, parent_of

if TYPE_CHECKING:
    from parley.worker.servicer import TtsServicer
    from parley.worker.voice_calls import VoiceCalls

SERVICE = pb.DESCRIPTOR.services_by_name["TtsService"].full_name
NO_KEY = "The API key is missing or wrong; send it as the metadata 'authorization: Bearer KEY'."
Method = Callable[[Any], Awaitable[Any]]
_MALFORMED = object()


def unary_calls(servicer: TtsServicer, voices: VoiceCalls) -> dict[str, tuple[Method, Any]]:
    """Those of one message and one answer."""
    return {
        "StartSession": (servicer.start_session, pb.StartSessionRequest),
        "Control": (servicer.control, pb.ControlRequest),
        "EndSession": (servicer.end_session, pb.EndSessionRequest),
        "ListModels": (servicer.list_models, pb.ListModelsRequest),
        "LoadModel": (servicer.load_model, pb.LoadModelRequest),
        "UnloadModel": (servicer.unload_model, pb.UnloadModelRequest),
        "AddVoice": (voices.add_voice, pb.AddVoiceRequest),
        "RemoveVoice": (voices.remove_voice, pb.RemoveVoiceRequest),
        "ListVoices": (voices.list_voices, pb.ListVoicesRequest),
        "GetCapabilities": (servicer.get_capabilities, pb.GetCapabilitiesRequest),
    }


def parser(request: Any) -> Callable[[bytes], Any]:
    """A parser that lets the method refuse bad bytes; raising here would be reported as our fault."""

    def parse(data: bytes) -> Any:
        try:
            return request.FromString(data)
        except DecodeError:
            return _MALFORMED

    return parse


def checked(request: Any) -> Any:
    """What a parser has read. Raises InvalidRequest when that was nothing."""
    if request is _MALFORMED:
        raise InvalidRequest("The message can not be read; text has to be UTF-8.")
    return request


async def checked_stream(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The same for many."""
    async for request in requests:
        yield checked(request)


def caller(metadata: Iterable[tuple[Any, Any]] | None) -> Place | None:
    """The span that a call works for, where its caller named one and this worker tells of its own."""
    return parent_of({str(key): str(value) for key, value in metadata or ()})
