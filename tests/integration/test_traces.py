"""One trace for a spoken turn, with every process in it, as a collector receives it from a real `parley up`."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.integration.people import running, talking, text_of

from parley.bench.speech import say
from parley.messages import TranscriptUpdate
from parley.tracing import place_from

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

pytestmark = pytest.mark.anyio

_CALL = {"index": 0, "id": "c1", "type": "function", "function": {"name": "umbrella", "arguments": "{}"}}
_SECRET = "Umbrellas are purple"


@dataclass
class Seen:
    """What came in, of whom."""

    spans: list[Any] = field(default_factory=list)
    """Each as (service, span)."""
    parents: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Path -> the ``traceparent`` of each request."""
    news: threading.Condition = field(default_factory=threading.Condition)

    def trace_with(self, *names: str) -> dict[bytes, Any]:
        """The spans, by their ids, of the first trace that has all of these names; waits for it."""

        def complete() -> dict[bytes, Any]:
            traces: dict[bytes, dict[bytes, Any]] = defaultdict(dict)
            for service, span in self.spans:
                traces[span.trace_id][span.span_id] = (service, span)
            having = (spans for spans in traces.values() if set(names) <= {span.name for _, span in spans.values()})
            return next(having, {})

        with self.news:
            assert self.news.wait_for(complete, 30), sorted({span.name for _, span in self.spans})
            return complete()


@contextmanager
def world() -> Generator[tuple[str, Seen], None, None]:
    """A collector, a language model and a tool on one port."""
    seen = Seen()

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                sent = ExportTraceServiceRequest.FromString(body)
                with seen.news:
                    seen.spans += [(_service(group), span) for group in sent.resource_spans for span in _spans(group)]
                    seen.news.notify_all()
                self._answer(b"")
                return
            with seen.news:
                seen.parents[self.path].append(self.headers.get("traceparent", ""))
            if self.path == "/tool":
                self._answer(_SECRET.encode())
                return
            said = json.loads(body)["messages"][-1]["role"] == "tool"
            delta = {"content": f"{_SECRET} today."} if said else {"tool_calls": [_CALL]}
            event = {"choices": [{"index": 0, "delta": delta}]}
            self._answer(f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n".encode(), "text/event-stream")

        def _answer(self, body: bytes, kind: str = "text/plain") -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()


def _service(group: Any) -> str:
    return next(a.value.string_value for a in group.resource.attributes if a.key == "service.name")


def _spans(group: Any) -> list[Any]:
    return [span for scope in group.scope_spans for span in scope.spans]


def _value(span: Any, name: str) -> Any:
    found = next(a.value for a in span.attributes if a.key == name)
    return getattr(found, found.WhichOneof("value"))


async def test_a_spoken_turn_is_one_connected_trace_through_every_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")  # milliseconds; it is 5 s by itself
    tool = {"name": "umbrella", "description": "The colour of umbrellas.", "effect": "read"}
    with world() as (url, seen):
        config = tmp_path / "parley.yaml"
        config.write_text(json.dumps({"tools": {"http": [{**tool, "url": f"{url}/tool"}]}}))  # JSON is YAML
        options = {
            "traces.endpoint": url,
            "llm.engine": "openai",
            "llm.openai.base_url": f"{url}/v1",
            "asr.engine": "pocketsphinx",
            "worker.models.default_model": "espeak",
            "server.page": "false",
            "session.speculation.enabled": "false",  # one reply, and not one more for each guess
        }
        arguments = [part for name, value in options.items() for part in ("--set", f"{name}={value}")]
        with running(tmp_path, "--config", str(config), "--workers", "1", *arguments) as parley:
            async with talking(parley) as participant:
                participant.speak(say("What time is it?"))
                heard = await participant.next(TranscriptUpdate, final=True)
                await text_of(participant)
            spans = seen.trace_with(
                "turn", "speech", "stage endpoint", "stage sent", "recogniser", "decode pause", "language model",
                "tool umbrella", "speak", "synthesize", "engine",
            )  # fmt: skip
            worker = parley.worker()
    by_name: dict[str, list[Any]] = defaultdict(list)
    for service, span in spans.values():
        by_name[span.name].append((service, span))
    ((_, root),) = by_name["turn"]
    # one tree: whoever has a parent has it here
    assert not root.parent_span_id
    assert all(span is root or span.parent_span_id in spans for _, span in spans.values())
    # all processes are in it, each by its own number
    assert {service for service, _ in spans.values()} == {"parley-orchestrator", "parley-worker"}
    ((service, _),) = by_name["synthesize"]
    assert service == "parley-worker"
    engines = {_value(span, "process.pid") for _, span in by_name["engine"]}
    decoders = {_value(span, "process.pid") for _, span in by_name["decode pause"]}
    assert len(engines | decoders | {worker, parley.process.pid}) == 4
    # the worker's work hangs below the request that asked for it, and what was asked of others names their spans
    ((_, synthesize),) = by_name["synthesize"]
    assert spans[synthesize.parent_span_id][1].name == "speak"
    asked = [place_from(header) for header in seen.parents["/v1/chat/completions"]]
    assert {place.span_id for place in asked if place} == {
        int.from_bytes(span.span_id) for _, span in by_name["language model"]
    }
    assert len(asked) == 2
    (called,) = seen.parents["/tool"]
    assert (place := place_from(called)) is not None
    assert place.trace_id == int.from_bytes(root.trace_id)
    # every span lies in time, and the stages follow each other
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for _, span in spans.values())
    stages = sorted((s.start_time_unix_nano, s.end_time_unix_nano) for _, s in spans.values() if "stage " in s.name)
    assert all(before[1] == after[0] for before, after in pairwise(stages))
    # not one word of what was said
    text = b"".join(span.SerializeToString() for _, span in spans.values()).lower()
    for word in (*heard.text.lower().split(), *_SECRET.lower().split()):
        assert len(word) < 4 or word.encode() not in text
