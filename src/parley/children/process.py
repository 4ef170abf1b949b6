"""The parent's side of a child: started, spoken to, given up when it does not answer, ended."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, BinaryIO

from parley.children import wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_QUIT_LIMIT = 5.0


class ChildGone(Exception):
    """The child ended, or was ended because it did not answer in time; the text says how, for a sentence's middle."""


class ChildProcess:
    """One child over two pipes. Blocking: used from a thread that owns it; ``kill`` from any."""

    def __init__(self, module: str, arguments: Sequence[str] = (), *, python: str = "") -> None:
        """Start ``python -m module``; ``python`` is the interpreter of another environment, empty for this one.

        Another environment has what its child needs, and sees nothing of this one.
        """
        interpreter = [python, "-I"] if python else [sys.executable]
        self._process = subprocess.Popen(
            [*interpreter, "-m", module, *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us: the child goes when its pipe ends
        )  # fmt: skip
        assert self._process.stdin
        assert self._process.stdout
        self._stdin: BinaryIO = self._process.stdin  # type: ignore[assignment]
        self._stdout: BinaryIO = self._process.stdout  # type: ignore[assignment]
        self._overdue = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def send(self, kind: bytes, body: bytes = b"") -> None:
        """Write one message; waits while the pipe is full. Raises ChildGone."""
        try:
            wire.write(self._stdin, kind, body)
        except (OSError, ValueError):
            raise self._gone() from None

    def receive(self, limit: float = 0.0) -> tuple[bytes, bytes]:
        """Read one message, for at most ``limit`` seconds (0: as long as it takes). Raises ChildGone."""
        with self._limited(limit):
            try:
                return wire.read(self._stdout)
            except (EOFError, OSError, ValueError):
                raise self._gone() from None

    def ask(self, kind: bytes, body: bytes = b"", *, limit: float = 0.0) -> tuple[bytes, bytes]:
        """Send one message and read the answer, both within ``limit`` seconds."""
        with self._limited(limit):
            self.send(kind, body)
            return self.receive()

    def kill(self) -> None:
        """End it now, whatever it is at; who waits for it hears of it."""
        self._process.kill()

    def wait(self) -> str:
        """Wait until it has ended; says how."""
        code = self._process.wait()
        return self._overdue or (f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}")

    def close(self, last_words: bytes = b"") -> None:
        """Let it end (``last_words`` is the kind of a message that asks it to), or end it; nothing is left of it."""
        with contextlib.suppress(OSError, ValueError):
            if last_words:
                wire.write(self._stdin, last_words)
        with contextlib.suppress(OSError, ValueError):
            self._stdin.close()
        try:
            self._process.wait(_QUIT_LIMIT)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        with contextlib.suppress(OSError, ValueError):
            self._stdout.close()

    def _gone(self) -> ChildGone:
        self.kill()  # it may live on with a broken pipe, or have said what is no message
        return ChildGone(self.wait())

    @contextlib.contextmanager
    def _limited(self, seconds: float) -> Iterator[None]:
        if not seconds:
            yield
            return
        timer = threading.Timer(seconds, self._give_up, (seconds,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _give_up(self, seconds: float) -> None:
        self._overdue = f"no answer within {seconds:g} s"
        self.kill()
