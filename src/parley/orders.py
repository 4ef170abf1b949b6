"""What a session is asked and told besides ``messages`` where its client knows the conversation entry by entry.

Parley's own wire has none of this: it is how ``api`` speaks to a session for clients of other protocols. Orders come
over the transport, in order with the microphone; notices go to whoever opened the session, in order with the messages.
Samples are counted at 48 kHz, times in seconds of microphone audio.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from parley.conversation.items import Item
from parley.values import ReplyOptions, ToolInfo, Usage, Voice


@dataclass(frozen=True, slots=True)
class Manner:
    """How a session goes on, which its client may change at any time."""

    instructions: str | None = None
    """Stand before the conversation in place of the server's own."""
    tools: tuple[ToolInfo, ...] = ()
    """The client's own: a call is handed to it, and its result comes back as an entry."""
    options: ReplyOptions = field(default_factory=ReplyOptions)
    answers: bool = True
    """Turns are answered unasked."""
    interrupts: bool = True
    """Speech over a reply may end it."""
    detects: bool = True
    """Turns begin and end by themselves; if not, by :class:`Commit` alone."""
    text_only: bool = False
    """Replies are written and not spoken."""
    idle: float = 0.0
    """Seconds of silence after a reply was heard, upon which another one is made; 0 for never."""
    language: str = ""
    """BCP 47, of what the participant says; empty where nothing is known."""
    hot_words: tuple[str, ...] = ()
    """Names and terms that the participant is likely to say, beside the server's own."""
    settings: Mapping[str, float | int | bool | str] = field(default_factory=dict)
    """Session settings by dotted key, as in ``messages.StartSession``: those of the segmenter and of endpointing."""


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """A reply that is asked for, and in what it differs from the others."""

    ref: str = ""
    instructions: str | None = None
    tools: tuple[ToolInfo, ...] | None = None
    options: ReplyOptions | None = None
    text_only: bool | None = None
    voice: Voice | None = None
    context: tuple[Item | str, ...] | None = None
    """What the language model is told in place of the conversation; entries of that are named by their ids."""
    beside: bool = False
    """It does not become part of the conversation."""
    reply_id: str = ""
    """What it is called; the session's to say."""


# --- orders ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Configure:
    """Go on like this."""

    manner: Manner
    ref: str = ""
    """Empty where nobody waits to be told."""


@dataclass(frozen=True, slots=True)
class Insert:
    """Add an entry behind ``after``; "" is the beginning, None the end."""

    ref: str
    item: Item
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Retrieve:
    """Show an entry."""

    ref: str
    item_id: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Forget an entry."""

    ref: str
    item_id: str


@dataclass(frozen=True, slots=True)
class Truncate:
    """Of a spoken reply no more than ``sample`` samples were heard."""

    ref: str
    item_id: str
    sample: int


@dataclass(frozen=True, slots=True)
class AskReply:
    """Reply now."""

    request: ReplyRequest


@dataclass(frozen=True, slots=True)
class CancelReply:
    """Stop the reply of this id; "" for the one that is being made or heard."""

    ref: str
    reply_id: str = ""


@dataclass(frozen=True, slots=True)
class Commit:
    """What was said so far is a turn."""

    ref: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Forget what was said and not committed."""

    ref: str


Order = Configure | Insert | Retrieve | Delete | Truncate | AskReply | CancelReply | Commit | Clear

# --- notices ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Refused:
    """An order was not carried out. ``why`` is for programs, ``message`` for people."""

    ref: str
    why: Literal["no_item", "invalid", "no_audio", "too_long", "active", "not_active", "nothing_said", "duplicate"]
    message: str


@dataclass(frozen=True, slots=True)
class Configured:
    """The session goes on as it was told to."""

    ref: str


@dataclass(frozen=True, slots=True)
class Inserted:
    """An entry was added behind ``after``; "" for the first of all."""

    ref: str
    item: Item
    after: str


@dataclass(frozen=True, slots=True)
class Retrieved:
    ref: str
    item: Item


@dataclass(frozen=True, slots=True)
class Deleted:
    ref: str
    item_id: str


@dataclass(frozen=True, slots=True)
class Truncated:
    ref: str
    item_id: str
    sample: int


@dataclass(frozen=True, slots=True)
class Cleared:
    ref: str


@dataclass(frozen=True, slots=True)
class SpeechNoted:
    """The participant began a turn, or ended one, at this moment of the microphone's audio."""

    item_id: str
    started: bool
    at: float


@dataclass(frozen=True, slots=True)
class SilenceNoted:
    """Nobody has said anything between these moments of the microphone's audio, which is answered as a turn is."""

    item_id: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class TurnCommitted:
    """A turn is over and stands in the conversation, behind ``after``; its words may still be unknown."""

    item_id: str
    after: str
    turn: int


@dataclass(frozen=True, slots=True)
class TurnSettled:
    """All that will ever be understood of a turn; ``error`` says why it is not all that was said."""

    item_id: str
    text: str
    seconds: float = 0.0
    """Of audio that were listened to."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class ReplyBegun:
    """There will be a reply, for certain. ``ref`` is the request's; empty where nobody asked."""

    reply_id: str
    ref: str
    text_only: bool
    beside: bool


@dataclass(frozen=True, slots=True)
class ReplyItem:
    """The reply says something: this entry of the conversation, behind ``after``."""

    reply_id: str
    item_id: str
    after: str


@dataclass(frozen=True, slots=True)
class ReplyWritten:
    """The next piece of the text of a reply that is not spoken; that of others is told by ``messages.ReplyText``."""

    reply_id: str
    text: str


@dataclass(frozen=True, slots=True)
class CallHanded:
    """The reply asks for a tool of the client's: an entry of the conversation, behind ``after``."""

    reply_id: str
    item_id: str
    after: str
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class CallNoted:
    """The reply asks for a tool of the server's, or something became of that; the client has nothing to do."""

    reply_id: str
    key: str
    """What the call is to its tool (``interfaces.Tools.call``)."""
    item_id: str
    after: str
    """An entry of the conversation, behind this one; both are ids of no entry for a reply beside the conversation."""
    name: str
    arguments: str
    state: Literal["running", "done", "failed"]
    output: str = ""
    """What the tool says, or why it says nothing; once it is over."""
    result_id: str = ""
    """The entry that holds it, where there is one."""


@dataclass(frozen=True, slots=True)
class ReplySettled:
    """The reply is over."""

    reply_id: str
    outcome: Literal["completed", "cancelled", "failed", "incomplete"]
    reason: str = ""
    """Of one that was cancelled: turn_detected or client_cancelled."""
    code: str = ""
    message: str = ""
    """Why it failed."""
    usage: Usage | None = None
    """What the language model counted, where it did."""
    told: int = 0
    """Characters that the language model was told."""
    samples: int = 0
    """Of sound that was sent."""
    heard: int = 0
    """Of them, as far as is known."""


Notice = (
    Refused
    | Configured
    | Inserted
    | Retrieved
    | Deleted
    | Truncated
    | Cleared
    | SpeechNoted
    | SilenceNoted
    | TurnCommitted
    | TurnSettled
    | ReplyBegun
    | ReplyItem
    | ReplyWritten
    | CallHanded
    | CallNoted
    | ReplySettled
)


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody who knows the conversation entry by entry, for ``server.sessions``."""

    manner: Manner
    """How it begins."""
    told: Callable[[Notice], Awaitable[None]]
    name: Callable[[], str]
    """Makes ids of entries."""
