"""Text made valid where it enters: no half of a surrogate pair, no control character. Pure.

JSON may carry one character as two halves (``"\\ud83d"``, ``"\\ude00"``), and a program that cuts by UTF-16 units
sends them in two deltas. A half alone cannot be written as UTF-8: no worker, file or endpoint could take it.
"""

from __future__ import annotations

import re

REPLACEMENT = "\ufffd"
"""Stands for a half that never met its other one."""

_HALF = re.compile("[\ud800-\udfff]")
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def whole(text: str) -> str:
    """The same text as people would write it: pairs joined, lone halves replaced, controls as spaces."""
    if _HALF.search(text):
        text = _HALF.sub(REPLACEMENT, _PAIR.sub(_joined, text))
    return _CONTROL.sub(" ", text)


class WholeDeltas:
    """Deltas in, the same text out, delta by delta; half a character waits for its other half."""

    def __init__(self) -> None:
        self._half = ""

    def add(self, delta: str) -> str:
        """Take the next delta; return what is whole by now."""
        text, self._half = self._half + delta, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return whole(text)

    def finish(self) -> str:
        """The text is complete: return what was still waiting, replaced."""
        half, self._half = self._half, ""
        return whole(half)


def _joined(pair: re.Match[str]) -> str:
    return pair[0].encode("utf-16", "surrogatepass").decode("utf-16")
