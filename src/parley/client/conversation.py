"""A conversation as a program holds it: what has been said so far, and when it is over."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from parley import clock
from parley.errors import ParleyError
from parley.messages import (
    BargeInDecided,
    ErrorMessage,
    ReplyEnded,
    ReplyStarted,
    ReplyText,
    ServerMessage,
    SessionEnded,
    SessionStarted,
    StateChanged,
    ToolUpdate,
    TranscriptUpdate,
    TurnLatency,
    VoiceChanged,
)
from parley.transports.codec import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley.client.session import SessionClient
    from parley.values import Voice

SETTLE = 1.2
"""Seconds of quiet after an answered turn that end a conversation with nobody at the microphone."""
UNANSWERED = 4.0
"""Seconds of quiet after speech that nobody has answered yet: endpointing takes its time."""
NO_REPLY = 20.0
"""Seconds to wait for a first reply."""


@dataclass(slots=True)
class Line:
    """One thing that somebody said."""

    who: str
    """"you", "parley", "tool", or "note" for what this program says of itself."""
    text: str = ""
    note: str = ""
    """How it ended, where that is worth saying."""
    done: bool = False
    name: str = ""
    """Of a call of a tool."""


TOOL_WORDS = {
    "running": "at work",
    "left": "at work, while you talk on",
    "done": "done",
    "failed": "failed",
    "refused": "not done",
    "unconfirmed": "asks you first",
    "cancelled": "stopped",
}
"""Where a call of a tool stands, for people."""
_AT_WORK = ("running", "left")


@dataclass(slots=True)
class Conversation:
    """Follows a session's messages; the view and the exit both read from it."""

    participant: str = "silent"
    agent: str = "idle"
    lines: list[Line] = field(default_factory=list)
    latencies: dict[str, float] = field(default_factory=dict)
    """The last turn's stages in milliseconds."""
    voice: str = ""
    """Model, or model/speaker."""
    decision: str = ""
    replies: int = 0
    speaking_replies: int = 0
    """Replies that have begun and not ended."""
    unanswered: bool = False
    """Somebody spoke and no reply has begun since."""
    failed: str = ""
    """The last error, in words."""
    fatal: ErrorMessage | None = None
    _turn: int = 0
    """The last turn that is understood to its end."""
    _nobody_spoke: bool = False
    """What was heard over the reply last was a noise or an echo."""

    def follow(self, message: ServerMessage) -> None:
        """Take a message into account."""
        match message:
            case StateChanged():
                if message.participant == "speaking" and self.participant != "speaking":
                    self.unanswered = True
                self.participant, self.agent = message.participant, message.agent
            case TranscriptUpdate():
                self._hear(message)
            case SessionStarted():
                self._speaks_with(message.voice)
            case ReplyStarted():
                self.replies += 1
                self.speaking_replies += 1
                self.unanswered = False
                self._speaks_with(message.voice)
                self.lines.append(Line("parley"))
            case ReplyText():
                self._last("parley").text += message.text
            case ReplyEnded():
                self._end_reply(message)
            case BargeInDecided():
                self.decision = f"{message.outcome.replace('_', ' ')} ({', '.join(message.reasons)})"
                self._nobody_spoke = message.outcome in ("noise", "echo")
                if self._nobody_spoke:
                    self._say("you", "", done=True)
                if message.outcome != "take_floor":
                    self.unanswered = False
            case TurnLatency():
                self.latencies = dict(message.stages_ms)
            case VoiceChanged():
                self._speaks_with(message.voice)
                self.tell(message.note or f"From the next answer on: {self.voice}.")
            case ToolUpdate():
                self._tool(message)
            case ErrorMessage():
                self.failed = message.message
                self.fatal = message if message.fatal else self.fatal
            case _:
                pass

    @property
    def model(self) -> str:
        """The model that speaks; empty until it is known."""
        return self.voice.partition("/")[0]

    def tell(self, text: str) -> None:
        """Show something that nobody said."""
        self.lines.append(Line("note", text, done=True))

    def _speaks_with(self, voice: Voice) -> None:
        if voice.model:
            self.voice = f"{voice.model}/{voice.speaker}" if voice.speaker else voice.model

    @property
    def quiet(self) -> bool:
        """Nobody speaks, thinks or is about to, as far as the server says."""
        return self.participant == "silent" and self.agent in ("idle", "listening") and not self.speaking_replies

    def _hear(self, message: TranscriptUpdate) -> None:
        """Show a turn, or a nod; words that a recogniser found in a noise over a reply are nobody's."""
        over_reply = message.final and message.turn <= self._turn
        if over_reply and self._nobody_spoke and not message.backchannel:
            return
        if message.final:
            self._turn = max(self._turn, message.turn)
        self._say("you", message.text, done=message.final, note="mhm" if message.backchannel else "")

    def _say(self, who: str, text: str, *, done: bool, note: str = "") -> None:
        if not text and not done:
            return
        line = self._last(who, fresh=True)
        line.text, line.done, line.note = text, done, note

    def _tool(self, message: ToolUpdate) -> None:
        name = f"{message.turn}:{message.call_id}"
        line = next((line for line in reversed(self.lines) if line.name == name), None)
        if line is None:
            line = Line("tool", message.name, name=name)
            self.lines.append(line)
        line.note = TOOL_WORDS.get(message.state, message.state)
        line.done = message.state not in _AT_WORK

    def _last(self, who: str, *, fresh: bool = False) -> Line:
        """The newest line of somebody; with ``fresh`` a new one when the newest is complete."""
        for line in reversed(self.lines):
            if line.who == who:
                if fresh and line.done:
                    break
                return line
        self.lines.append(Line(who))
        return self.lines[-1]

    def _end_reply(self, message: ReplyEnded) -> None:
        self.speaking_replies = max(0, self.speaking_replies - 1)
        line = self._last("parley")
        line.done = True
        if message.outcome == "interrupted":
            line.text = message.heard_text
            line.note = "interrupted"
        elif message.outcome != "finished":
            line.note = message.outcome


