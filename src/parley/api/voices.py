"""``/v1/voices``: recordings of people that become voices, while the operator allows it."""

from __future__ import annotations

from contextlib import AsyncExitStack, aclosing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from parley.api.errors import guarded
from parley.api.forms import form
from parley.api.places import Memory, Places
from parley.api.recordings import Recording
from parley.api.requests import VoiceRequest, voice_request
from parley.api.streams import until_gone
from parley.api.transcription import Upload, heard_in
from parley.audio.levels import samples_of
from parley.audio.reference import RATE
from parley.audio.wav import wav_bytes
from parley.errors import InvalidRequest, NotFound, PreconditionFailed
from parley.rpc.values import NewVoice
from parley.server.http import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from parley.api.settings import ApiSettings
    from parley.interfaces import Recognizer
    from parley.rpc.values import ClonedVoice
    from parley.server.at_work import AtWork
    from parley.server.http import Gate

LONGEST_FILE = 120.0
"""Seconds that are read: who sends more than a voice may have is told how much it was."""
NOBODY = (
    "No worker takes recordings of people as voices: its operator allows that with worker.cloning.enabled, and it "
    "needs a model of a family that clones (csm, pocket)."
)
_AT_ONCE = 2
_NO_STORE = {"Cache-Control": "no-store"}


class VoiceFleet(Protocol):
    """The workers as one."""

    def cloners(self) -> list[str]:
        """Models that take recordings as speakers, sorted."""

    async def add(self, voice: NewVoice) -> ClonedVoice:
        """Keep it on all workers that have the model, or on none."""

    async def remove(self, model_id: str, name: str) -> None:
        """Delete it everywhere. Raises NotFound."""

    async def voices(self) -> Sequence[ClonedVoice]:
        """All of them, sorted."""


class Voices:
    """The routes. What is said in a recording is answered to whoever sent it, kept with the voice, and never logged."""

    def __init__(
        self,
        gate: Gate,
        settings: ApiSettings,
        fleet: VoiceFleet,
        recognizer: Recognizer,
        at_work: AtWork | None = None,
    ) -> None:
        self._settings, self._fleet, self._recognizer = settings, fleet, recognizer
        self._places = Places(_AT_ONCE, "recordings of voices", "two at a time", at_work)
        self._uploads = Places(2 * _AT_ONCE, "recordings on their way", "four at a time")
        self._memory = Memory(settings.uploads_memory, "api.uploads_memory")
        self.routes = [
            Route("/v1/voices", guarded(gate, self._list), methods=["GET"]),
            Route("/v1/voices", guarded(gate, self._add, role=Role.MODELS), methods=["POST"]),
            Route("/v1/voices/{model}/{name}", guarded(gate, self._remove, role=Role.MODELS), methods=["DELETE"]),
        ]

    async def _list(self, _: Request) -> Response:
        said = {"voices": [as_json(voice) for voice in await self._fleet.voices()], "models": self._fleet.cloners()}
        return JSONResponse(said, headers=_NO_STORE)

    async def _remove(self, request: Request) -> Response:
        model = request.path_params["model"]
        await self._fleet.remove(self._settings.names.get(model, model), request.path_params["name"])
        return Response(status_code=204)

    async def _add(self, request: Request) -> Response:
        if not self._fleet.cloners():  # before anything is read
            raise PreconditionFailed(NOBODY)
        with self._memory.held() as held:
            async with self._uploads.one():
                fields, file = await form(request, self._settings.largest_file, held.take)
            asked = voice_request({name: value for name, value in fields.items() if isinstance(value, str)})
            model = chosen(self._settings.names.get(asked.model, asked.model), self._fleet.cloners())
            upload = Upload(held, file)
            del file
            return await until_gone(request, self._answer(upload, asked, model))

    async def _answer(self, upload: Upload, asked: VoiceRequest, model: str) -> Response:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._places.one())
            recording = Recording(LONGEST_FILE)
            stack.push_async_callback(recording.aclose)
            await upload.give(recording.open_voice)
            new = await voice_from(recording, self._recognizer, model, asked)
        kept = await self._fleet.add(new)
        return JSONResponse({**as_json(kept), "text": new.text}, 201, headers=_NO_STORE)


async def voice_from(recording: Recording, ears: Recognizer, model: str, asked: VoiceRequest) -> NewVoice:
    """What a recording that serves becomes; its words are written down where nobody gave them. InvalidRequest."""
    audio = wav_bytes(samples_of(await recording.voice()), RATE)
    text = asked.text or await _written_down(recording, ears, asked.language)
    return NewVoice(model, asked.name, audio, text, text_heard=not asked.text, consent=True)


async def _written_down(recording: Recording, ears: Recognizer, language: str) -> str:
    words: list[str] = []
    async with aclosing(heard_in(recording, ears.for_session(), language)) as heard:
        async for _, _, said in heard:
            if said.final:
                words.append(said.text.strip())
    if not (text := " ".join(filter(None, words))):
        raise InvalidRequest("The recogniser understood no word of the recording; say in text what is said in it.")
    return text


def chosen(model: str, cloners: Sequence[str]) -> str:
    """The model that is meant; without a name the only one that clones. Raises NotFound, InvalidRequest."""
    there = ", ".join(cloners)
    if model and model not in cloners:
        raise NotFound(f"There is no model called {model[:64]!r} that takes recordings; there are {there}.")
    if not model and len(cloners) > 1:
        raise InvalidRequest(f"Several models take recordings ({there}); name one as model.")
    return model or cloners[0]


def as_json(voice: ClonedVoice) -> dict[str, Any]:
    """For whoever asks by HTTP; ``id`` is what a voice is called wherever one is named."""
    return {"id": f"{voice.model_id}/{voice.name}", **asdict(voice)}
