"""On what terms a session talks: what its client may change while it goes on, where it knows the entries by id."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from parley.orders import Manner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley.orders import ReplyRequest
    from parley.values import ReplyOptions, ToolInfo

_ORDINARY = Manner()


@dataclass(slots=True)
class Measures:
    """What is done because answers come too late; changed by ``pressure`` alone."""

    filler_after: float = float("inf")
    """Seconds without a word of the language model after which the agent says that it takes a moment."""
    first_longest: int = 0
    """Characters of a reply's first piece, at most; 0 for no bound of its own."""
    brief: bool = False
    """The language model is asked to be brief."""
    guesses: bool = True
    """Replies may be begun before the turn is over."""


class Terms:
    """Read by every room; changed by ``dialogue`` alone, but for its ``measures``.

    ``manner``: None where the client knows of no entries.
    """

    def __init__(self, manner: Manner | None = None) -> None:
        self.by_item = manner is not None
        """Entries have ids that the client knows, and keep their places."""
        self.manner = manner or _ORDINARY
        self.measures = Measures()

    @property
    def speaks(self) -> bool:
        """A turn is answered aloud, unasked."""
        return self.manner.answers and not self.manner.text_only

    @property
    def writes(self) -> bool:
        """A turn is answered in writing, unasked."""
        return self.manner.answers and self.manner.text_only

    def in_writing(self, request: ReplyRequest) -> bool:
        """It is written and not spoken."""
        return self.manner.text_only if request.text_only is None else request.text_only

    def aside(self, request: ReplyRequest) -> bool:
        """It needs no floor, and becomes nothing that was said."""
        return request.beside and self.in_writing(request)

    def instructions(self, request: ReplyRequest | None, own: str) -> str:
        """What stands before the conversation; ``own`` is the server's."""
        for said in (request.instructions if request is not None else None, self.manner.instructions):
            if said is not None:
                return said
        return own

    def tools(self, request: ReplyRequest | None) -> Sequence[ToolInfo]:
        """The client's tools."""
        return self.manner.tools if request is None or request.tools is None else request.tools

    def options(self, request: ReplyRequest | None) -> ReplyOptions:
        """What is wanted of the language model besides."""
        options = self.manner.options if request is None or request.options is None else request.options
        return replace(options, brief=True) if self.measures.brief else options
