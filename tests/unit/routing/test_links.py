"""A worker that is asked what it is may answer what cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from parley.errors import EngineError
from parley.routing.links import describe
from parley.rpc.values import Capabilities

if TYPE_CHECKING:
    from parley.rpc.values import ModelStatus

pytestmark = pytest.mark.anyio


@dataclass
class Asked:
    """What a worker says of itself."""

    said: Capabilities

    async def capabilities(self, *, timeout: float = 5.0) -> Capabilities:
        return self.said

    async def models(self) -> list[ModelStatus]:
        return []


async def test_an_honest_worker_is_described() -> None:
    found = await describe(Asked(Capabilities("alpha", sessions=3)), "10.0.0.5:7100")  # type: ignore[arg-type]
    assert (found.name, found.address, found.metrics.sessions) == ("alpha", "10.0.0.5:7100", 3)


@pytest.mark.parametrize(
    "lie",
    [
        Capabilities("alpha", queue_depth=-1),
        Capabilities("alpha", first_audio_p50_ms=float("nan")),
        Capabilities("alpha", real_time_factor=float("inf")),
        Capabilities("\x1b[2J"),
    ],
)
async def test_figures_out_of_this_world_are_refused_in_one_sentence(lie: Capabilities) -> None:
    with pytest.raises(EngineError, match=r"The worker at 10\.0\.0\.5:7100 says of itself what cannot be: .+\.$"):
        await describe(Asked(lie), "10.0.0.5:7100")  # type: ignore[arg-type]
