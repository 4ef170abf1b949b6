"""What LiveKit's stock components show: transcripts as text streams, the agent's state as an attribute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parley.audio.frame import WordMark
    from parley.messages import AgentState

TOPIC_TRANSCRIPTION = "lk.transcription"
TOPIC_CHAT = "lk.chat"
SEGMENT_ID = "lk.segment_id"
FINAL = "lk.transcription_final"
TRACK_ID = "lk.transcribed_track_id"
AGENT_STATE = "lk.agent.state"

AGENT_STATES: dict[AgentState, str] = {
    "idle": "listening",
    "listening": "listening",
    "thinking": "thinking",
    "speaking": "speaking",
    "barged_in": "listening",
    "terminated": "idle",
}
"""Ours to theirs: the states that their components know."""


class Captions:
    """Text streams of one room. Called by one task at a time."""

    def __init__(self, room: Any) -> None:
        self._room = room
        self._writer: Any = None
        self._segment = ""
        self._text = ""
        self._written = 0

    async def transcript(self, identity: str, track_id: str, turn: int, text: str, final: bool) -> None:
        """What the participant says: each update replaces the one before."""
        attributes = {SEGMENT_ID: f"turn-{turn}", FINAL: "true" if final else "false", TRACK_ID: track_id}
        writer = await self._room.local_participant.stream_text(
            topic=TOPIC_TRANSCRIPTION, sender_identity=identity, attributes=attributes
        )
        await writer.write(text)
        await writer.aclose(attributes=attributes)

    async def begin(self, utterance_id: str) -> None:
        """A reply begins: its words will be written as they are spoken."""
        await self.end()
        self._segment = utterance_id
        self._text = ""
        self._written = 0

    def know(self, utterance_id: str, text: str) -> None:
        """The next piece of the reply's text, which is yet to be spoken."""
        if utterance_id == self._segment:
            self._text += text

    async def speak(self, utterance_id: str, marks: Iterable[WordMark], track_id: str) -> None:
        """These words are leaving: write up to the end of the last one."""
        if utterance_id == self._segment:
            await self._write_to(max((mark.text_end for mark in marks), default=0), track_id)

    async def end(self, spoken: str | None = None, track_id: str = "") -> None:
        """The reply is over; ``spoken`` is what was heard of it, where it is known."""
        if spoken:
            self._text = self._text or spoken
            await self._write_to(len(spoken), track_id)
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.aclose(attributes={SEGMENT_ID: self._segment, FINAL: "true"})
        self._segment = ""

    async def _write_to(self, end: int, track_id: str) -> None:
        fresh = self._text[self._written : end]
        if not fresh:
            return
        if self._writer is None:
            attributes = {SEGMENT_ID: self._segment, FINAL: "false", TRACK_ID: track_id}
            self._writer = await self._room.local_participant.stream_text(
                topic=TOPIC_TRANSCRIPTION, attributes=attributes
            )
        await self._writer.write(fresh)
        self._written = end

    async def state(self, state: AgentState) -> None:
        """Tell the agent's state."""
        await self._room.local_participant.set_attributes({AGENT_STATE: AGENT_STATES[state]})
