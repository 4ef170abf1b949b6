"""Where traces go: nowhere unless an address is set."""

from __future__ import annotations

import socket
import sys
import threading
from importlib.machinery import PathFinder

import pytest

from parley.errors import ConfigError
from parley.observability import otlp
from parley.observability.otlp import exporting
from parley.observability.settings import TraceSettings
from parley.tracing import Place, begin, is_collecting, working_for


def test_without_an_address_nobody_collects_and_nothing_is_imported() -> None:
    with exporting(TraceSettings(), "parley-test"):
        assert not is_collecting()


@pytest.mark.parametrize("endpoint", ["localhost:4318", "grpc://host:4317", "http://", "http://host:port"])
def test_what_is_no_address_is_told_at_the_start(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="OTLP collector"), exporting(TraceSettings(endpoint), "parley-test"):
        pass


@pytest.mark.parametrize("missing", ["opentelemetry", "opentelemetry.exporter"])
def test_without_the_package_or_a_part_of_it_it_is_told_how_to_install_it(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = PathFinder.find_spec

    def find_spec(name: str, *more: object) -> object:
        return None if name.startswith(missing) else found(name, *more)  # type: ignore[arg-type]

    for name in [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(PathFinder, "find_spec", find_spec)
    with (
        pytest.raises(ConfigError, match="OpenTelemetry"),
        exporting(TraceSettings("http://127.0.0.1:4318"), "parley-test"),
    ):
        pass


def test_who_stops_does_not_wait_for_a_collector_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "_LAST", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as collector:
        url = f"http://127.0.0.1:{collector.getsockname()[1]}"
        with exporting(TraceSettings(url), "parley-test"), working_for(lambda: Place(1, 2)):
            begin("work").end()
        (sending,) = (thread for thread in threading.enumerate() if thread.name == "traces")  # it is still at it
        waiting, _ = collector.accept()
        with waiting:
            waiting.recv(65_536)
            waiting.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        sending.join(30)
        assert not sending.is_alive()  # nothing of it is left to disturb other tests
