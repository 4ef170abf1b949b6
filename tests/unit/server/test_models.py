"""The list of voices over HTTP: what a person may choose, and what only tests speak with."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from parley.api.errors import both
from parley.rpc.convert import model_from_proto, model_to_proto
from parley.rpc.values import ModelStatus
from parley.server.fleet import FleetModels
from parley.server.models import model_routes
from parley.values import ModelInfo, Role

pytestmark = pytest.mark.anyio

AMY = ModelStatus(ModelInfo("amy", "piper", word_marks="native", concurrency=3, open_speakers=True), load_seconds=2.5)
TONE = ModelStatus(ModelInfo("tone", "tone", tags=("test",)))


class Open:
    """A gate that lets everybody in."""

    def check_origin(self, origin: str, host: str) -> None: ...

    def check_key(self, key: str, role: Role = Role.TALK, *, tokens: bool = False) -> None: ...


class Workers:
    """A fleet whose models came over the wire."""

    async def models(self) -> Sequence[ModelStatus]:
        return [model_from_proto(model_to_proto(status)) for status in (AMY, TONE)]

    async def load_model(self, model_id: str) -> None: ...

    async def unload_model(self, model_id: str) -> None: ...


async def test_a_page_is_told_which_models_hear_and_speak() -> None:
    named = {"ears": "whisper-tiny.en", "voice": "amy"}
    app = Starlette(routes=model_routes(Open(), Workers(), ["websocket"], lambda: named))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://parley") as http:
        assert (await http.get("/v1/client")).json()["models"] == named


async def listed() -> dict[str, Any]:
    app = Starlette(routes=model_routes(Open(), Workers(), ["websocket"]))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://parley") as http:
        answer: dict[str, Any] = (await http.get("/v1/models")).json()
    return answer


async def test_models_for_tests_stand_apart_from_those_for_people() -> None:
    answer = await listed()
    assert [model["model_id"] for model in answer["models"]] == ["amy"]
    assert [model["model_id"] for model in answer["test_models"]] == ["tone"]


async def test_what_a_model_can_is_told_as_its_worker_knows_it() -> None:
    (amy,) = (await listed())["models"]
    assert (amy["word_marks"], amy["concurrency"], amy["open_speakers"]) == ("native", 3, True)


async def test_a_model_that_is_not_there_is_told_in_both_shapes() -> None:
    app = Starlette(routes=model_routes(Open(), Workers(), [], told=both))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        answer = await client.get("/v1/models/nobody")
    assert answer.status_code == 404
    said = answer.json()
    assert said["error"]["message"] == said["message"] == "There is no model called 'nobody'."
    assert (said["error"]["type"], said["code"]) == ("invalid_request_error", "not_found")


async def test_a_page_is_told_how_long_a_voice_took_to_load() -> None:
    assert [model["load_seconds"] for model in (await listed())["models"]] == [2.5]


async def test_a_voice_in_no_workers_memory_takes_as_long_as_where_it_took_longest() -> None:
    took = {"alpha": 2.5, "beta": 4.0, "gamma": 0.0}

    class Worker:
        def __init__(self, name: str) -> None:
            self.name = name

        async def models(self) -> list[ModelStatus]:
            return [ModelStatus(ModelInfo("amy", "piper"), load_seconds=took[self.name])]

    members = {name: SimpleNamespace(name=name, left=False) for name in took}
    fleet = SimpleNamespace(members=members, link=lambda member: SimpleNamespace(worker=Worker(member.name)))
    pool: Any = SimpleNamespace(fleet=fleet)
    (amy,) = await FleetModels(pool).models()
    assert (amy.state, amy.load_seconds) == ("available", 4.0)
