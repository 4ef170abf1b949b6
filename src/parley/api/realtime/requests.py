"""From what a client asks to what a session is told to do (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from parley.api.realtime.client_events import (
    Append,
    Approve,
    CancelResponse,
    ClearAudio,
    CommitAudio,
    CreateItem,
    CreateResponse,
    DeleteItem,
    ItemReference,
    RetrieveItem,
    TruncateItem,
    UpdateSession,
)
from parley.api.realtime.errors import ClientError
from parley.api.realtime.server_events import Asked, ServerEvents
from parley.api.realtime.session_object import SessionObject, options, tool_infos
from parley.conversation import Message
from parley.messages import SetVoice
from parley.orders import (
    AskReply,
    CancelReply,
    Clear,
    Commit,
    Configure,
    Delete,
    Insert,
    ReplyRequest,
    Retrieve,
    Truncate,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parley.api.realtime.client_events import Request
    from parley.api.realtime.mcp_events import McpEvents
    from parley.api.realtime.mcp_servers import Server
    from parley.api.realtime.turn_events import Event
    from parley.conversation import Item
    from parley.messages import ClientMessage
    from parley.orders import Order
    from parley.values import Voice

    Admit = Callable[..., None]
    """Told the kinds of orders that ask for more work than others; raises where that is too much."""

_SAMPLES_PER_MS = 48
_BY_TRACK = "In a call the microphone is heard by its media track; input_audio_buffer.append is for WebSockets."
_NOBODY_LOOKS = "The language model of this server does not look at images."
MOST_ORDERS = 2
"""That follow from one request."""
NOT_ACTIVE = "Cancellation failed: no active response found"


@dataclass(frozen=True, slots=True)
class Done:
    """What follows from a request."""

    orders: tuple[ClientMessage | Order, ...] = ()
    audio: bytes | None = None
    """Sound of the microphone, as the client sent it."""
    input_changed: bool = field(default=False)
    """From now on that has another format."""
    events: tuple[Event, ...] = ()
    """What the client is told at once."""


class Servers(Protocol):
    """Those that a session has tools of besides the client's."""

    def begin(self, tell: Callable[[list[Event]], None], servers: Sequence[Server]) -> None:
        """The client can be told now, and has these."""

    def use(self, servers: Sequence[Server]) -> None:
        """From now on it has these."""

    def answer(self, request_id: str, approve: bool, reason: str) -> bool:
        """Whether a call is to be made; False where none waits for that."""


