"""What a session does, as the server events of the Realtime interface, in their order (pure)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from parley.api.realtime.entries import part, shown
from parley.api.realtime.errors import ClientError
from parley.api.realtime.mcp_events import McpEvents
from parley.api.realtime.turn_events import TurnEvents, TurnNotice, added
from parley.conversation import Call, Message
from parley.messages import ErrorMessage, ReplyText, ServerMessage, TranscriptUpdate
from parley.orders import (
    CallHanded,
    CallNoted,
    Cleared,
    Configured,
    Deleted,
    Inserted,
    Notice,
    Refused,
    ReplyBegun,
    ReplyItem,
    ReplySettled,
    ReplyWritten,
    Retrieved,
    Truncated,
    TurnCommitted,
)

Event = dict[str, Any]

_KEPT = 2_000
"""Forms of entries that are remembered."""
_WAITING = 1_000
"""Orders whose answers are waited for."""
_TOKENS_SAID = 20
"""Audio tokens a second, about as OpenAI counts them."""
_CHARACTERS_PER_TOKEN = 4
_SAMPLES_PER_SECOND = 48_000
_SAMPLES_PER_MS = 48
_REFUSED = {
    "no_audio": "unsupported_content_type",
    "too_long": "invalid_value",
    "invalid": "invalid_value",
    "active": "conversation_already_has_active_response",
    "not_active": "response_cancel_not_active",
    "nothing_said": "input_audio_buffer_commit_empty",
    "duplicate": "item_create_duplicate_item_id",
}


@dataclass(slots=True)
class Asked:
    """An order that is being carried out."""

    event_id: str | None
    kind: str
    """The type of the event that asked for it."""
    form: str = ""
    """Of an entry that is inserted."""
    audio_end_ms: int = 0
    response: Mapping[str, Any] = field(default_factory=dict)
    """What a reply that is asked for has of its own: output_modalities, metadata, max_output_tokens."""
    session: Event = field(default_factory=dict)
    """As it is once it is updated; it shares what it holds with the session object itself, which never changes."""
    then: Callable[[], None] = lambda: None
    """What follows once it is done."""


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


class Places:
    """Entries that the client is not told of, and what it knows that stands before them."""

    def __init__(self) -> None:
        self._hidden: dict[str, str] = {}

    def hide(self, item_id: str, before: str) -> None:
        """The client is not told of this one, which stands behind ``before``."""
        self._hidden[item_id] = before
        while len(self._hidden) > _KEPT:
            del self._hidden[next(iter(self._hidden))]

    def known(self, item_id: str) -> str:
        """The last entry up to this one that the client knows."""
        for _ in range(_KEPT):
            if item_id not in self._hidden:
                break
            item_id = self._hidden[item_id]
        return item_id


class ServerEvents:
    """One session's. Give it what happens; it gives back the events. ``name`` makes ids with a prefix.

    ``settings`` tells what a response says of itself: output_modalities, max_output_tokens, audio.
    ``writes_down``: whether the client wants to read what the participant says. ``paced``: its sound goes by a track of
    our own pace, so that it is told how much of a reply that was cut off had been heard.
    """

    def __init__(
        self,
        name: Callable[[str], str],
        settings: Callable[[], Mapping[str, Any]],
        writes_down: Callable[[], bool],
        *,
        paced: bool = False,
    ) -> None:
        self._paced = paced
        self._name = name
        self._settings = settings
        self._turns = TurnEvents(self._event, writes_down)
        self.mcp = McpEvents(self._event, name)
        self._places = Places()
        self._answered = 0
        """Calls of MCP tools whose results were told by the last response, with nothing said since."""
        self._conversation = name("conv")
        self._asked: dict[str, Asked] = {}
        self._responses: dict[str, _Response] = {}
        self._forms: dict[str, str] = {}
        self._numbers = 0

    # --- what is asked -----------------------------------------------------------------

    def ask(self, asked: Asked) -> str:
        """An order goes to the session; returns the name under which its answer comes."""
        self._numbers += 1
        ref = f"o{self._numbers}"
        self._asked[ref] = asked
        while len(self._asked) > _WAITING:
            del self._asked[next(iter(self._asked))]
        return ref

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

    def error(self, error: ClientError, event_id: str | None = None) -> Event:
        """Something that the client did wrong."""
        return self._error("invalid_request_error", error.code, error.message, error.param, event_id)

    def failure(self, code: str, message: str) -> Event:
        """Something that went wrong here."""
        return self._error("server_error", code, message, None, None)

    def _error(self, kind: str, code: str, message: str, param: str | None, event_id: str | None) -> Event:
        told = {"type": kind, "code": code, "message": message, "param": param, "event_id": event_id}
        return self._event("error", error=told)

    def session(self, kind: str, session: Event) -> Event:
        """``session.created`` or ``session.updated``."""
        return self._event(f"session.{kind}", session=session)

    def _event(self, kind: str, **fields: Any) -> Event:
        return {"type": kind, "event_id": self._name("event"), **fields}

    # --- what happens ------------------------------------------------------------------

    def notice(self, notice: Notice) -> list[Event]:
        """A session's notice."""
        if isinstance(notice, TurnNotice):
            if isinstance(notice, TurnCommitted):
                self._keep_form(notice.item_id, "input_audio")
                self._answered = 0
                notice = replace(notice, after=self._places.known(notice.after))
            return self._turns.notice(notice)
        if isinstance(notice, ReplyBegun | Inserted):
            self._answered = 0
        handler: Any = _HANDLERS[type(notice)]
        events: list[Event] = handler(self, notice)
        return events

    def message(self, message: ServerMessage) -> list[Event]:
        """What a session tells of all its clients; most of it is no news here."""
        if isinstance(message, ReplyText):
            return self._piece(message.utterance_id, message.text)
        if isinstance(message, TranscriptUpdate):
            return self._turns.transcript(message)
        if isinstance(message, ErrorMessage) and message.fatal:
            return [self.failure(message.code, message.message)]
        return []

    def audio(self, reply_id: str, data: bytes) -> list[Event]:
        """The next sound of a reply, in the client's format."""
        response = self._responses.get(reply_id)
        if response is None or response.message is None or not data:
            return []
        delta = base64.b64encode(data).decode()
        return [self._event("response.output_audio.delta", **response.ids(response.message), delta=delta)]

    # --- orders ------------------------------------------------------------------------

    def _refused(self, notice: Refused) -> list[Event]:
        asked = self._asked.pop(notice.ref, None) or Asked(None, "")
        if asked.kind == "output_audio_buffer.clear":  # it was over by then
            return []
        code = _REFUSED.get(notice.why, "invalid_value")
        param = None
        if notice.why == "no_item":
            verb = asked.kind.rpartition(".")[2] or "retrieve"
            code = "invalid_value" if verb == "create" else f"item_{verb}_invalid_item_id"
            param = "previous_item_id" if verb == "create" else "item_id"
        return [self.error(ClientError(notice.message, code, param), asked.event_id)]

    def _configured(self, notice: Configured) -> list[Event]:
        asked = self._asked.pop(notice.ref, None)
        if asked is None:
            return []
        asked.then()
        return [self.session("updated", asked.session)]

    def _inserted(self, notice: Inserted) -> list[Event]:
        asked = self._asked.pop(notice.ref, None) or Asked(None, "")
        self._keep_form(notice.item.id, asked.form)
        return added(self._event, shown(notice.item, asked.form), self._places.known(notice.after))

    def _retrieved(self, notice: Retrieved) -> list[Event]:
        self._asked.pop(notice.ref, None)
        form = self._forms.get(notice.item.id, "")
        item = self._going_on(notice.item.id, form) or shown(notice.item, form)
        return [self._event("conversation.item.retrieved", item=item)]

    def _going_on(self, item_id: str, form: str) -> Event | None:
        """The message of a response that is still being said: as far as the client was told of it."""
        said = (response.message for response in self._responses.values())
        message = next((message for message in said if message is not None and message.item_id == item_id), None)
        if message is None:
            return None
        return shown(Message("assistant", message.text, item_id), form, "in_progress")

    def _deleted(self, notice: Deleted) -> list[Event]:
        self._asked.pop(notice.ref, None)
        return [self._event("conversation.item.deleted", item_id=notice.item_id)]

    def _truncated(self, notice: Truncated) -> list[Event]:
        asked = self._asked.pop(notice.ref, None) or Asked(None, "")
        return [self._truncation(notice.item_id, asked.audio_end_ms)]

    def _cleared(self, notice: Cleared) -> list[Event]:
        self._asked.pop(notice.ref, None)
        return [self._event("input_audio_buffer.cleared")]

    # --- replies -----------------------------------------------------------------------

    def _begun(self, notice: ReplyBegun) -> list[Event]:
        asked = self._asked.pop(notice.ref, None)
        own = {**self._settings(), **(asked.response if asked is not None else {})}
        own["output_modalities"] = ["text"] if notice.text_only else ["audio"]
        response = _Response(self._name("resp"), own, notice.text_only, notice.beside)
        self._responses[notice.reply_id] = response
        return [self._event("response.created", response=response.shown("in_progress", self._conversation))]

    def _item(self, notice: ReplyItem) -> list[Event]:
        response = self._responses.get(notice.reply_id)
        if response is None:
            return []
        form = "output_text" if response.text_only else "output_audio"
        self._keep_form(notice.item_id, form)
        after = self._places.known(notice.after)
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
        return self._piece(notice.reply_id, notice.text)

    def _piece(self, reply_id: str, text: str) -> list[Event]:
        response = self._responses.get(reply_id)
        if response is None or response.message is None or not text:
            return []
        response.message.text += text
        kind = "response.output_text.delta" if response.text_only else "response.output_audio_transcript.delta"
        return [self._event(kind, **response.ids(response.message), delta=text)]

    def _call(self, notice: CallHanded) -> list[Event]:
        response = self._responses.get(notice.reply_id)
        if response is None:
            return []
        index, response.count = response.count, response.count + 1
        after = self._places.known(notice.after)
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
        tool, call = self.mcp.tool(notice.name, notice.key), self.mcp.call(notice.key)
        after = self._places.known(notice.after)
        if notice.result_id:
            self._places.hide(notice.result_id, after if call is None and tool is None else notice.item_id)
        response = self._responses.get(notice.reply_id)
        events: list[Event] = []
        if call is None:
            if tool is None or response is None:
                self._places.hide(notice.item_id, after)
                return []
            index, response.count = response.count, response.count + 1
            call = self.mcp.begin(notice.key, tool, notice.item_id, notice.arguments, index, after)
            events += self._item_begun(response, index, dict(call.item), after)
            events += self.mcp.arguments(call, response.response_id)
            events += self.mcp.waits(notice.key, tool)
        if notice.state == "running":
            return events
        events += self.mcp.over(call, notice.output, failed=notice.state == "failed")
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

    def _cut(self, response: _Response, notice: ReplySettled) -> list[Event]:
        """Where the sound is ours to stop, the client need not tell us how much of it was heard: we tell it."""
        if not (self._paced and notice.outcome == "cancelled" and notice.samples and response.message is not None):
            return []
        return [self._truncation(response.message.item_id, notice.heard // _SAMPLES_PER_MS)]

    def _truncation(self, item_id: str, audio_end_ms: int) -> Event:
        where = {"item_id": item_id, "content_index": 0, "audio_end_ms": audio_end_ms}
        return self._event("conversation.item.truncated", **where)

    def buffer(self, kind: str, response_id: str) -> Event:
        """The sound of a response has ``started``, ``stopped`` or was ``cleared``."""
        return self._event(f"output_audio_buffer.{kind}", response_id=response_id)

    def _keep_form(self, item_id: str, form: str) -> None:
        if form:
            self._forms[item_id] = form
            while len(self._forms) > _KEPT:
                del self._forms[next(iter(self._forms))]


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
    Refused: ServerEvents._refused,
    Configured: ServerEvents._configured,
    Inserted: ServerEvents._inserted,
    Retrieved: ServerEvents._retrieved,
    Deleted: ServerEvents._deleted,
    Truncated: ServerEvents._truncated,
    Cleared: ServerEvents._cleared,
    ReplyBegun: ServerEvents._begun,
    ReplyItem: ServerEvents._item,
    ReplyWritten: ServerEvents._written,
    CallHanded: ServerEvents._call,
    CallNoted: ServerEvents._noted,
    ReplySettled: ServerEvents._over,
}
