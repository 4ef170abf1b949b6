"""Puts a recorder between sessions and their seams, where the operator has switched it on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from parley.conversation import plain
from parley.errors import ConfigError
from parley.observability.metrics import Sample
from parley.recording import RecordingSettings, SessionRecorder, remove_expired
from parley.recording.format import EVENTS
from parley.rounds import rounds
from parley.session.settings import with_overrides
from parley.transports.codec import encode
from parley.vad import VadSettings

if TYPE_CHECKING:
    from parley.server.engine_parts import EngineParts

log = structlog.get_logger(__name__)

SWEEP_INTERVAL = 3600.0


class RecordingKeeper:
    """Records the sessions of one server, and deletes what is too old."""

    def __init__(self, settings: RecordingSettings, vad: VadSettings, *, wall_clock: Callable[[], float]) -> None:
        """``wall_clock`` tells seconds since 1970: files outlive every monotonic clock.

        Raises ConfigError when the folder cannot be written.
        """
        self._settings, self._vad, self._wall_clock = settings, vad, wall_clock
        self._folder = Path(settings.folder)
        self._recorders: list[SessionRecorder] = []
        self._broken = 0
        """Recordings that broke off, of those that are not in the list any more."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ConfigError(f"Recordings cannot be kept in {self._folder}: {error.strerror}.") from error
        if not os.access(self._folder, os.W_OK):
            raise ConfigError(f"Recordings cannot be kept in {self._folder}: it cannot be written.")

    def wrap(self, parts: EngineParts, stack: ExitStack) -> EngineParts:
        """What the engine is made of, with a recorder around each seam; ``stack`` ends the recording."""
        self._broken += sum(not known.complete for known in self._recorders if not known.writing)
        self._recorders = [known for known in self._recorders if known.writing]
        recorder = stack.enter_context(
            SessionRecorder(
                self._folder,
                session_id=parts.session_id,
                input_rate=parts.transport.input_rate,
                details=self._details(parts),
            )
        )
        self._recorders.append(recorder)
        return replace(
            parts,
            transport=recorder.transport(parts.transport),
            recognizer=recorder.recognizer(parts.recognizer),
            language_model=recorder.language_model(parts.language_model),
            synthesizer=recorder.synthesizer(parts.synthesizer),
            echo=parts.echo and recorder.echo(parts.echo),
            tools=parts.tools and recorder.tools(parts.tools),
            end_of_turn=parts.end_of_turn and recorder.end_of_turn(parts.end_of_turn),
            interruption=parts.interruption and recorder.interruption(parts.interruption),
            observer=recorder.observer(parts.observer),
            relief=replace(parts.relief, ears=parts.relief.ears and recorder.recognizer(parts.relief.ears)),
        )

    def _details(self, parts: EngineParts) -> dict[str, Any]:
        settings = with_overrides(parts.settings, parts.start.settings)
        return {
            "start": encode(parts.start),
            "settings": asdict(settings),
            "deadlines": asdict(parts.language_model.deadlines),
            "items": [plain(item) for item in parts.history.items] if parts.history else [],
            "vad": {"name": self._vad.engine, "settings": asdict(self._vad)},
        }

    async def sweep(self) -> None:
        """Delete what is too old, now and every hour; runs until cancelled."""
        await rounds("the removal of old recordings", self._sweep, SWEEP_INTERVAL)

    async def _sweep(self) -> None:
        removed = await asyncio.to_thread(
            remove_expired, self._folder, now=self._wall_clock(), retention_days=self._settings.retention_days
        )
        if removed:
            log.info("recordings deleted", count=len(removed), folder=str(self._folder))

    def figures(self) -> Iterable[Sample]:
        """How many recordings broke off, for the metrics."""
        broken = self._broken + sum(not known.complete for known in self._recorders)
        yield Sample("parley_recordings_broken_total", broken)

    def join(self) -> None:
        """Wait until everything of the sessions that have ended is on disk; blocks."""
        for recorder in self._recorders:
            recorder.join()

    def recordings(self) -> list[Path]:
        """The folders of all recordings, oldest first."""
        return [events.parent for events in sorted(self._folder.glob(f"*/{EVENTS}"), key=lambda e: e.stat().st_mtime)]
