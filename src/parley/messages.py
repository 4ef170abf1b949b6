"""What a client and the orchestrator tell each other, whatever the transport.

One frozen dataclass per message; ``type`` is its name on the wire. Transports convert at the
edge (``parley.transports.codec``). Times are in seconds unless the name says ``_ms``;
samples are counted at 48 kHz from the first sample of an utterance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from parley.audio.frame import WordMark  # the codec reads the hints at run time
from parley.values import Voice

PROTOCOL_VERSION = 1

ParticipantState = Literal["silent", "speaking"]
AgentState = Literal["idle", "listening", "thinking", "speaking", "barged_in", "terminated"]
ReplyOutcome = Literal["finished", "interrupted", "failed"]
ToolState = Literal["running", "left", "done", "failed", "refused", "unconfirmed", "cancelled"]
DecisionOutcome = Literal["take_floor", "backchannel", "noise", "echo"]


# --- from the client -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartSession:
    """The first message of a session: who speaks, and how."""

    type: ClassVar[str] = "start"
    protocol: int = PROTOCOL_VERSION
    sample_rate: int = 48_000
    """Hz of the microphone: 16000 or 48000."""
    voice: Voice = Voice()
    language: str = ""
    """BCP 47; empty for the server's default."""
    playout_reports: bool = False
    """True when the client will report what it played."""
    echo_cancelled: bool = False
    """True when the microphone has been through an echo canceller."""
    resume_session: str = ""
    """Id of an earlier session whose history goes on here."""
    settings: dict[str, float | int | bool | str] = field(default_factory=dict)
    """Per-session settings, by dotted key; the reference page says which are allowed."""


@dataclass(frozen=True, slots=True)
class TextInput:
    """A participant's turn, typed."""

    type: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True, slots=True)
class SayDelta:
    """A piece of text that the agent is to speak as it is: the deltas of an outside model.

    Spoken as soon as nobody has the floor: text waits for as long as the participant's turn is open or another reply
    is on its way, and several texts, each closed by :class:`SayEnd`, are spoken in their order.

    A sound over it is judged as over any reply: a nod, a cough or an echo costs a short silence and nothing else.
    Only a floor that is taken (by speech, by a typed turn, or by :class:`Interrupt`) drops the text, together with
    every text that waited behind it. What still comes of a text that was dropped is dropped too, until its
    :class:`SayEnd`, or until nothing has come for ``session.limits.say_timeout``; what follows is a new text.
    """

    type: ClassVar[str] = "say"
    text: str
    normalize: bool = True
    """False to speak this text as it stands, numbers and marks included; the first message of a text decides."""


@dataclass(frozen=True, slots=True)
class SayEnd:
    """The outside text is complete. Send it after a text that was cut off, too: it says where a new one begins.

    A text that has no end, and does not go on for ``session.limits.say_timeout``, counts as complete; the client is
    told (``timed_out``).
    """

    type: ClassVar[str] = "say_end"


@dataclass(frozen=True, slots=True)
class PlayoutReport:
    """What the client has played of an utterance; sent about ten times a second and after pause and clear."""

    type: ClassVar[str] = "playout"
    utterance_id: str
    sample: int
    """One past the last sample heard."""
    stopped: bool = False
    """True when this answers a pause or clear: the sample where the sound stopped."""


@dataclass(frozen=True, slots=True)
class SetVoice:
    """Speak with this voice from the next utterance on."""

    type: ClassVar[str] = "set_voice"
    voice: Voice


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Stop speaking, now: a button or push-to-talk, no evidence needed."""

    type: ClassVar[str] = "interrupt"


@dataclass(frozen=True, slots=True)
class EndTurn:
    """The participant's turn is over (push-to-talk released)."""

    type: ClassVar[str] = "end_turn"


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks for a Pong with the same ``id``: round trips over any transport."""

    type: ClassVar[str] = "ping"
    id: int = 0


@dataclass(frozen=True, slots=True)
class EndSession:
    """Goodbye."""

    type: ClassVar[str] = "end"


ClientMessage = (
    StartSession | TextInput | SayDelta | SayEnd | PlayoutReport | SetVoice | Interrupt | EndTurn | Ping | EndSession
)


# --- from the orchestrator -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """The session is ready."""

    type: ClassVar[str] = "started"
    session_id: str
    protocol: int = PROTOCOL_VERSION
    sample_rate: int = 48_000
    """Hz of the agent's audio."""
    voice: Voice = Voice()
    resumed: bool = False
    """True when an earlier session's history goes on."""
    recorded: bool = False
    """True when the operator keeps this session on disk."""


@dataclass(frozen=True, slots=True)
class StateChanged:
    """Both automata after a transition, and the event that caused it."""

    type: ClassVar[str] = "state"
    participant: ParticipantState
    agent: AgentState
    event: str = ""


