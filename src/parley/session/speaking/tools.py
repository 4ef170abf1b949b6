"""Calls of tools: what a reply asks for is done, once, and told: to the model, to the history, to the participant.

A reply that waits for a call may be cut off at any moment. A call that only reads ends with it; one that writes goes
on, and its result is in the history when the next reply is made. What runs in the background, or waited for somebody's
approval when its reply was cut off, is answered by a reply of its own, when it is done and nobody speaks.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from parley import clock
from parley.conversation import Message
from parley.errors import CapacityError, InvalidRequest, ParleyError, RequestError, Unreached
from parley.messages import ToolUpdate
from parley.orders import CallHanded, CallNoted
from parley.session.decide import outcomes
from parley.session.decide.arguments import canonical, read_arguments
from parley.session.decide.call_life import CallEvent, CallLife, CallState, may_be_cut, waits_for_certainty
from parley.session.decide.confirmation import Confirmations, Said
from parley.session.guard import guarded
from parley.session.log import ToolCalled
from parley.session.terms import Terms
from parley.values import ChatMessage, ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from parley.conversation import Call, History
    from parley.interfaces import Tools
    from parley.orders import ReplyRequest
    from parley.session.floor import Floor
    from parley.session.outbox import Notices
    from parley.session.settings import ToolCallSettings
    from parley.session.speaking.voice import Spawn
    from parley.values import ToolInfo

_LOOK = 0.25
"""Seconds between two looks at whether the agent is silent while it waits."""
_AGAIN = 8.0
"""Seconds after which it is said again that a tool takes long."""
_HANDED = 64
"""Calls that a client may leave unanswered."""
_NOT_DONE = (RequestError, CapacityError, Unreached)
"""Failures after which it is certain that nothing was done; a tool's own refusal among them."""
_REMEMBERED = 200
"""Calls that are not made a second time."""


class Asker(Protocol):
    """The reply that asks for tools."""

    utterance_id: str
    turn: int
    turn_text: str
    request: ReplyRequest | None

    @property
    def wanted(self) -> bool:
        """It is no guess, and not over."""

    @property
    def unheard(self) -> float:
        """Seconds of it that are still to be heard; 0 when it is silent and waits for text."""

    @property
    def text(self) -> str:
        """All that it has said so far."""

    async def until_wanted(self) -> None:
        """Wait while it is a guess."""

    def keep_calls(self) -> None:
        """It is wanted and calls tools: what it answers belongs to the history."""


@dataclass(eq=False)
class _Call:
    """One call."""

    asked: ToolCall
    tool: ToolInfo | None
    turn: int
    key: str
    """What it is to its tool, once in a session."""
    life: CallLife
    arguments: dict[str, Any] = field(default_factory=dict)
    output: str = ""
    began_at: float = 0.0
    kept: bool = False
    """The history knows of it."""
    reply_id: str = ""
    """The reply that asked first."""
    beside: bool = False
    """That reply is no part of the conversation."""
    handed: bool = False
    """It is the client's to do."""
    item_id: str = ""
    """What it is called by whoever knows the entries."""
    unconfirmed: bool = False
    """It was refused because the participant is to be asked first."""
    task: asyncio.Task[None] | None = None
    item: Call | None = None
    """Where it stands in the history."""


