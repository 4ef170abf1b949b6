"""The voices of the fleet over HTTP: what the page's picker shows, and loads.

``GET /v1/models`` lists every model that some worker has, in its best state anywhere; those tagged ``test`` stand
apart, as ``test_models``: they are no choice for a person. Beside it, under ``object`` and ``data``, stands the same
list in the shape that OpenAI's clients read, and ``GET /v1/models/{id}`` gives one of them in both shapes.
``POST /v1/models/{id}/load`` returns when it is resident; ``POST /v1/models/{id}/unload`` when it is gone.
``GET /v1/client`` tells a page by which transports it may connect, and which models hear, speak, take turns, answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from parley import __version__
from parley.errors import NotFound, ParleyError
from parley.rpc.values import ModelStatus
from parley.server.http import Gate, Role, guarded


class Fleet(Protocol):
    """The workers as one."""

    async def models(self) -> Sequence[ModelStatus]:
        """Every model that some worker has, sorted by id, in its best state anywhere."""

    async def load_model(self, model_id: str) -> None:
        """Make it resident somewhere. NotFound, CapacityError or EngineError say why not."""

    async def unload_model(self, model_id: str) -> None:
        """Free it everywhere. PreconditionFailed while it is in use."""


def model_routes(
    gate: Gate,
    fleet: Fleet,
    transports: Sequence[str],
    in_use: Callable[[], Mapping[str, str]] = dict,
    *,
    told: Callable[[ParleyError], Response] | None = None,
    connecting: Callable[[], None] = lambda: None,
) -> list[Route]:
    """The routes of this module. ``in_use``: kind of model -> name of the one that is used.

    ``told``: how an error is said where other people's clients ask as well. ``connecting`` is called when a page asks
    how to connect: somebody will.
    """

    async def client(_: Request) -> Response:
        connecting()
        said = {"version": __version__, "transports": list(transports), "models": dict(in_use())}
        return JSONResponse(said, headers={"Cache-Control": "no-store"})

    async def listing(_: Request) -> Response:
        lists: dict[str, list[dict[str, Any]]] = {"models": [], "test_models": []}
        for status in await fleet.models():
            lists["test_models" if "test" in status.info.tags else "models"].append(_as_json(status))
        data = [_as_theirs(model["model_id"]) for model in lists["models"]]
        return JSONResponse({"object": "list", "data": data, **lists}, headers={"Cache-Control": "no-store"})

    async def one(request: Request) -> Response:
        wanted = request.path_params["id"]
        for status in await fleet.models():
            if status.info.model_id == wanted:
                said = {**_as_theirs(wanted), **_as_json(status)}
                return JSONResponse(said, headers={"Cache-Control": "no-store"})
        raise NotFound(f"There is no model called {wanted[:64]!r}.")

    async def load(request: Request) -> Response:
        await fleet.load_model(request.path_params["id"])
        return Response(status_code=204)

    async def unload(request: Request) -> Response:
        await fleet.unload_model(request.path_params["id"])
        return Response(status_code=204)

    return [
        Route("/v1/client", guarded(gate, client, tokens=True)),
        Route("/v1/models", guarded(gate, listing, told, tokens=True)),
        Route("/v1/models/{id}/load", guarded(gate, load, role=Role.MODELS), methods=["POST"]),
        Route("/v1/models/{id}/unload", guarded(gate, unload, role=Role.MODELS), methods=["POST"]),
        Route("/v1/models/{id:path}", guarded(gate, one, told)),
    ]


def _as_theirs(model_id: str) -> dict[str, Any]:
    """A model as OpenAI's clients want it: they refuse one without a time."""
    return {"id": model_id, "object": "model", "created": 0, "owned_by": "parley"}


def _as_json(status: ModelStatus) -> dict[str, Any]:
    fields = asdict(status)
    info: dict[str, Any] = fields.pop("info")
    return {**info, **fields}
