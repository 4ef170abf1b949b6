"""A line that is typed while something else is drawn: characters in, whole lines out. The terminal part is below."""

from __future__ import annotations

import codecs
import contextlib
import os
from collections.abc import Callable, Iterator
from typing import IO

MOST = 4_000
"""Characters of a line, as the server takes."""
_ESCAPE = "\x1b"


class LineEditor:
    """Printable characters are kept, Backspace and Ctrl-U take away, Enter hands out. Other keys do nothing."""

    def __init__(self) -> None:
        self.text = ""
        self._sequence = ""
        """A key that came as several characters, as far as it is here."""

    def feed(self, characters: str) -> list[str]:
        """The lines that these keys complete, without those that are blank."""
        lines = []
        for character in characters:
            if self._sequence or character == _ESCAPE:
                self._escape(character)
            elif character in "\r\n":
                lines.append(self.text.strip())
                self.text = ""
            elif character in "\x7f\b":
                self.text = self.text[:-1]
            elif character == "\x15":
                self.text = ""
            elif character.isprintable() and len(self.text) < MOST:
                self.text += character
        return [line for line in lines if line]

    def _escape(self, character: str) -> None:
        """Arrows and the like: ESC, then "[" or "O" and parameters, to a letter or "~"; ESC and one key otherwise."""
        self._sequence += character
        body = self._sequence[1:]
        if (len(body) == 1 and body not in "[O") or (len(body) > 1 and (body[-1].isalpha() or body[-1] == "~")):
            self._sequence = ""


@contextlib.contextmanager
def keys(terminal: IO[str], pressed: Callable[[str], None]) -> Iterator[bool]:
    """Hand every key to ``pressed`` in the running loop while the block lasts, without showing it.

    Ctrl-C still interrupts. Yields False where that cannot be done: no terminal, or a system without termios.
    """
    import asyncio

    try:
        import termios
        import tty

        before = termios.tcgetattr(terminal)
    except (ImportError, OSError, ValueError, termios.error):
        yield False
        return
    descriptor = terminal.fileno()
    decoder = codecs.getincrementaldecoder("utf-8")("ignore")
    loop = asyncio.get_running_loop()

    def read() -> None:
        data = os.read(descriptor, 4096)
        if not data:  # the terminal has gone
            loop.remove_reader(descriptor)
        pressed(decoder.decode(data))

    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, read)
    try:
        yield True
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