class ToolCalls:
    """All calls of a session. ``news``: something that ran in the background is done."""

    def __init__(
        self,
        tools: Tools | None,
        session_id: str,
        floor: Floor,
        history: History,
        notices: Notices,
        spawn: Spawn,
        settings: ToolCallSettings,
        *,
        news: Callable[[], None],
        terms: Terms = Terms(),  # noqa: B008  (one that nobody changes)
    ) -> None:
        self.settings = settings
        self.terms = terms
        self.confirmations = Confirmations()
        self._tools = tools
        self._session_id = session_id
        self._floor = floor
        self._history = history
        self._notices = notices
        self.spawn = spawn
        self._news = news
        self._known: dict[tuple[str, str], _Call] = {}
        self._at_work: list[_Call] = []
        self._untold: list[_Call] = []
        self._handed: dict[str, _Call] = {}
        self._unasked = 0
        self._replies = 0

    def asked(self) -> None:
        """The participant has said something, and is answered."""
        self._unasked = 0

    def for_reply(self, reply: Asker) -> ReplyCalls:
        """The calls of one reply."""
        return ReplyCalls(self, reply)

    @property
    def offered(self) -> Sequence[ToolInfo]:
        """What a model may ask for.

        Nothing in a reply to a call that was asked for in a reply to a call ... and nobody has said a word for long.
        """
        return () if self._tools is None or self._unasked >= self.settings.max_rounds else self._tools.offered()

    @property
    def language(self) -> str:
        """Of the session."""
        return self._floor.language

    @property
    def results_waiting(self) -> bool:
        """Something that ran in the background is done, and was not told yet."""
        return bool(self._untold)

    def tell_results(self) -> None:
        """The history learns what was done in the background; a reply about it is to follow."""
        untold, self._untold = self._untold, []
        self._unasked += 1
        for call in untold:
            self._history.answer(call.asked.call_id, call.output)

    def settle(self) -> None:
        """The session is over: the history learns of every call what can be said of it."""
        self.tell_results()
        for call in (*self._at_work, *self._handed.values()):
            self._history.answer(call.asked.call_id, outcomes.ENDED)

    # --- for its replies -----------------------------------------------------------------

    def number(self) -> int:
        """Of the next reply."""
        self._replies += 1
        return self._replies

    def unanswered(self, request: ReplyRequest) -> list[Said]:
        """The participant's words that a reply which is begun now upon this request answers.

        What a client lets it be made of in place of the conversation is nobody's word.
        """
        if request.beside or request.context is not None:
            return []
        return [Said(message.text, message.id) for message in self._history.unanswered()]

    def ask_first(self, name: str, arguments: str, number: int) -> None:
        """The participant is to be asked before this is done."""
        items = self._history.items
        said = (item.id for item in items if isinstance(item, Message) and item.role == "user")
        self.confirmations.ask(name, arguments, number, said)

    def opened(self, asked: ToolCall, reply: Asker, offered: Sequence[ToolInfo]) -> tuple[_Call, bool]:
        """The call that a model asks for, and whether it is new: the same one is not made twice.

        The same is one of the same id upon the same occasion: a turn, somebody's asking for a reply, or results that
        came. Ids alone say little, for there are models that count them from nothing every time.
        """
        occasion = _occasion(reply)
        known = self._known.get((occasion, asked.call_id)) if asked.call_id else None
        if known is not None and (known.asked.name, known.asked.arguments) == (asked.name, asked.arguments):
            return known, False
        tool = next((tool for tool in offered if tool.name == asked.name), None)
        beside = reply.request is not None and reply.request.beside
        key = f"{self._session_id}:{occasion}:{asked.call_id}"
        call = _Call(asked, tool, reply.turn, key, CallLife(tool), reply_id=reply.utterance_id, beside=beside)
        self._known[occasion, asked.call_id] = call
        while len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]
        return call, True

    def forget(self, call: _Call) -> None:
        """It belonged to a guess that nobody wants: if it is asked for again, it is another one."""
        self._known = {key: known for key, known in self._known.items() if known is not call}

    def keep(self, call: _Call) -> None:
        """The history, and the participant, learn of it."""
        asked = call.asked
        call.item = self._history.ask(asked.call_id, asked.name, asked.arguments)
        name = call.item.call_id
        call.asked, call.kept = ToolCall(name, asked.name, asked.arguments), True
        if call.life.over:
            self._history.answer(name, call.output)
        if call.life.state is not CallState.ASKED:
            self._tell(call)
            self._note(call)

    def begin(self, call: _Call, *, guess: bool) -> None:
        """Let the tool work."""
        assert call.tool is not None
        if len(self._at_work) >= self.settings.max_running:
            self.close(call, CallEvent.REFUSED, outcomes.TOO_MANY_AT_ONCE)
            return
        call.life.handle(CallEvent.BEGUN, guess=guess)
        call.began_at = clock.now()
        self._at_work.append(call)
        call.task = self.spawn(lambda: self._work(call), f"tool {call.tool.name}")
        if call.tool.background:
            call.life.handle(CallEvent.NOT_WAITED_FOR)
        self._tell(call)
        self._note(call)

    def hand_over(self, call: _Call, reply_id: str) -> None:
        """It is the client's to do; its result comes back as an entry of the conversation, if it does."""
        call.life.handle(CallEvent.BEGUN)
        call.life.handle(CallEvent.NOT_WAITED_FOR)
        call.began_at, call.handed = clock.now(), True
        asked, item = call.asked, call.item
        if item is not None:
            self._handed[asked.call_id] = call
            while len(self._handed) > _HANDED:
                oldest = self._handed.pop(next(iter(self._handed)))
                self.close(oldest, CallEvent.FAILED, outcomes.NO_ANSWER)
        item_id = item.id if item is not None else self._history.new_id()
        after = self._history.before(item_id) if item is not None else ""
        self._notices.note(CallHanded(reply_id, item_id, after, asked.call_id, asked.name, asked.arguments))
        self._tell(call)

    def answered(self, call_id: str, output: str) -> None:
        """The client says what became of a call that it was handed; its result stands in the history already."""
        call = self._handed.pop(call_id, None)
        if call is not None:
            self.close(call, CallEvent.ANSWERED, output)

    def leave(self, call: _Call) -> None:
        """Nobody waits for it any more."""
        assert call.tool is not None
        if may_be_cut(call.tool):
            self.close(call, CallEvent.CANCELLED, outcomes.CUT)
            assert call.task is not None
            call.task.cancel()
        else:
            call.life.handle(CallEvent.NOT_WAITED_FOR)
            self._tell(call)

    def close(self, call: _Call, event: CallEvent, output: str) -> None:
        """It is over."""
        background = call.life.state is CallState.LEFT and _is_told_later(call)
        call.life.handle(event)
        call.output = outcomes.bounded(output, self.settings.max_result)
        if call in self._at_work:
            self._at_work.remove(call)
        took = round(clock.now() - call.began_at, 6) if call.began_at else 0.0
        name = call.tool.name if call.tool is not None else ""
        state: Any = call.life.state.value
        self._notices.log(ToolCalled(self._notices.now(), call.turn, name, state, took))
        self._tell(call)
        if background:
            self._untold.append(call)
            self._news()
        elif call.kept:
            self._history.answer(call.asked.call_id, call.output)
        self._note(call)

    # --- at work -------------------------------------------------------------------------

    async def _work(self, call: _Call) -> None:
        tool, tools = call.tool, self._tools
        assert tool is not None
        assert tools is not None
        try:
            with guarded(f"tool {tool.name}"):
                async with asyncio.timeout(tool.timeout):
                    output = await tools.call(tool.name, call.arguments, key=call.key)
        except ParleyError as error:
            unknown = tool.effect == "write" and not isinstance(error, _NOT_DONE)
            self.close(call, CallEvent.FAILED, f"{error.message}{outcomes.PERHAPS_DONE if unknown else ''}")
        else:
            self.close(call, CallEvent.ANSWERED, output)

    def _note(self, call: _Call) -> None:
        """Whoever knows the entries is told of a call that is not theirs to do."""
        if not self.terms.by_item or call.handed or not (call.kept or call.beside):
            return
        asked, over = call.asked, call.life.over
        call.item_id = call.item_id or (call.item.id if call.item is not None else self._history.new_id())
        state: Any = "running" if not over else "done" if call.life.state is CallState.DONE else "failed"
        after, result = self._history.place_of_call(asked.call_id) if call.kept else ("", "")
        self._notices.note(
            CallNoted(
                call.reply_id, call.key, call.item_id, after, asked.name, asked.arguments, state,
                call.output if over else "", result,
            )
        )  # fmt: skip

    def _tell(self, call: _Call) -> None:
        if call.kept:
            state: Any = "unconfirmed" if call.unconfirmed else call.life.state.value
            self._notices.send(ToolUpdate(call.asked.call_id, call.turn, call.asked.name, state))


