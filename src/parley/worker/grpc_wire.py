"""The servicer behind gRPC: handlers, status codes, the key."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health

from parley.errors import ParleyError
from parley.rpc.gen import tts_pb2 as pb
from parley.rpc.status import CODE_KEY, status_of
from parley.tracing import working_for
from parley.worker.calls import NO_KEY, SERVICE, Method, caller, checked, checked_stream, parser, unary_calls

if TYPE_CHECKING:
    from parley.worker.servicer import TtsServicer
    from parley.worker.voice_calls import VoiceCalls


def handlers(servicer: TtsServicer, voices: VoiceCalls) -> grpc.GenericRpcHandler:
    """All calls of the service."""
    methods: dict[str, Any] = {
        name: grpc.unary_unary_rpc_method_handler(_unary(method), parser(request), _serialize)
        for name, (method, request) in unary_calls(servicer, voices).items()
    }
    methods["Synthesize"] = grpc.stream_stream_rpc_method_handler(
        _stream(servicer.synthesize), parser(pb.SynthesizeRequest), _serialize
    )
    return grpc.method_handlers_generic_handler(SERVICE, methods)


def interceptors(api_key: str) -> tuple[grpc.aio.ServerInterceptor, ...]:
    """Who asks for the key, where there is one."""
    return (_KeyCheck(api_key),) if api_key else ()


def _serialize(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data


def _unary(method: Method) -> Callable[[Any, Any], Awaitable[Any]]:
    async def handle(request: Any, context: Any) -> Any:
        try:
            return await method(checked(request))
        except ParleyError as error:
            await _abort(context, error)

    return handle


def _stream(method: Callable[[AsyncIterator[Any]], AsyncIterator[Any]]) -> Callable[[Any, Any], Awaitable[None]]:
    async def handle(requests: AsyncIterator[Any], context: Any) -> None:
        try:
            with working_for(partial(caller, context.invocation_metadata())):
                async with aclosing(method(checked_stream(requests))) as messages:  # type: ignore[type-var]
                    async for message in messages:
                        await context.write(message)
        except ParleyError as error:
            await _abort(context, error)
        except grpc.aio.InternalError:
            return  # the client has gone while a message was on its way; its utterance is closed by now

    return handle


async def _abort(context: Any, error: ParleyError) -> None:
    code, trailing = status_of(error)
    await context.abort(code, error.message, trailing)


class _KeyCheck(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Refuses calls without the key. Health stays open: those who ask for it carry no keys."""

    def __init__(self, api_key: str) -> None:
        self._expected = f"Bearer {api_key}".encode()

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        given = next((value for key, value in details.invocation_metadata or () if key == "authorization"), "")
        known = hmac.compare_digest(str(given).encode(), self._expected)
        if known or details.method.startswith(f"/{health.SERVICE_NAME}/"):
            return await continuation(details)
        handler = await continuation(details)
        if handler is not None and handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(_refuse_stream)
        return grpc.unary_unary_rpc_method_handler(_refuse)


async def _refuse(request: Any, context: Any) -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, NO_KEY, ((CODE_KEY, "unauthorized"),))


async def _refuse_stream(requests: Any, context: Any) -> None:
    await _refuse(requests, context)
