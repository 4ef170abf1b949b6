"""A voice is on every worker that has its model, or on none."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from parley.errors import ConfigError, NotFound, PreconditionFailed
from parley.registry import AnnouncedModel, Announcement
from parley.rpc.values import NewVoice
from parley.server.fleet_voices import FleetVoices
from parley.testing.workers import FakeWorker

pytestmark = pytest.mark.anyio
VOICE = NewVoice("csm", "anna", b"RIFF", "Hello.", consent=True)


@dataclass
class Member:
    """A worker as the fleet knows it; what it has of voices it announces at once."""

    owner: FakeWorker
    takes: bool = True
    left: bool = False

    @property
    def announcement(self) -> Announcement:
        model = AnnouncedModel("csm", tags=("cloning",) if self.takes else (), speakers=self.speakers)
        return Announcement(self.owner.name, "127.0.0.1:1", models=(model,))

    @property
    def speakers(self) -> tuple[str, ...]:
        return tuple(name for _, name in self.owner.cloned)


class Fleet:
    def __init__(self, *members: Member) -> None:
        self.members = {member.owner.name: member for member in members}

    def link(self, member: Any) -> FakeWorker:
        owner: FakeWorker = member.owner
        return owner

    async def changed(self, timeout: float) -> bool:
        return False


def fleet(*members: Member) -> FleetVoices:
    pool: Any = SimpleNamespace(fleet=Fleet(*members))
    return FleetVoices(pool)


async def test_all_workers_with_the_model_keep_it_and_all_delete_it() -> None:
    members = [Member(FakeWorker("a")), Member(FakeWorker("b")), Member(FakeWorker("c"), takes=False)]
    voices = fleet(*members)
    assert voices.cloners() == ["csm"]
    await voices.add(VOICE)
    assert [member.speakers for member in members] == [("anna",), ("anna",), ()]
    assert [voice.name for voice in await voices.voices()] == ["anna"]
    await voices.remove("csm", "anna")
    assert [member.speakers for member in members] == [(), (), ()]


async def test_where_one_can_not_hear_it_none_keeps_it() -> None:
    members = [Member(FakeWorker("a")), Member(FakeWorker("b", takes_no_voice=True))]
    with pytest.raises(ConfigError, match="can not be heard"):
        await fleet(*members).add(VOICE)
    assert [member.speakers for member in members] == [(), ()]


async def test_a_voice_that_nobody_has_is_not_deleted() -> None:
    with pytest.raises(NotFound):
        await fleet(Member(FakeWorker("a"))).remove("csm", "anna")


async def test_where_no_worker_takes_any_it_is_refused() -> None:
    with pytest.raises(PreconditionFailed, match="csm"):
        await fleet(Member(FakeWorker("a"), takes=False)).add(VOICE)
