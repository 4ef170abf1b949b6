"""A reply as the events of a response, in their order, from ``response.created`` to ``response.done`` (pure)."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parley.api.realtime.entries import part, shown
from parley.conversation import Call, Message
from parley.orders import CallHanded, CallNoted, ReplyBegun, ReplyItem, ReplySettled, ReplyWritten

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from parley.api.realtime.known_entries import KnownEntries
    from parley.api.realtime.mcp_events import McpEvents

Event = dict[str, Any]
ResponseNotice = ReplyItem | ReplyWritten | CallHanded | CallNoted | ReplySettled

_TOKENS_SAID = 20
"""Audio tokens a second, about as OpenAI counts them."""
_CHARACTERS_PER_TOKEN = 4
_SAMPLES_PER_SECOND = 48_000
_SAMPLES_PER_MS = 48


@dataclass(slots=True)
class _Spoken:
    """The message of a response."""

    item_id: str
    index: int
    after: str
    text: str = ""


@dataclass(slots=True)
class _Response:
    response_id: str
    own: dict[str, Any]
    text_only: bool
    beside: bool
    message: _Spoken | None = None
    output: dict[int, Event] = field(default_factory=dict)
    """Finished items by output index."""
    count: int = 0

    def shown(self, status: str, conversation: str, details: Any = None, usage: Any = None) -> Event:
        """As clients read it."""
        return {
            "id": self.response_id,
            "object": "realtime.response",
            "status": status,
            "status_details": details,
            "output": [item for _, item in sorted(self.output.items())],
            "conversation_id": None if self.beside else conversation,
            "metadata": None,
            "usage": usage,
            **self.own,
        }

    def ids(self, spoken: _Spoken) -> Event:
        """Where its message is, in events about that."""
        return {
            "response_id": self.response_id,
            "item_id": spoken.item_id,
            "output_index": spoken.index,
            "content_index": 0,
        }


class ResponseEvents:
    """Those that go on, and what is told of each. ``event`` makes one; ``name`` makes ids with a prefix.

    ``settings`` tells what a response says of itself; ``paced``: the client is told how much was heard of one that was
    cut off.
    """

    def __init__(
        self,
        event: Callable[..., Event],
        name: Callable[[str], str],
        settings: Callable[[], Mapping[str, Any]],
        known: KnownEntries,
        mcp: McpEvents,
        *,
        paced: bool,
    ) -> None:
        self._event, self._name, self._settings, self._paced = event, name, settings, paced
        self._known, self._mcp = known, mcp
        self._conversation = name("conv")
        self._responses: dict[str, _Response] = {}
        self._answered = 0
        """Calls of MCP tools whose results were told by the last response, with nothing said since."""

    # --- what goes on ------------------------------------------------------------------

    def reply_id(self, response_id: str) -> str | None:
        """The session's own name of a response that is going on; None for any other."""
        return next((key for key, known in self._responses.items() if known.response_id == response_id), None)

    def response_id(self, reply_id: str) -> str:
        """The client's name of a reply that is going on; empty for any other."""
        response = self._responses.get(reply_id)
        return response.response_id if response is not None else ""

    @property
    def spoken(self) -> str:
        """The session's own name of the reply that is being said; empty where none is."""
        said = (key for key, known in self._responses.items() if known.message is not None and not known.text_only)
        return next(said, "")

    def going_on(self, item_id: str, form: str) -> Event | None:
        """The message of a response that is still being said: as far as the client was told of it."""
        said = (response.message for response in self._responses.values())
        message = next((message for message in said if message is not None and message.item_id == item_id), None)
        if message is None:
            return None
        return shown(Message("assistant", message.text, item_id), form, "in_progress")

    # --- what happens ------------------------------------------------------------------

    def something_said(self) -> None:
        """A turn, or an entry of the client's: what is asked for next is a new answer."""
        self._answered = 0

    def begun(self, notice: ReplyBegun, asked: Mapping[str, Any]) -> list[Event]:
        """One begins; ``asked`` is what whoever asked for it wants of it alone."""
        own = {**self._settings(), **asked}
        own["output_modalities"] = ["text"] if notice.text_only else ["audio"]
        response = _Response(self._name("resp"), own, notice.text_only, notice.beside)
        self._responses[notice.reply_id] = response
        return [self._event("response.created", response=response.shown("in_progress", self._conversation))]

    def notice(self, notice: ResponseNotice) -> list[Event]:
        """What becomes of one."""
        handler: Any = _HANDLERS[type(notice)]
        events: list[Event] = handler(self, notice)
        return events

    def audio(self, reply_id: str, data: bytes) -> list[Event]:
        """The next sound of one, in the client's format."""
        response = self._responses.get(reply_id)
        if response is None or response.message is None or not data:
            return []
        delta = base64.b64encode(data).decode()
        return [self._event("response.output_audio.delta", **response.ids(response.message), delta=delta)]

    def text(self, reply_id: str, text: str) -> list[Event]:
        """The next words of one."""
        response = self._responses.get(reply_id)
        if response is None or response.message is None or not text:
            return []
        response.message.text += text
        kind = "response.output_text.delta" if response.text_only else "response.output_audio_transcript.delta"
        return [self._event(kind, **response.ids(response.message), delta=text)]

    def nothing_more(self) -> list[Event]:
        """A response that says nothing, where one is asked for to tell results that were told; else nothing at all.

        OpenAI's SDK for JavaScript asks for one behind each call of an MCP tool, and waits until there is one.
        """
        if not self._answered or self._responses:
            return []
        self._answered -= 1
        response = _Response(self._name("resp"), dict(self._settings()), text_only=False, beside=False)
        done = response.shown("completed", self._conversation, None, _usage(response, ReplySettled("", "completed")))
        begun = response.shown("in_progress", self._conversation)
        return [self._event("response.created", response=begun), self._event("response.done", response=done)]

    def truncation(self, item_id: str, audio_end_ms: int) -> Event:
        """So much of a message was heard."""
        where = {"item_id": item_id, "content_index": 0, "audio_end_ms": audio_end_ms}
        return self._event("conversation.item.truncated", **where)

    # --- parts of it -------------------------------------------------------------------

    def _item(self, notice: ReplyItem) -> list[Event]:
        response = self._responses.get(notice.reply_id)
        if response is None:
            return []
        form = "output_text" if response.text_only else "output_audio"
        self._known.keep_form(notice.item_id, form)
        after = self._known.up_to(notice.after)
        response.message = spoken = _Spoken(notice.item_id, response.count, after)
        response.count += 1
        item = {**shown(Message("assistant", "", notice.item_id), form, "in_progress"), "content": []}
        begun = _part(form, "")
        return [
            *self._item_begun(response, spoken.index, item, after),
            self._event("response.content_part.added", **response.ids(spoken), part=begun),
        ]

    def _item_begun(self, response: _Response, index: int, item: Event, after: str) -> list[Event]:
        where = {"response_id": response.response_id, "output_index": index}
        events = [self._event("response.output_item.added", **where, item=item)]
        if not response.beside:
            added = {"previous_item_id": after or None, "item": item}
            events.append(self._event("conversation.item.added", **added))
        return events

    def _item_over(self, response: _Response, index: int, item: Event, after: str) -> list[Event]:
        response.output[index] = item
        where = {"response_id": response.response_id, "output_index": index}
        before = {"previous_item_id": after or None}
        events = [] if response.beside else [self._event("conversation.item.done", **before, item=item)]
        return [*events, self._event("response.output_item.done", **where, item=item)]

    def _written(self, notice: ReplyWritten) -> list[Event]:
        return self.text(notice.reply_id, notice.text)

    def _call(self, notice: CallHanded) -> list[Event]:
        response = self._responses.get(notice.reply_id)
        if response is None:
            return []
        index, response.count = response.count, response.count + 1
        after = self._known.up_to(notice.after)
        call = Call(notice.call_id, notice.name, notice.arguments, notice.item_id)
        where = {"response_id": response.response_id, "item_id": notice.item_id, "output_index": index}
        asking = {**where, "call_id": notice.call_id}
        done = {**asking, "name": notice.name, "arguments": notice.arguments}
        begun = {**shown(call, status="in_progress"), "arguments": ""}
        return [
            *self._item_begun(response, index, begun, after),
            self._event("response.function_call_arguments.delta", **asking, delta=notice.arguments),
            self._event("response.function_call_arguments.done", **done),
            *self._item_over(response, index, shown(call), after),
        ]

    def _noted(self, notice: CallNoted) -> list[Event]:
        """A call that we make ourselves. Of tools that the client has not brought it is told nothing."""
        tool, call = self._mcp.tool(notice.name, notice.key), self._mcp.call(notice.key)
        after = self._known.up_to(notice.after)
        if notice.result_id:
            self._known.hide(notice.result_id, after if call is None and tool is None else notice.item_id)
        response = self._responses.get(notice.reply_id)
        events: list[Event] = []
        if call is None:
            if tool is None or response is None:
                self._known.hide(notice.item_id, after)
                return []
            index, response.count = response.count, response.count + 1
            call = self._mcp.begin(notice.key, tool, notice.item_id, notice.arguments, index, after)
            events += self._item_begun(response, index, dict(call.item), after)
            events += self._mcp.arguments(call, response.response_id)
            events += self._mcp.waits(notice.key, tool)
        if notice.state == "running":
            return events
        events += self._mcp.over(call, notice.output, failed=notice.state == "failed")
        if response is not None:
            return [*events, *self._item_over(response, call.output_index, dict(call.item), call.after)]
        before = {"previous_item_id": call.after or None}
        return [*events, self._event("conversation.item.done", **before, item=dict(call.item))]

    def _over(self, notice: ReplySettled) -> list[Event]:
        response = self._responses.pop(notice.reply_id, None)
        if response is None:
            return []
        events: list[Event] = []
        if (spoken := response.message) is not None:
            form = "output_text" if response.text_only else "output_audio"
            ids, text = response.ids(spoken), spoken.text
            if response.text_only:
                events.append(self._event("response.output_text.done", **ids, text=text))
            else:
                events.append(self._event("response.output_audio.done", **ids))
                events.append(self._event("response.output_audio_transcript.done", **ids, transcript=text))
            events.append(self._event("response.content_part.done", **ids, part=_part(form, text)))
            status = "completed" if notice.outcome == "completed" else "incomplete"
            item = shown(Message("assistant", text, spoken.item_id), form, status)
            events += self._item_over(response, spoken.index, item, spoken.after)
        done = response.shown(notice.outcome, self._conversation, _details(notice), _usage(response, notice))
        if notice.outcome == "completed" and not response.beside:
            self._answered = sum(item["type"] == "mcp_call" for item in response.output.values())
        return [*events, self._event("response.done", response=done), *self._cut(response, notice)]

    def _cut(self, response: _Response, notice: ReplySettled) -> list[Event]:
        """Where the sound is ours to stop, the client need not tell us how much of it was heard: we tell it."""
        if not (self._paced and notice.outcome == "cancelled" and notice.samples and response.message is not None):
            return []
        return [self.truncation(response.message.item_id, notice.heard // _SAMPLES_PER_MS)]


def _part(form: str, text: str) -> Event:
    """Of a response, where parts have shorter names than in items."""
    return {**part(form, text), "type": "text" if form == "output_text" else "audio"}


def _details(notice: ReplySettled) -> Event | None:
    if notice.outcome == "cancelled":
        return {"type": "cancelled", "reason": notice.reason}
    if notice.outcome == "incomplete":
        return {"type": "incomplete", "reason": "max_output_tokens"}
    if notice.outcome == "failed":
        error = {"type": "server_error", "code": notice.code, "message": notice.message}
        return {"type": "failed", "error": error}
    return None


def _usage(response: _Response, notice: ReplySettled) -> Event:
    """What the chat endpoint counted, else characters; sound as OpenAI counts it."""
    written = sum(len(item.get("arguments", "")) for item in response.output.values())
    if response.message is not None:
        written += len(response.message.text)
    heard = notice.told // _CHARACTERS_PER_TOKEN
    cached, said = 0, -(-written // _CHARACTERS_PER_TOKEN)
    if notice.usage is not None and notice.usage.input_tokens:
        heard, said = notice.usage.input_tokens, notice.usage.output_tokens
        cached = notice.usage.cached_tokens
    sound = round(_TOKENS_SAID * notice.samples / _SAMPLES_PER_SECOND)
    kept = {"text_tokens": cached, "audio_tokens": 0, "image_tokens": 0}
    taken = {"text_tokens": heard, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": cached}
    return {
        "total_tokens": heard + said + sound,
        "input_tokens": heard,
        "output_tokens": said + sound,
        "input_token_details": {**taken, "cached_tokens_details": kept},
        "output_token_details": {"text_tokens": said, "audio_tokens": sound},
    }


_HANDLERS: dict[type, Any] = {
    ReplyItem: ResponseEvents._item,
    ReplyWritten: ResponseEvents._written,
    CallHanded: ResponseEvents._call,
    CallNoted: ResponseEvents._noted,
    ReplySettled: ResponseEvents._over,
}
