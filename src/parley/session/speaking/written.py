"""Replies that make no sound: written for a client that asked for text, or beside the conversation."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from parley import clock
from parley.conversation import Message
from parley.conversation.telling import tell
from parley.errors import TooManyRequests
from parley.orders import ReplyItem, ReplySettled, ReplyWritten
from parley.session.log import Stages
from parley.session.speaking.writing import Writing
from parley.tracing import place_of, working_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley.conversation import History
    from parley.errors import ParleyError
    from parley.orders import ReplyRequest
    from parley.session.floor import Floor
    from parley.session.outbox import Notices
    from parley.session.speaking.reply import ReplyParts
    from parley.values import Voice

_MOST = 4
"""Replies beside the conversation that are written at once."""


class WrittenReply:
    """One of them: a ``writing.Paper``, and a ``tools.Asker``."""

    def __init__(self, room: WrittenReplies, request: ReplyRequest, turn: int) -> None:
        self.utterance_id = request.reply_id
        self.request: ReplyRequest | None = request
        self.beside = request.beside
        self.turn = turn
        self.turn_text = ""
        self.text = ""
        self.stages = Stages(clock.now())
        self.error: ParleyError | None = None
        self.words: Message | None = None
        self.wanted = True
        self.unheard = float("inf")
        self.task: asyncio.Task[None] | None = None
        self._room = room
        self.calls = room.parts.tools.for_reply(self)
        self.writing = Writing(self, self.calls, room.parts.settings, room.language, aloud=False)

    def keep_calls(self) -> None:
        """What it said before stands before them."""
        self._room.keep(self)

    async def give_in_time(self, clause: str) -> None:
        """The next piece."""
        self.give(clause)

    def give(self, clause: str) -> None:
        """The next piece."""
        self.text += clause
        self._room.wrote(self, clause)

    async def until_wanted(self) -> None:
        """It is."""

    def order_voice(self, voice: Voice) -> None:
        """It has none."""

    def trouble(self, error: ParleyError) -> bool:
        """The language model failed; nobody apologises in writing."""
        self.error = error
        return False

    def no_more_text(self) -> None:
        """That was all."""


class WrittenReplies:
    """All of a session."""

    def __init__(
        self, parts: ReplyParts, floor: Floor, history: History, notices: Notices, *, over: Callable[[], None]
    ) -> None:
        """``over`` is told whenever one is."""
        self._done = over
        self.parts = parts
        self.active: WrittenReply | None = None
        """The one that belongs to the conversation."""
        self._floor = floor
        self._history = history
        self._notices = notices
        self._beside: list[WrittenReply] = []

    @property
    def language(self) -> str:
        """In which they are written."""
        return self._floor.language

    def begin(self, request: ReplyRequest) -> None:
        """Write one. Raises TooManyRequests for one more beside the conversation than may be written at once."""
        if request.beside and len(self._beside) >= _MOST:
            raise TooManyRequests(f"{_MOST} replies beside the conversation are being written; wait for one of them.")
        self.parts.tools.asked()
        reply = WrittenReply(self, request, self._floor.turns)
        prompt = self.parts.terms.instructions(request, self.parts.settings.reply.system_prompt)
        history = (
            self._history.messages(prompt)
            if request.context is None
            else tell([item for item in request.context if not isinstance(item, str)], prompt)
        )
        if request.beside:
            self._beside.append(reply)
        else:
            self.active = reply

        async def write() -> None:
            await reply.writing.write(self.parts.language_model, history, reply.calls.offered)
            self._over(reply)

        with working_for(partial(place_of, self.parts.session_id, reply.turn)):
            reply.task = self.parts.spawn(write, f"write {request.reply_id}")

    def cancel(self, why: str, reply_id: str = "") -> bool:
        """Stop the one of this id, or the one that belongs to the conversation; False where there is none."""
        known = [self.active, *self._beside] if reply_id else [self.active]
        reply = next((one for one in known if one is not None and reply_id in ("", one.utterance_id)), None)
        if reply is None:
            return False
        assert reply.task is not None
        reply.task.cancel()
        self._over(reply, why)
        return True

    # --- what one tells ----------------------------------------------------------------------

    def keep(self, reply: WrittenReply) -> None:
        """What it says has a place, if it says anything."""
        if reply.words is not None or not reply.text.strip():
            return
        item_id, after = self._history.new_id(), ""
        if reply.beside:
            reply.words = Message("assistant", "", item_id)
        else:
            reply.words = self._history.keep_place("assistant", item_id)
            after = self._history.before(item_id)
        self._notices.note(ReplyItem(reply.utterance_id, item_id, after))

    def wrote(self, reply: WrittenReply, clause: str) -> None:
        """Its next piece."""
        self.keep(reply)
        if reply.words is not None:
            self._notices.note(ReplyWritten(reply.utterance_id, clause))

    def _over(self, reply: WrittenReply, why: str = "") -> None:
        reply.wanted = False
        reply.calls.stop()
        if reply is self.active:
            self.active = None
        else:
            self._beside.remove(reply)
        if reply.words is not None:
            self._history.amend(reply.words, reply.text.strip())
        reply.calls.heard(len(reply.text))
        usage, error = reply.writing.usage, reply.error
        cut = usage is not None and usage.cut
        self._notices.note(
            ReplySettled(
                reply.utterance_id,
                "cancelled" if why else "failed" if error is not None else "incomplete" if cut else "completed",
                why,
                "" if error is None else error.code,
                "" if error is None else error.message,
                usage,
                reply.writing.told,
            )
        )
        self._done()
