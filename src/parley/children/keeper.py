"""Runs a program of somebody else's so that it ends with us, whatever ends us: ``python keeper.py FD PROGRAM ...``.

The program has this process's three standard streams. While the pipe behind FD is open it may run; when the pipe ends,
because whoever holds its other end closes it or is no more, the program and all that it has started are ended. Only the
standard library: it is started by its path, and lives beside the program.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading

_GRACE = 2.0
"""Seconds between the request to end and the end."""


def main(life: int, command: list[str]) -> int:
    """Run it; returns its exit code, 127 where it cannot be started."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)  # who started us says when it is over, by the pipe
    try:
        program = subprocess.Popen(command, start_new_session=True, restore_signals=True, preexec_fn=_as_usual)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    for stream in (0, 1):
        os.close(stream)  # only the program speaks and listens
    ended_read, ended_write = os.pipe()

    def watch() -> None:
        program.wait()
        os.close(ended_write)

    threading.Thread(target=watch, daemon=True).start()
    select.select([life, ended_read], [], [])
    _end(program, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        program.wait(_GRACE)
    _end(program, signal.SIGKILL)
    return program.wait()


def _as_usual() -> None:
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_DFL)


def _end(program: subprocess.Popen[bytes], how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(program.pid, how)


if __name__ == "__main__":
    code = main(int(sys.argv[1]), sys.argv[2:])
    sys.exit(code if code >= 0 else 128 - code)
