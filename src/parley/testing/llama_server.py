"""A small language model behind llama.cpp's own server, as a child process: ``python -m parley.testing.llama_server``.

Needs the package ``xllamacpp``, whose wheel carries llama.cpp, and a GGUF file.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.util import find_spec
from typing import TYPE_CHECKING

from parley.errors import ConfigError, UnavailableError
from parley.hints import install_packages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START_LIMIT = 60.0
_THREADS = 1
"""It shares the machine with everything else of the conversation."""


@contextlib.contextmanager
def running_llama(model: Path, port: int, log: Path) -> Iterator[str]:
    """Serve a GGUF file on a port of the loopback; the address up to and including /v1.

    Raises ConfigError where the package is missing and UnavailableError when the server does not start.
    """
    if find_spec("xllamacpp") is None:
        raise ConfigError(f"llama.cpp is not installed; install it with: {install_packages('xllamacpp')}.")
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "parley.testing.llama_server", str(model), str(port)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}/health", child)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            child.kill()
            child.wait()
            assert child.stdin is not None
            child.stdin.close()


def _wait_until_ready(address: str, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_LIMIT  # noqa: TID251  (another process, real time)
    while time.monotonic() < deadline:  # noqa: TID251
        if child.poll() is not None:
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=2) as answer:  # noqa: S310  (ours)
            if answer.status == 200:
                return
        time.sleep(0.05)  # noqa: TID251
    raise UnavailableError("llama.cpp's server did not start; its log says why.")


def _serve(model: str, port: int) -> None:
    """The child: serve until standard input closes."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path, parameters.hostnames, parameters.port = model, ["127.0.0.1"], port
    parameters.n_ctx, parameters.n_parallel, parameters.warmup = 4096, 1, True
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = _THREADS
    server = xllamacpp.Server(parameters)
    while sys.stdin.buffer.read(64):  # it closes with whoever started this process
        pass
    del server


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
