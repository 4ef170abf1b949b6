"""A server and a worker of the benchmark's own: real processes on free ports, stopped afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from parley.bench.load import complete
from parley.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parley.bench.report import BenchOptions

START_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class RunningParley:
    """Something to measure."""

    url: str
    """WebSocket address of the session endpoint."""
    orchestrator_pid: int = 0
    """0 when it was not started here."""
    worker_pid: int = 0


@contextlib.contextmanager
def running_parley(
    options: BenchOptions,
    *,
    worker: str = "tone",
    settings: Mapping[str, object] | None = None,
    worker_settings: Mapping[str, object] | None = None,
) -> Iterator[RunningParley]:
    """``options.url`` where it is given; else a worker whose default model is ``worker`` and a server in front of it.

    The recogniser is the instant one, which understands the same words whatever is said. ``settings`` are the
    server's, by dotted key; ``--set server.x=y`` of the command line count more. ``worker_settings`` are the worker's.
    """
    if options.url:
        yield RunningParley(complete(options.url))
        return
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder, contextlib.ExitStack() as stack:
        worker_port, port = free_port(), free_port()
        worker_process = stack.enter_context(
            process(
                Path(folder, "worker.log"),
                "worker",
                {
                    "worker.port": worker_port,
                    "worker.models.default_model": worker,
                    "worker.max_sessions": 2048,
                    **(worker_settings or {}),
                },
            )
        )
        wait_for_port(worker_port, worker_process)
        server_settings = {
            "server.port": port,
            "server.max_sessions": 2048,
            "server.page": "false",
            "routing.workers": f"127.0.0.1:{worker_port}",
            "asr.engine": "instant",
            **(settings or {}),
            **{name: value for name, value in options.params.items() if "." in name},
        }
        server = stack.enter_context(process(Path(folder, "serve.log"), "serve", server_settings))
        wait_for_health(f"http://127.0.0.1:{port}/health", server)
        yield RunningParley(f"ws://127.0.0.1:{port}/v1/session", server.pid, worker_process.pid)


@contextlib.contextmanager
def running_bare() -> Iterator[RunningParley]:
    """A server of the same libraries that only takes and sends frames (``bare.py``)."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        arguments = [sys.executable, "-m", "parley.bench.bare", str(port)]
        with _child(Path(folder, "bare.log"), arguments) as server:
            wait_for_health(f"http://127.0.0.1:{port}/health", server)
            yield RunningParley(f"ws://127.0.0.1:{port}/v1/session", server.pid)


class Process(subprocess.Popen[bytes]):
    """A child that knows where it writes."""

    log: Path

    def complaint(self) -> str:
        """The last line that it wrote."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


@contextlib.contextmanager
def process(log: Path, command: str, settings: Mapping[str, object]) -> Iterator[Process]:
    """``parley COMMAND --set ...`` as a child; terminated at the end, killed when it does not go."""
    arguments = [sys.executable, "-m", "parley", command]
    for name, value in settings.items():
        arguments += ["--set", f"{name}={value}"]
    with _child(log, arguments) as child:
        yield child


@contextlib.contextmanager
def _child(log: Path, arguments: list[str]) -> Iterator[Process]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    with log.open("wb") as output, tempfile.TemporaryDirectory(prefix="parley-bench-") as elsewhere:
        # Started elsewhere, so that no settings file of the caller's folder counts.
        child = Process(arguments, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=elsewhere)
        child.log = log
        try:
            yield child
        finally:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, child: Process) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        _still_there(child)
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise UnavailableError(f"The worker did not start within {START_TIMEOUT:g} seconds: {child.complaint()}")


def wait_for_health(url: str, child: Process) -> None:
    assert urlsplit(url).hostname == "127.0.0.1"
    deadline = time.monotonic() + START_TIMEOUT
    why = "no answer"
    while time.monotonic() < deadline:
        _still_there(child)
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  (our own child)
                if answer.status == 200:
                    return
        except urllib.error.HTTPError as error:
            why = _reason(error.read())
        except OSError as error:
            why = str(error)
        time.sleep(0.1)
    raise UnavailableError(f"The server was not ready within {START_TIMEOUT:g} seconds: {why}")


def _reason(body: bytes) -> str:
    with contextlib.suppress(ValueError):
        return json.dumps(json.loads(body))
    return body[:200].decode(errors="replace")


def _still_there(child: Process) -> None:
    if child.poll() is not None:
        raise ConfigError(f"`{' '.join(map(str, child.args[1:4]))}` ended at once: {child.complaint()}")  # type: ignore[index]
