"""What a model writes to itself is not said: takes reasoning out of streamed text (pure).

Models mark it in many ways, and a mark may come in pieces:

* tags: ``<think>``, ``<thinking>``, ``<thought>``, ``<reasoning>``, ``<reflection>``, ``<seed:think>``, ``[THINK]``;
* begin and end tokens: ``<|begin_of_thought|>``, ``<|channel>thought ... <channel|>``;
* channels: ``<|channel|>analysis<|message|> ... <|end|>``, of which only ``final`` is said.
"""

from __future__ import annotations

import re

_NAMES = ("think", "thinking", "thought", "reasoning", "reflection", "seed:think")
_PAIRS = {
    **{f"<{name}>": f"</{name}>" for name in _NAMES},
    "[think]": "[/think]",
    "◁think▷": "◁/think▷",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|channel>": "<channel|>",
}
"""Opening mark -> closing mark, in lower case."""
_CLOSING = frozenset(_PAIRS.values())
_CHANNEL, _START, _MESSAGE = "<|channel|>", "<|start|>", "<|message|>"
_MESSAGE_ENDS = frozenset({"<|end|>", "<|return|>", "<|call|>"})
_SAID_CHANNEL = "final"
_MARKS = frozenset({*_PAIRS, *_CLOSING, _CHANNEL, _START, _MESSAGE, *_MESSAGE_ENDS})
_MARK = re.compile("|".join(re.escape(mark) for mark in sorted(_MARKS, key=len, reverse=True)), re.IGNORECASE)
_FIRST = frozenset(mark[0] for mark in _MARKS)
_LONGEST = max(map(len, _MARKS))
_PREFIXES = frozenset(mark[:length] for mark in _MARKS for length in range(1, len(mark)))
_LONGEST_HEADER = 200
"""Characters of a channel's name, of which one counts; so much of it is kept."""


class Spoken:
    """Takes a reply as it is streamed and gives back what may be said of it.

    Reasoning that is opened and never closed is never said; nested reasoning ends where its outermost mark does.
    ``inside`` is for models whose template has opened the reasoning before the reply begins.
    """

    def __init__(self, *, inside: bool = False) -> None:
        self.unopened = False
        """True once reasoning was closed that nobody had opened: what stood before it has been said."""
        self._waiting = ""
        self._depth = int(inside)
        self._doubled = inside
        self._header: str | None = None
        self._hidden = False
        self._begun = False

    @property
    def thinking(self) -> bool:
        """True while what comes is not said."""
        return self._depth > 0 or self._hidden or self._header is not None

    def add(self, delta: str) -> str:
        """Take the next delta; returns what may be said, which may be more than this delta or less."""
        text, said, place = self._waiting + delta, "", 0
        for mark in _MARK.finditer(text):
            said += self._take(text[place : mark.start()])
            self._pass(mark.group().lower())
            place = mark.end()
        keep = _begun_mark(text[place:])
        end = len(text) - keep
        said += self._take(text[place:end])
        self._waiting = text[end:]
        return self._from_first_word(said)

    def finish(self) -> str:
        """The reply is over: what is left to be said."""
        waiting, self._waiting = self._waiting, ""
        return self._from_first_word(self._take(waiting))

    # --- marks -------------------------------------------------------------------------

    def _take(self, text: str) -> str:
        """Text between marks."""
        if text.strip():
            self._doubled = False
        if self._header is not None:
            self._header = (self._header + text)[:_LONGEST_HEADER]
        return "" if self.thinking else text

    def _pass(self, mark: str) -> None:
        if mark in _PAIRS:
            self._open()
        elif mark in _CLOSING:
            self._close()
        elif mark in (_CHANNEL, _START):
            self._header = ""
        elif mark == _MESSAGE:
            self._read_header()
        else:
            self._header, self._hidden = None, False

    def _open(self) -> None:
        """Some write the mark twice, once by their template: that is one."""
        if not self._doubled:
            self._depth += 1
        self._doubled = True

    def _close(self) -> None:
        self._doubled = False
        self.unopened = self.unopened or self._depth == 0
        self._depth = max(0, self._depth - 1)

    def _read_header(self) -> None:
        name = (self._header or "").strip().lower()
        self._header = None
        self._hidden = bool(name) and not name.startswith((_SAID_CHANNEL, "assistant"))

    def _from_first_word(self, said: str) -> str:
        """The empty lines between reasoning and answer are no beginning."""
        if not self._begun:
            said = said.lstrip()
        self._begun = self._begun or bool(said)
        return said


def _begun_mark(text: str) -> int:
    """Characters at the end of ``text`` that may be the beginning of a mark."""
    for length in range(min(_LONGEST - 1, len(text)), 0, -1):
        if text[-length] in _FIRST and text[-length:].lower() in _PREFIXES:
            return length
    return 0
