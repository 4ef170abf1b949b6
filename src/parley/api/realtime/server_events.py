"""What a session does, as the server events of the Realtime interface, in their order (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from parley.api.realtime.entries import shown
from parley.api.realtime.errors import ClientError
from parley.api.realtime.known_entries import KnownEntries
from parley.api.realtime.mcp_events import McpEvents
from parley.api.realtime.response_events import ResponseEvents, ResponseNotice
from parley.api.realtime.turn_events import TurnEvents, TurnNotice, added
from parley.messages import ErrorMessage, ReplyText, ServerMessage, TranscriptUpdate
from parley.orders import (
    Cleared,
    Configured,
    Deleted,
    Inserted,
    Notice,
    Refused,
    ReplyBegun,
    Retrieved,
    Truncated,
    TurnCommitted,
)

Event = dict[str, Any]

_WAITING = 1_000
"""Orders whose answers are waited for."""
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
        self._name = name
        self._turns = TurnEvents(self._event, writes_down)
        self.mcp = McpEvents(self._event, name)
        self._known = KnownEntries()
        self.responses = ResponseEvents(self._event, name, settings, self._known, self.mcp, paced=paced)
        self._asked: dict[str, Asked] = {}
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
                self._known.keep_form(notice.item_id, "input_audio")
                self.responses.something_said()
                notice = replace(notice, after=self._known.up_to(notice.after))
            return self._turns.notice(notice)
        if isinstance(notice, ReplyBegun | Inserted):
            self.responses.something_said()
        if isinstance(notice, ResponseNotice):
            return self.responses.notice(notice)
        handler: Any = _HANDLERS[type(notice)]
        events: list[Event] = handler(self, notice)
        return events

    def message(self, message: ServerMessage) -> list[Event]:
        """What a session tells of all its clients; most of it is no news here."""
        if isinstance(message, ReplyText):
            return self.responses.text(message.utterance_id, message.text)
        if isinstance(message, TranscriptUpdate):
            return self._turns.transcript(message)
        if isinstance(message, ErrorMessage) and message.fatal:
            return [self.failure(message.code, message.message)]
        return []

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
        self._known.keep_form(notice.item.id, asked.form)
        return added(self._event, shown(notice.item, asked.form), self._known.up_to(notice.after))

    def _retrieved(self, notice: Retrieved) -> list[Event]:
        self._asked.pop(notice.ref, None)
        form = self._known.form(notice.item.id)
        item = self.responses.going_on(notice.item.id, form) or shown(notice.item, form)
        return [self._event("conversation.item.retrieved", item=item)]

    def _deleted(self, notice: Deleted) -> list[Event]:
        self._asked.pop(notice.ref, None)
        return [self._event("conversation.item.deleted", item_id=notice.item_id)]

    def _truncated(self, notice: Truncated) -> list[Event]:
        asked = self._asked.pop(notice.ref, None) or Asked(None, "")
        return [self.responses.truncation(notice.item_id, asked.audio_end_ms)]

    def _cleared(self, notice: Cleared) -> list[Event]:
        self._asked.pop(notice.ref, None)
        return [self._event("input_audio_buffer.cleared")]

    def _begun(self, notice: ReplyBegun) -> list[Event]:
        asked = self._asked.pop(notice.ref, None)
        return self.responses.begun(notice, asked.response if asked is not None else {})

    def buffer(self, kind: str, response_id: str) -> Event:
        """The sound of a response has ``started``, ``stopped`` or was ``cleared``."""
        return self._event(f"output_audio_buffer.{kind}", response_id=response_id)


_HANDLERS: dict[type, Any] = {
    Refused: ServerEvents._refused,
    Configured: ServerEvents._configured,
    Inserted: ServerEvents._inserted,
    Retrieved: ServerEvents._retrieved,
    Deleted: ServerEvents._deleted,
    Truncated: ServerEvents._truncated,
    Cleared: ServerEvents._cleared,
    ReplyBegun: ServerEvents._begun,
}
