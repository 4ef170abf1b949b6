"""Whoever stops Parley while it works for other people's clients waits a moment for those who listen."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.integration.people import running

from parley.api.wyoming import wire
from parley.api.wyoming.wire import Event

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
TEXT = "The quick brown fox jumps over the lazy dog. " * 80
SOON = 10.0
"""Seconds; a client that does not read is given up after 30."""


def wyoming(port: int, *messages: tuple[str, Mapping[str, object]], payload: bytes = b"") -> socket.socket:
    """A client that has said all of this; the last message has the ``payload``."""
    client = narrow(port)
    for number, (kind, data) in enumerate(messages, 1):
        last = payload if number == len(messages) else b""
        client.sendall(wire.packed(Event(kind, dict(data), last)))
    return client


def http(port: int, body: bytes, length: int) -> socket.socket:
    client = narrow(port)
    client.sendall(b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % length + body)
    return client


def narrow(port: int) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(20)
    client.connect(("127.0.0.1", port))
    return client


def test_it_stops_soon_and_without_a_traceback(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    speech = json.dumps({"input": TEXT, "response_format": "wav"}).encode()
    sound = {"rate": 16_000, "width": 2, "channels": 1}
    with running(tmp_path, "--wyoming", "--set", f"wyoming.port={port}") as it, ExitStack() as clients:
        web = int(it.url.rpartition(":")[2])
        spoken = clients.enter_context(http(web, speech, len(speech)))
        half = clients.enter_context(http(web, speech[:5], len(speech)))
        clients.enter_context(wyoming(port))
        at_work = (
            spoken,
            clients.enter_context(wyoming(port, ("synthesize", {"text": TEXT}))),
            clients.enter_context(wyoming(port, ("synthesize-start", {}), ("synthesize-chunk", {"text": "Hello. "}))),
            clients.enter_context(wyoming(port, ("audio-start", sound), ("audio-chunk", sound), payload=bytes(3200))),
        )
        for client in at_work:
            assert client.recv(1)
        began = time.monotonic()
        it.process.send_signal(signal.SIGINT)
        try:
            assert it.process.wait(SOON) == 0
        except subprocess.TimeoutExpired:
            pytest.fail(f"it still runs {time.monotonic() - began:.0f} s after it was told to stop")
        assert b"503 Service Unavailable" in half.recv(100)
    log = it.log.read_text()
    assert "Traceback" not in log, log


def test_a_text_that_is_being_spoken_is_spoken_to_its_end(tmp_path: Path) -> None:
    body = json.dumps({"input": "The quick brown fox jumps over the lazy dog. " * 4, "response_format": "wav"}).encode()
    with running(tmp_path) as it:
        web = int(it.url.rpartition(":")[2])
        with http(web, body, len(body)) as client:
            answer = client.recv(1000)
            it.process.send_signal(signal.SIGTERM)
            while data := client.recv(65_536):
                answer = answer[-10:] + data
            assert answer.endswith(b"\r\n0\r\n\r\n")
        assert it.process.wait(SOON) == 0