def _is_told_later(call: _Call) -> bool:
    """Once no reply waits for it, it is answered by one of its own when it is done."""
    return call.tool is not None and (call.tool.background or (call.tool.approval and call.kept))


def _occasion(reply: Asker) -> str:
    """Upon which it is made."""
    if reply.request is not None:
        return reply.request.reply_id
    return str(reply.turn) if reply.turn_text else reply.utterance_id


class ReplyCalls:
    """What one reply asks for."""

    def __init__(self, room: ToolCalls, reply: Asker) -> None:
        self.handed = False
        """True once the client was asked to do something."""
        self._room = room
        self._reply = reply
        self._number = room.number()
        self._upon = room.unanswered(reply.request) if reply.request is not None else None
        self.measures, self.spawn = room.terms.measures, room.spawn
        self.options = room.terms.options(reply.request)
        """What is wanted of its model besides."""
        none = self.options.tool_choice == "none"
        self._theirs = () if none else room.terms.tools(reply.request)
        names = {tool.name for tool in self._theirs}
        ours = [] if none else [tool for tool in room.offered if tool.name not in names]
        self.offered: Sequence[ToolInfo] = (*ours, *self._theirs)
        """What its model may ask for."""
        self._calls: list[_Call] = []
        self._asked_at = -1

    async def make(self, said: str, asked: Sequence[ToolCall], aside: Callable[[], None]) -> list[ChatMessage]:
        """Do what is asked for, after the words ``said``; returns both, with the results, as the model is told them.

        ``aside`` says that it takes a little longer.
        """
        calls = [self._open(one) for one in asked]
        if self._reply.wanted:
            self.adopt()
        for call in self._still(calls, CallState.ASKED):
            if call.tool is not None and not waits_for_certainty(call.tool):
                self._room.begin(call, guess=not self._reply.wanted)
        if self._still(calls, CallState.ASKED):
            await self._reply.until_wanted()
            for call in self._still(calls, CallState.ASKED):
                self._begin_for_certain(call)
        await self._results(calls, aside)
        told = [ChatMessage("tool", call.output or outcomes.BEGUN, call_id=call.asked.call_id) for call in calls]
        return [ChatMessage("assistant", said, tuple(call.asked for call in calls)), *told]

    def adopt(self) -> None:
        """The reply is wanted: what it has asked for belongs to the history, and so does what it answers."""
        unknown = [call for call in self._calls if not call.kept]
        if unknown:
            self._reply.keep_calls()
        if self._reply.request is not None and self._reply.request.beside:
            return
        for call in unknown:
            self._room.keep(call)

    def stop(self) -> None:
        """The reply is over: it waits for nothing any more."""
        for call in self._calls:
            if call.life.state is CallState.ASKED:
                self._room.close(call, CallEvent.CANCELLED, outcomes.NEVER_BEGUN)
            elif call.life.state is CallState.RUNNING:
                self._room.leave(call)
            if not call.kept:
                self._room.forget(call)

    def heard(self, characters: int) -> None:
        """The reply is over, and so many characters of it were heard: perhaps what it had to ask."""
        if 0 <= self._asked_at < characters:
            self._room.confirmations.heard(self._number)
        if any(said.text for said in self._answers):
            self._room.confirmations.answered(self._number)

    @property
    def _answers(self) -> list[Said]:
        """The participant's words; of a turn those in which it was understood last."""
        return [Said(self._reply.turn_text)] if self._upon is None else self._upon

    # --- one by one ----------------------------------------------------------------------

    def _open(self, asked: ToolCall) -> _Call:
        call, new = self._room.opened(asked, self._reply, self.offered)
        if not new:
            return call
        self._calls.append(call)
        try:
            if call.tool is None:
                raise InvalidRequest(outcomes.no_such_tool(asked.name, self.offered))
            if len(self._calls) > self._room.settings.max_calls:
                raise InvalidRequest(outcomes.TOO_MANY)
            call.arguments = read_arguments(asked.arguments, call.tool.parameters)
        except InvalidRequest as error:
            self._room.close(call, CallEvent.REFUSED, error.message)
        return call

    def _begin_for_certain(self, call: _Call) -> None:
        tool, reply = call.tool, self._reply
        assert tool is not None
        if tool in self._theirs:
            self.handed = True
            self._room.hand_over(call, reply.utterance_id)
            return
        if tool.confirm:
            wanted = (tool.name, canonical(call.arguments))
            confirmations = self._room.confirmations
            if not confirmations.confirmed(*wanted, self._number, self._answers, self._room.language):
                if reply.request is None or not reply.request.beside:  # else nobody is asked
                    self._room.ask_first(*wanted, self._number)
                    self._asked_at = len(reply.text)
                call.unconfirmed = True
                self._room.close(call, CallEvent.REFUSED, outcomes.ASK_FIRST)
                return
        self._room.begin(call, guess=False)

    async def _results(self, calls: Iterable[_Call], aside: Callable[[], None]) -> None:
        """Wait for those that are waited for, and say so where that takes long."""
        patience = self._patience(calls)
        due = clock.now() + patience
        while running := self._still(calls, CallState.RUNNING):
            tasks = [call.task for call in running if call.task is not None]
            await asyncio.wait(tasks, timeout=max(0.0, min(due - clock.now(), 3600.0)))
            now = clock.now()
            if now < due or not self._still(calls, CallState.RUNNING):
                continue
            left = self._reply.unheard if self._reply.wanted else _LOOK
            due = now + left + patience if left < float("inf") else now + _LOOK
            if not left:
                aside()
                due = now + _AGAIN

    def _patience(self, calls: Iterable[_Call]) -> float:
        """Seconds of silence until the first of them wants it said that it takes long."""
        waits = [call.tool.filler_after for call in calls if call.tool is not None and call.tool.filler_after]
        return min(waits, default=float("inf"))

    def _still(self, calls: Iterable[_Call], state: CallState) -> list[_Call]:
        return [call for call in calls if call.life.state is state]
