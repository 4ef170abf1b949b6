"""Spans on their way to a collector, by OTLP over HTTP. OpenTelemetry is imported where an address is set."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from parley import __version__
from parley.errors import ConfigError
from parley.hints import install
from parley.tracing import collecting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from parley.observability.settings import TraceSettings
    from parley.tracing import Span

_QUEUE = 4_096
"""Spans that may wait for the collector; more are dropped, and nobody waits for it."""
_BATCH = 512
_LAST = 2.0
"""Seconds that the last spans have to leave; nobody who stops waits longer for a collector."""


@contextmanager
def exporting(settings: TraceSettings, service: str, instance: str = "") -> Iterator[None]:
    """Send spans of this process to ``traces.endpoint`` while the block runs; does nothing where none is set.

    ``service`` is its name there, ``instance`` tells it from others of that name. Raises ConfigError for what is no
    address, and where the package is missing.
    """
    if not settings.endpoint:
        yield
        return
    address = _address(settings.endpoint)
    try:
        processor, convert = _opened(address, service, instance)
    except ImportError:  # all of it, or the exporter alone
        raise ConfigError(f"traces.endpoint needs OpenTelemetry; install it with: {install('otel')}.") from None
    try:
        with collecting(lambda span: processor.on_end(convert(span)), settings.sample):
            yield
    finally:
        ending = threading.Thread(target=processor.shutdown, name="traces", daemon=True)
        ending.start()
        ending.join(_LAST)


def _address(endpoint: str) -> str:
    """Where the traces go: the collector's address, with the path that OTLP has for them where it names none."""
    try:
        parts = urlsplit(endpoint)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise ConfigError(
            f'traces.endpoint is "{endpoint}", but it must be the address of an OTLP collector over HTTP, such as '
            "http://127.0.0.1:4318."
        )
    return endpoint if parts.path.strip("/") else f"{endpoint.rstrip('/')}/v1/traces"


def _opened(address: str, service: str, instance: str) -> tuple[Any, Callable[[Span], Any]]:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

    about: dict[str, Any] = {"service.name": service, "service.version": __version__, "service.namespace": "parley"}
    if instance:
        about["service.instance.id"] = instance
    resource, scope = Resource.create(about), InstrumentationScope("parley", __version__)
    kinds = {"internal": SpanKind.INTERNAL, "client": SpanKind.CLIENT, "server": SpanKind.SERVER}
    sampled = TraceFlags(TraceFlags.SAMPLED)
    processor = BatchSpanProcessor(
        OTLPSpanExporter(endpoint=address),
        max_queue_size=_QUEUE,
        max_export_batch_size=_BATCH,
    )

    def convert(span: Span) -> ReadableSpan:
        parent = span.parent
        return ReadableSpan(
            name=span.name,
            context=SpanContext(span.place.trace_id, span.place.span_id, is_remote=False, trace_flags=sampled),
            parent=SpanContext(parent.trace_id, parent.span_id, is_remote=False, trace_flags=sampled)
            if parent is not None
            else None,
            resource=resource,
            attributes=dict(span.attributes),
            kind=kinds[span.kind],
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET),
            start_time=span.start_ns,
            end_time=span.end_ns,
            instrumentation_scope=scope,
        )

    return processor, convert