class Requests:
    """Keeps the session object of one session. ``resolve`` gives the voice that one names; it raises ClientError.

    ``paced``: sound goes by tracks of its own, both ways, and what has not left yet is ours to drop. ``looks``: the
    language model looks at images.
    """

    def __init__(
        self,
        session: SessionObject,
        resolve: Callable[[SessionObject], Voice],
        name: Callable[[str], str],
        *,
        paced: bool = False,
        looks: bool = True,
        servers: Callable[[McpEvents], Servers] | None = None,
    ) -> None:
        self._paced, self._looks = paced, looks
        self._session = session
        self._session_id = name("sess")
        self._resolve = resolve
        self._voice = resolve(session)
        self.events = ServerEvents(name, self._of_a_response, lambda: self._session.writes_down, paced=paced)
        self.servers = None if servers is None else servers(self.events.mcp)

    def begin(self, tell: Callable[[list[Event]], None]) -> None:
        """The session is there: say so, and ask its servers."""
        tell([self.events.session("created", self._session.shown(self._session_id))])
        if self.servers is not None:
            self.servers.begin(tell, self._session.servers)

    @property
    def session(self) -> SessionObject:
        """As it is now."""
        return self._session

    @property
    def input_format(self) -> str:
        return str(self._session.heard["format"]["type"])

    @property
    def output_format(self) -> str:
        return str(self._session.said["format"]["type"]) if self._session.said else "audio/pcm"

    def _of_a_response(self) -> dict[str, Any]:
        """What every response says of itself."""
        session = self._session
        said = {name: session.said[name] for name in ("format", "voice") if name in session.said}
        return {
            "output_modalities": list(session.data.get("output_modalities", ["text"])),
            "max_output_tokens": session.data.get("max_output_tokens", "inf"),
            "audio": {"output": said},
        }

    def take(self, request: Request, event_id: str | None, admit: Admit = lambda *_: None) -> Done:
        """What is to be done. Raises ClientError, or what ``admit`` raises, and changes nothing."""
        match request:
            case Append() if self._paced:
                raise ClientError(_BY_TRACK, "invalid_event_for_transport", "type")
            case Append():
                return Done(audio=request.audio)
            case UpdateSession():
                return self._update(request, event_id, admit)
            case CommitAudio():
                return Done((Commit(self._ask(event_id, "input_audio_buffer.commit")),))
            case ClearAudio():
                return Done((Clear(self._ask(event_id, "input_audio_buffer.clear")),))
            case CreateItem():
                self._check_images(request.item, "item.content")
                ref = self._ask(event_id, "conversation.item.create", form=request.form)
                return Done((Insert(ref, request.item, request.after),))
            case Approve():
                return self._approve(request)
            case RetrieveItem() if (events := self.events.mcp.retrieve(request.item_id)) is not None:
                return Done(events=tuple(events))
            case RetrieveItem():
                return Done((Retrieve(self._ask(event_id, "conversation.item.retrieve"), request.item_id),))
            case DeleteItem():
                return Done((Delete(self._ask(event_id, "conversation.item.delete"), request.item_id),))
            case TruncateItem():
                ref = self._ask(event_id, "conversation.item.truncate", audio_end_ms=request.audio_end_ms)
                return Done((Truncate(ref, request.item_id, request.audio_end_ms * _SAMPLES_PER_MS),))
            case CreateResponse() if request == CreateResponse() and (events := self.events.responses.nothing_more()):
                return Done(events=tuple(events))
            case CreateResponse():
                return Done((AskReply(self._reply(request, event_id)),))
            case CancelResponse():
                return Done((self._cancel(request, event_id),))
            case _ if self._paced and (reply_id := self.events.responses.spoken):
                return Done((CancelReply(self._ask(event_id, "output_audio_buffer.clear"), reply_id),))
            case _:  # what was sent is with the client, or nothing is being said
                return Done()

    def _check_images(self, item: Item | ItemReference, where: str) -> None:
        if isinstance(item, Message) and item.images and not self._looks:
            raise ClientError(_NOBODY_LOOKS, "image_not_supported", where)

    def _ask(self, event_id: str | None, kind: str, **more: Any) -> str:
        return self.events.ask(Asked(event_id, kind, **more))

    def _update(self, request: UpdateSession, event_id: str | None, admit: Admit) -> Done:
        session = self._session.updated(request.patch)
        voice = self._resolve(session)
        admit(*(SetVoice,) * (voice != self._voice), Configure)
        changed = session.heard["format"] != self._session.heard["format"]
        then = partial(self.servers.use, session.servers) if self.servers is not None else lambda: None
        ref = self._ask(event_id, "session.update", session=session.shown(self._session_id), then=then)
        orders: list[ClientMessage | Order] = [Configure(session.manner(), ref)]
        if voice != self._voice:
            orders.insert(0, SetVoice(voice))
        self._session, self._voice = session, voice
        return Done(tuple(orders), input_changed=changed)

    def _reply(self, request: CreateResponse, event_id: str | None) -> ReplyRequest:
        if self._session.kind == "transcription":
            raise ClientError("A transcription session makes no responses.", "invalid_event_for_session", "type")
        for item in request.context or ():
            self._check_images(item, "response.input")
        data = self._session.data
        choice = request.tool_choice or data["tool_choice"]
        longest = request.max_output_tokens or data["max_output_tokens"]
        own: dict[str, Any] = {
            name: value
            for name, value in (("metadata", request.metadata), ("max_output_tokens", request.max_output_tokens))
            if value is not None
        }
        voice = None if request.voice is None else self._resolve(self._session.speaking(request.voice))
        if request.voice is not None:
            own["audio"] = {"output": {**self._of_a_response()["audio"]["output"], "voice": request.voice}}
        ref = self._ask(event_id, "response.create", response=own)
        modalities = request.output_modalities
        context = request.context
        return ReplyRequest(
            ref,
            instructions=request.instructions,
            tools=None if request.tools is None else tool_infos(request.tools),
            options=replace(options(choice, longest), usage=True),
            text_only=None if modalities is None else modalities == ["text"],
            context=None
            if context is None
            else tuple(one.item_id if isinstance(one, ItemReference) else one for one in context),
            beside=request.beside,
            voice=voice,
        )

    def _approve(self, request: Approve) -> Done:
        if self.servers is None or not self.servers.answer(request.request_id, request.approve, request.reason):
            message = "No call waits for that approval: it was answered, or given up."
            raise ClientError(message, param="item.approval_request_id")
        told = self.events.mcp.answered(request.item_id, request.request_id, request.approve, request.reason)
        return Done(events=tuple(told))

    def _cancel(self, request: CancelResponse, event_id: str | None) -> CancelReply:
        reply_id = ""
        if request.response_id:
            found = self.events.responses.reply_id(request.response_id)
            if found is None:
                raise ClientError(NOT_ACTIVE, "response_cancel_not_active", "response_id")
            reply_id = found
        return CancelReply(self._ask(event_id, "response.cancel"), reply_id)
