"""Offers come in every shape that clients send; who may not call, or sends nonsense, is told so in a sentence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette

from parley.api.realtime.calls import Calls
from parley.api.realtime.endings import Endings
from parley.api.realtime.endpoint import Realtime
from parley.api.settings import ApiSettings
from parley.errors import NotFound, Unauthorized
from parley.transports.bounds import ClientBounds
from parley.transports.rtc_settings import WebRtcSettings
from parley.values import Role

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

pytestmark = pytest.mark.anyio
OFFER = "v=0\r\nm=audio 9 x 0\r\nm=application 9 x 0\r\n"
KEY = {"authorization": "Bearer right"}
EDGE = "the-edge"


class Host:
    """Knows one key, and one page from elsewhere that may not call."""

    bounds = websocket = ClientBounds()

    def check_origin(self, origin: str, host: str) -> None:
        if origin:
            raise Unauthorized("Pages from there may not use this server.")

    def check_key(self, key: str, role: Role = Role.TALK, *, tokens: bool = False) -> None:
        if key != "right":
            raise Unauthorized("The API key is missing or wrong.")

    async def run_session(self, *_: Any) -> None: ...


class Calling:
    """Keeps what it is asked to open."""

    settings = WebRtcSettings()
    turns = None

    def __init__(self) -> None:
        self.offers: list[str] = []
        self.sessions: list[Any] = []
        self.left: list[str] = []

    def new_name(self) -> str:
        return "0.unguessable"

    async def open(self, name: str, make: Callable[[], Any], offer: str, address: str, run: Any) -> str:
        self.offers.append(offer)
        self.sessions.append(run.args[0].session)
        return "v=0 answer"

    def find(self, name: str, kind: str) -> Any:
        if name != "rtc_1" or kind != "realtime_call":
            raise NotFound("There is no such session, or it is over; POST a new offer.")
        self.leave = lambda: self.left.append(name)
        return self


class Answered:
    def __init__(self, sent: list[MutableMapping[str, Any]]) -> None:
        self.status: int = sent[0]["status"]
        self.headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        self.body = b"".join(message.get("body", b"") for message in sent[1:])

    @property
    def error(self) -> str:
        told = json.loads(self.body)["error"]
        assert set(told) == {"message", "type", "param", "code"}
        return str(told["message"])


async def post(
    path: str, body: str = "", kind: str = "application/sdp", *, peers: Calling | None = None, query: str = "",
    realtime: Realtime | None = None, **headers: str,
) -> Answered:  # fmt: skip
    host: Any = Host()
    realtime = realtime or opened()
    said = {"content-type": kind, **(headers or KEY)}
    scope: MutableMapping[str, Any] = {
        "type": "http", "method": "POST", "path": path, "root_path": "", "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in said.items()], "client": ("127.0.0.1", 1),
    }  # fmt: skip
    pieces = [body.encode()[start : start + 65_536] for start in range(0, len(body), 65_536)] or [b""]
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    fake: Any = peers or Calling()
    await Starlette(routes=[*realtime.routes, *Calls(realtime, host, fake).routes])(scope, receive, send)
    return Answered(sent)


def opened() -> Realtime:
    host: Any = Host()
    return Realtime(host, host.run_session, ApiSettings(), dict, lambda _: None, lambda: 0.0, endings=Endings())


def form(*, file_names: bool = False, **fields: str) -> tuple[str, str]:
    """Body and content type."""
    parts = []
    for name, value in fields.items():
        file = f'; filename="{name}"' if file_names else ""
        parts.append(f'--{EDGE}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n{value}\r\n')
    return "".join(parts) + f"--{EDGE}--\r\n", f"multipart/form-data; boundary={EDGE}"


@pytest.mark.parametrize("path", ["/v1/realtime/calls", "/realtime/calls"])
async def test_an_offer_alone_is_answered_and_named(path: str) -> None:
    peers = Calling()
    answer = await post(path, OFFER, peers=peers, query="model=gpt-realtime-2.1")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (201, b"v=0 answer", "application/sdp")
    assert answer.headers["location"] == "/v1/realtime/calls/rtc_0.unguessable"
    assert peers.offers == [OFFER]
    assert peers.sessions[0].model == "gpt-realtime-2.1"


@pytest.mark.parametrize("file_names", [False, True])
async def test_a_form_brings_the_session_with_it(file_names: bool) -> None:
    peers = Calling()
    wanted = {"type": "realtime", "model": "gpt-realtime-mini", "instructions": "Be kind."}
    body, kind = form(file_names=file_names, sdp=OFFER, session=json.dumps(wanted))
    assert (await post("/v1/realtime/calls", body, kind, peers=peers)).status == 201
    assert peers.offers == [OFFER]
    assert (peers.sessions[0].model, peers.sessions[0].data["instructions"]) == ("gpt-realtime-mini", "Be kind.")


async def test_a_session_with_half_a_character_is_refused_in_a_sentence() -> None:
    body, kind = form(sdp=OFFER, session='{"type": "realtime", "instructions": "\\ud800"}')
    answer = await post("/v1/realtime/calls", body, kind)
    assert answer.status == 400
    assert "valid Unicode" in answer.error


async def test_a_client_secret_calls_with_its_session_and_the_call_may_change_that() -> None:
    realtime, peers = opened(), Calling()
    prepared = {"session": {"type": "realtime", "model": "gpt-realtime-mini", "instructions": "Be kind."}}
    made = await post("/v1/realtime/client_secrets", json.dumps(prepared), "application/json", realtime=realtime)
    key = {"authorization": f"Bearer {json.loads(made.body)['value']}"}
    assert (await post("/v1/realtime/calls", OFFER, peers=peers, realtime=realtime, **key)).status == 201
    body, kind = form(sdp=OFFER, session=json.dumps({"type": "realtime", "output_modalities": ["text"]}))
    assert (await post("/v1/realtime/calls", body, kind, peers=peers, realtime=realtime, **key)).status == 201
    first, second = peers.sessions
    assert (first.model, first.data["instructions"], first.text_only) == ("gpt-realtime-mini", "Be kind.", False)
    assert (second.data["instructions"], second.text_only) == ("Be kind.", True)


@pytest.mark.parametrize("headers", [{"authorization": "Bearer wrong"}, {"x": ""}, {"authorization": "Bearer ek_no"}])
async def test_without_a_key_there_is_no_call(headers: dict[str, str]) -> None:
    peers = Calling()
    for path in ("/v1/realtime/calls", "/v1/realtime/calls/rtc_1/hangup"):
        assert (await post(path, OFFER, peers=peers, **headers)).status == 401
    assert not peers.offers
    assert not peers.left


async def test_a_page_from_elsewhere_may_not_call() -> None:
    peers = Calling()
    answer = await post("/v1/realtime/calls", OFFER, peers=peers, origin="http://evil.example", **KEY)
    assert answer.status == 401
    assert not peers.offers


BODIES = {
    "no such type": ("{}", "application/json", 400, "Content-Type must be"),
    "a long offer": ("v" * 70_000, "application/sdp", 400, "at most 65536 bytes"),
    "a long form": (*form(sdp=OFFER, session=" " * 300_000), 400, "at most"),
    "no offer": (*form(session="{}"), 400, "no field sdp"),
    "no JSON": (*form(sdp=OFFER, session="{"), 400, "no JSON"),
    "no object": (*form(sdp=OFFER, session="[]"), 400, "must be an object"),
    "a deep one": (*form(sdp=OFFER, session='{"a":' * 900 + "1" + "}" * 900), 400, "inside each other"),
    "an unknown field": (*form(sdp=OFFER, session='{"type": "realtime", "what": 1}'), 400, "session.what"),
    "no edge": ("x", "multipart/form-data", 400, "form can not be read"),
}


@pytest.mark.parametrize(("body", "kind", "status", "why"), BODIES.values(), ids=BODIES)
async def test_what_cannot_be_read_is_refused_in_a_sentence(body: str, kind: str, status: int, why: str) -> None:
    peers = Calling()
    answer = await post("/v1/realtime/calls", body, kind, peers=peers)
    assert (answer.status, why in answer.error, len(answer.error) < 300) == (status, True, True)
    assert not peers.offers


async def test_a_call_is_hung_up_by_its_name() -> None:
    peers = Calling()
    assert (await post("/v1/realtime/calls/rtc_1/hangup", peers=peers)).status == 200
    assert peers.left == ["rtc_1"]
    assert (await post("/v1/realtime/calls/rtc_2/hangup", peers=peers)).status == 404


@pytest.mark.parametrize("what", ["accept", "reject", "refer"])
async def test_what_telephones_need_is_not_here(what: str) -> None:
    answer = await post(f"/v1/realtime/calls/rtc_1/{what}")
    assert (answer.status, "telephones" in answer.error) == (404, True)
