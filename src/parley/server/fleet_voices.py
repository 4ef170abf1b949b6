"""Voices that are made from recordings of people, on all workers that take some."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from parley import clock
from parley.errors import NotFound, ParleyError, PreconditionFailed, UnavailableError
from parley.values import CLONING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley.routing.fleet import WorkerHandles
    from parley.routing.pool import PooledSynthesizer
    from parley.rpc.values import ClonedVoice, NewVoice

_ANNOUNCED = 10.0
"""Seconds within which workers have told the fleet of a voice that came or went."""


class FleetVoices:
    """A voice is on every worker that has its model, or on none."""

    def __init__(self, pool: PooledSynthesizer) -> None:
        self._pool = pool

    def cloners(self) -> list[str]:
        """Models that take recordings as speakers, sorted."""
        announced = (member.announcement.models for member in self._pool.fleet.members.values() if not member.left)
        return sorted({model.model_id for models in announced for model in models if CLONING in model.tags})

    async def add(self, voice: NewVoice) -> ClonedVoice:
        """Keep it on all of them. What the first one says that can not is raised, and then none has it."""
        asked = self._takers(voice.model_id)
        if not asked:
            raise PreconditionFailed(f"No worker takes recordings as voices of the model {voice.model_id}.")
        answers = await asyncio.gather(*(worker.add_voice(voice) for worker in asked), return_exceptions=True)
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        if failures:
            kept = [worker for worker, answer in zip(asked, answers, strict=True) if answer not in failures]
            undone = (worker.remove_voice(voice.model_id, voice.name) for worker in kept)
            await asyncio.gather(*undone, return_exceptions=True)
            raise failures[0]
        await self._told(voice.model_id, voice.name, there=True)
        return next(answer for answer in answers if not isinstance(answer, BaseException))

    async def remove(self, model_id: str, name: str) -> None:
        """Delete it everywhere. Raises NotFound, or what a worker says that could not."""
        answers = await asyncio.gather(
            *(worker.remove_voice(model_id, name) for worker in self._workers()), return_exceptions=True
        )
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        missing = [failure for failure in failures if isinstance(failure, NotFound)]
        if len(failures) > len(missing):
            raise next(failure for failure in failures if failure not in missing)
        if len(missing) == len(answers):
            raise missing[0]
        await self._told(model_id, name, there=False)

    async def voices(self) -> list[ClonedVoice]:
        """All of them, sorted by model and name; workers that do not answer are left out."""
        found: dict[tuple[str, str], ClonedVoice] = {}
        for voices in await asyncio.gather(*(_voices_of(worker) for worker in self._workers())):
            for voice in voices:
                found.setdefault((voice.model_id, voice.name), voice)
        return [found[key] for key in sorted(found)]

    async def _told(self, model_id: str, name: str, *, there: bool) -> None:
        """Until all announcements say so: whoever asked speaks with it at once."""
        until = clock.now() + _ANNOUNCED
        while (left := until - clock.now()) > 0 and any(
            (name in model.speakers) != there
            for member in self._pool.fleet.members.values()
            for model in member.announcement.models
            if model.model_id == model_id and not member.left
        ):
            await self._pool.fleet.changed(left)

    def _takers(self, model_id: str) -> list[WorkerHandles]:
        fleet = self._pool.fleet
        members = [member for member in fleet.members.values() if not member.left]
        return [
            fleet.link(member).worker
            for member in members
            if (model := member.announcement.model(model_id)) is not None and CLONING in model.tags
        ]

    def _workers(self) -> list[WorkerHandles]:
        fleet = self._pool.fleet
        links = [fleet.link(member) for member in fleet.members.values() if not member.left]
        if not links:
            raise UnavailableError("No worker is there.")
        return [link.worker for link in links]


async def _voices_of(worker: WorkerHandles) -> Sequence[ClonedVoice]:
    try:
        return await worker.voices()
    except ParleyError:
        return ()