@dataclass(frozen=True, slots=True)
class TranscriptUpdate:
    """What was understood of the participant's current turn."""

    type: ClassVar[str] = "transcript"
    turn: int
    """1, 2, 3 ... within the session."""
    text: str
    final: bool = False
    stable: int = 0
    """Characters at the front that will not change any more."""
    backchannel: bool = False
    """True when it was a nod, not a turn."""


@dataclass(frozen=True, slots=True)
class ReplyStarted:
    """A reply begins; its audio carries this utterance id."""

    type: ClassVar[str] = "reply"
    utterance_id: str
    turn: int
    voice: Voice = Voice()
    number: int = 0
    """Stands for the utterance id in binary audio frames; filled in by transports that use such frames."""


@dataclass(frozen=True, slots=True)
class ReplyText:
    """The next piece of the reply's text, as it goes to the voice."""

    type: ClassVar[str] = "reply_text"
    utterance_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ReplyWords:
    """Where words of the reply stand in its audio, a little ahead of their sound: for captions."""

    type: ClassVar[str] = "words"
    utterance_id: str
    marks: tuple[WordMark, ...] = ()
    """Characters counted in the concatenation of the reply's texts, samples at 48 kHz."""


@dataclass(frozen=True, slots=True)
class ReplyEnded:
    """The reply is over: its whole text and the part of it that was heard."""

    type: ClassVar[str] = "reply_end"
    utterance_id: str
    outcome: ReplyOutcome
    text: str = ""
    heard_text: str = ""
    heard_sample: int = 0
    """One past the last sample heard."""


@dataclass(frozen=True, slots=True)
class PauseAudio:
    """Be silent now and keep what is queued; answer with a PlayoutReport."""

    type: ClassVar[str] = "pause"
    utterance_id: str


@dataclass(frozen=True, slots=True)
class ResumeAudio:
    """Go on from the very sample where the pause fell."""

    type: ClassVar[str] = "resume"
    utterance_id: str


@dataclass(frozen=True, slots=True)
class ClearAudio:
    """Drop what is queued of this utterance; answer with a PlayoutReport."""

    type: ClassVar[str] = "clear"
    utterance_id: str


@dataclass(frozen=True, slots=True)
class AudioAnchor:
    """WebRTC only: from here on, this sample of the utterance stands at this RTP timestamp."""

    type: ClassVar[str] = "anchor"
    utterance_id: str
    sample: int
    rtp_timestamp: int
    """32 bit, 48 kHz: the decoded sound at this timestamp is this sample."""


@dataclass(frozen=True, slots=True)
class AudioOnset:
    """LiveKit only: the next sound after a silence is this sample of the utterance."""

    type: ClassVar[str] = "onset"
    utterance_id: str
    sample: int
    """The first one above -40 dBFS."""


@dataclass(frozen=True, slots=True)
class BargeInDecided:
    """What the speech over a reply turned out to be, and why."""

    type: ClassVar[str] = "decision"
    utterance_id: str
    outcome: DecisionOutcome
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TurnLatency:
    """Where the time of a turn went: milliseconds from the participant's last speech sample."""

    type: ClassVar[str] = "latency"
    turn: int
    stages_ms: dict[str, float] = field(default_factory=dict)
    """Keys, in order: vad, endpoint, asr, llm, tts, sent, heard; those that happened."""


@dataclass(frozen=True, slots=True)
class ToolUpdate:
    """Where a call of a tool stands; never what was asked or answered."""

    type: ClassVar[str] = "tool"
    call_id: str
    turn: int
    name: str
    state: ToolState
    """running; left (at work, and no reply waits for it); done, failed or cancelled; never begun: refused, or
    unconfirmed (the participant is asked first, and agreeing makes another call of it)."""


@dataclass(frozen=True, slots=True)
class VoiceChanged:
    """The voice from the next utterance on; ``note`` says when it is not the one that was asked for."""

    type: ClassVar[str] = "voice"
    voice: Voice
    note: str = ""


@dataclass(frozen=True, slots=True)
class Pong:
    """Answers a Ping."""

    type: ClassVar[str] = "pong"
    id: int = 0


@dataclass(frozen=True, slots=True)
class ErrorMessage:
    """Something went wrong. ``fatal`` errors end the session."""

    type: ClassVar[str] = "error"
    code: str
    message: str
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The last message."""

    type: ClassVar[str] = "ended"
    reason: str = ""
    resume: bool = False
    """True when only the server goes: ask the next one that answers for this session, and it goes on."""


ServerMessage = (
    SessionStarted
    | StateChanged
    | TranscriptUpdate
    | ReplyStarted
    | ReplyText
    | ReplyWords
    | ReplyEnded
    | PauseAudio
    | ResumeAudio
    | ClearAudio
    | AudioAnchor
    | AudioOnset
    | BargeInDecided
    | TurnLatency
    | ToolUpdate
    | VoiceChanged
    | Pong
    | ErrorMessage
    | SessionEnded
)
