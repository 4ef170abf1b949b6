"""Plays a recording through the session engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from parley.conversation import History, item_from
from parley.interfaces import VoiceActivityDetector
from parley.messages import ServerMessage, StartSession
from parley.recording.format import Recording
from parley.replay.parts import (
    ReplayEchoGuard,
    ReplayEndOfTurn,
    ReplayInterruption,
    ReplayLanguageModel,
    ReplayRecognizer,
    ReplaySynthesizer,
    ReplayTools,
    ReplayTransport,
    Timeline,
)
from parley.session.engine import SessionEngine
from parley.session.listening.microphone import MicrophoneFilter
from parley.session.log import LogEntry
from parley.session.pressure import Relief
from parley.session.settings import SessionSettings, with_overrides
from parley.testing.virtual_time import run_virtual
from parley.transports.codec import decode_client


@dataclass(frozen=True, slots=True)
class Ears:
    """Makes what listens in a session: these run again, since they are arithmetic on the recorded sound."""

    vad: Callable[[str, Mapping[str, Any]], VoiceActivityDetector]
    """By name and settings, as the header has them."""
    microphone: Callable[[int], MicrophoneFilter]
    """By the microphone's rate in Hz."""


@dataclass(slots=True)
class Replayed:
    """What the engine did this time."""

    entries: list[LogEntry] = field(default_factory=list)
    messages: list[ServerMessage] = field(default_factory=list)

    def logged(self, entry: LogEntry) -> None:
        """An observer's method."""
        self.entries.append(entry)

    def frame_sent(self, lateness: float) -> None:
        """An observer's method."""


def replay(recording: Recording, ears: Ears, overrides: Mapping[str, Any] | None = None) -> Replayed:
    """Run the session again in virtual time; ``overrides`` are settings by dotted key, as clients give them.

    Raises InvalidRequest when an override names no setting or a value that is not allowed.
    """
    return run_virtual(_replay(recording, ears, overrides or {}))


async def _replay(recording: Recording, ears: Ears, overrides: Mapping[str, Any]) -> Replayed:
    header, timeline, replayed = recording.header, Timeline(), Replayed()
    start = decode_client(header["start"])
    assert isinstance(start, StartSession)
    transport = ReplayTransport(recording, timeline)
    had = {entry.kind for entry in recording.entries}
    settings = with_overrides(settings_from(header["settings"]), overrides)
    recognizer = ReplayRecognizer(recording, timeline)
    engine = SessionEngine(
        transport,
        # The session's own settings are in the recorded ones; the caller's stand above both.
        replace(start, settings={}),
        session_id=header["session_id"],
        microphone=ears.microphone(transport.input_rate),
        vad=ears.vad(header["vad"]["name"], header["vad"]["settings"]),
        recognizer=recognizer,
        language_model=ReplayLanguageModel(recording, timeline),
        synthesizer=ReplaySynthesizer(recording, timeline),
        history=History(item_from(item) for item in header.get("items", ())),
        settings=settings,
        relief=Relief(recognizer if settings.budget.faster_ears else None),  # a recording has all that was heard
        echo=ReplayEchoGuard(recording) if "clean" in had else None,
        end_of_turn=ReplayEndOfTurn(recording) if "end_of_turn" in had else None,
        interruption=ReplayInterruption(recording) if "wish" in had else None,
        tools=ReplayTools(recording, timeline) if "tools" in had else None,
        observer=replayed,
    )
    await engine.run()
    replayed.messages = transport.messages
    return replayed


def settings_from(data: Mapping[str, Mapping[str, Any]]) -> SessionSettings:
    """Session settings as a recording's header has them; what only one of the versions knows stays as it is."""
    base = SessionSettings()
    groups = {name: (getattr(base, name), group) for name, group in data.items() if hasattr(base, name)}
    return replace(base, **{name: _with_known(old, group) for name, (old, group) in groups.items()})


def _with_known(group: Any, values: Mapping[str, Any]) -> Any:
    return replace(group, **{name: value for name, value in values.items() if hasattr(group, name)})
