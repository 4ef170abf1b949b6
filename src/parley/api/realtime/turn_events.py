"""What is said into the microphone, as the server events of the Realtime interface (pure)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parley.api.realtime.entries import shown
from parley.conversation import Message
from parley.messages import TranscriptUpdate
from parley.orders import SilenceNoted, SpeechNoted, TurnCommitted, TurnSettled

Event = dict[str, Any]
Make = Callable[..., Event]
"""Takes the type of an event and its fields."""
TurnNotice = SpeechNoted | SilenceNoted | TurnCommitted | TurnSettled

_WAITING = 1_000
"""Turns whose words are waited for."""


class TurnEvents:
    """One session's. ``writes_down``: whether the client wants to read what the participant says."""

    def __init__(self, make: Make, writes_down: Callable[[], bool]) -> None:
        self._event = make
        self._writes_down = writes_down
        self._turns: dict[int, str] = {}
        self._deltas: dict[str, str] = {}

    def notice(self, notice: TurnNotice) -> list[Event]:
        """What the session says of a turn."""
        match notice:
            case SpeechNoted():
                return self._speech(notice)
            case SilenceNoted():
                return self._silence(notice)
            case TurnCommitted():
                return self._committed(notice)
            case TurnSettled():
                return self._settled(notice)

    def transcript(self, message: TranscriptUpdate) -> list[Event]:
        """What was understood so far; told is what will not be revoked."""
        item_id = self._turns.get(message.turn, "")
        known = self._deltas.get(item_id)
        text = message.text[: message.stable]
        if known is None or message.backchannel or not self._writes_down():
            return []
        if len(text) <= len(known) or not text.startswith(known):
            return []
        self._deltas[item_id] = text
        return [self._written_down("delta", item_id, delta=text[len(known) :])]

    # --- turns -------------------------------------------------------------------------

    def _speech(self, notice: SpeechNoted) -> list[Event]:
        name, field_name = ("started", "audio_start_ms") if notice.started else ("stopped", "audio_end_ms")
        at = {"item_id": notice.item_id, field_name: max(0, round(1000 * notice.at))}
        return [self._event(f"input_audio_buffer.speech_{name}", **at)]

    def _silence(self, notice: SilenceNoted) -> list[Event]:
        start, end = (round(1000 * at) for at in (notice.began, notice.ended))
        where = {"item_id": notice.item_id, "audio_start_ms": start, "audio_end_ms": end}
        return [self._event("input_audio_buffer.timeout_triggered", **where)]

    def _committed(self, notice: TurnCommitted) -> list[Event]:
        self._turns[notice.turn] = notice.item_id
        self._deltas[notice.item_id] = ""
        while len(self._turns) > _WAITING:
            del self._turns[next(iter(self._turns))]
        while len(self._deltas) > _WAITING:
            del self._deltas[next(iter(self._deltas))]
        committed = {"previous_item_id": notice.after or None, "item_id": notice.item_id}
        item = shown(Message("user", "", notice.item_id), "input_audio")
        item["content"][0]["transcript"] = None
        return [self._event("input_audio_buffer.committed", **committed), *added(self._event, item, notice.after)]

    def _settled(self, notice: TurnSettled) -> list[Event]:
        known = self._deltas.pop(notice.item_id, "")
        if not self._writes_down():
            return []
        if notice.error:
            told = {"type": "server_error", "code": "transcription_failed", "message": notice.error, "param": None}
            return [self._written_down("failed", notice.item_id, error=told)]
        events = []
        if notice.text.startswith(known) and len(notice.text) > len(known):
            events.append(self._written_down("delta", notice.item_id, delta=notice.text[len(known) :]))
        usage = {"type": "duration", "seconds": notice.seconds}
        return [*events, self._written_down("completed", notice.item_id, transcript=notice.text, usage=usage)]

    def _written_down(self, what: str, item_id: str, **fields: Any) -> Event:
        kind = f"conversation.item.input_audio_transcription.{what}"
        return self._event(kind, item_id=item_id, content_index=0, **fields)


def added(make: Make, item: Event, after: str) -> list[Event]:
    """An entry stands in the conversation, behind ``after``."""
    before = {"previous_item_id": after or None}
    return [make(f"conversation.item.{what}", **before, item=item) for what in ("added", "done")]
