"""A session whose replies come from its client alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley.values import Deadlines, NothingToSay, ReplyOptions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from parley.values import ChatMessage, ReplyPart, ToolInfo


class Mute:
    """The ``LanguageModel`` that leaves every turn to the client and what it sends to be said."""

    deadlines = Deadlines()

    async def reply(
        self,
        history: Sequence[ChatMessage],
        tools: Sequence[ToolInfo] = (),
        options: ReplyOptions = ReplyOptions(),  # noqa: B008  (frozen)
    ) -> AsyncGenerator[ReplyPart, None]:
        """Nothing."""
        yield NothingToSay()

    async def aclose(self) -> None:
        """There is nothing to close."""