class EventLog:
    """Writes every event with its time, one JSON object per line."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._began: float | None = None

    def write(self, at: float, message: ServerMessage | str, **more: object) -> None:
        """``at`` is ``clock.now()`` of the event; the file counts seconds from the first one."""
        if self._began is None:
            self._began = at
        body = {"type": message} if isinstance(message, str) else json.loads(encode(message))
        line = {"at": round(at - self._began, 6), **body, **more}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()


async def follow(
    client: SessionClient,
    conversation: Conversation,
    *,
    log: EventLog | None = None,
    changed: Callable[[], None] = lambda: None,
) -> None:
    """Read the session until it ends; raises the error that ended it, where there was one."""
    async for event in client:
        if log is not None:
            number, sample = client.listener.position(event.at)
            log.write(event.at, event.message, playing=number, heard_sample=sample)
        conversation.follow(event.message)
        changed()
        if isinstance(event.message, SessionEnded):
            break
    if conversation.fatal is not None:
        raise _fatal_error(conversation.fatal)


def _fatal_error(message: ErrorMessage) -> ParleyError:
    from parley.client.session import error_of

    return error_of(message)


async def until_settled(client: SessionClient, conversation: Conversation, *, max_wait: float) -> bool:
    """Wait until everything said has been answered and heard; False when none sounded for ``max_wait`` seconds."""
    heard_last = quiet_since = clock.now()
    while True:
        await asyncio.sleep(0.05)
        now = clock.now()
        if not client.listener.silent(now):
            heard_last = now
        if not (conversation.quiet and client.listener.silent(now)):
            quiet_since = now
        patience = SETTLE
        if conversation.unanswered:
            patience = UNANSWERED
        elif not conversation.replies:
            patience = NO_REPLY
        if now - quiet_since >= min(patience, max_wait):
            return conversation.replies > 0
        if now - heard_last > max_wait:
            return False
