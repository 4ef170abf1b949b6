"""Who may talk and when: keys, origins, limits, readiness; and what the HTTP side says of it."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from parley import clock
from parley.errors import CapacityError, Unauthorized, UnavailableError
from parley.llm.script import ScriptModel
from parley.messages import StartSession
from parley.observability.metrics import Metrics
from parley.registry import Announcement
from parley.registry.memory import MemoryRegistry
from parley.routing.pool import PooledSynthesizer
from parley.routing.settings import RoutingSettings
from parley.server.app import create_app
from parley.server.page_policy import page_policy
from parley.server.sessions import Parts, SessionHost
from parley.server.settings import ServerSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_tasks_left")]


def unused(*_: Any) -> Any:
    raise AssertionError("not needed here")


@asynccontextmanager
async def host_with(*, worker: bool = True, **settings: Any) -> AsyncIterator[SessionHost]:
    registry = MemoryRegistry()
    if worker:
        await registry.announce(Announcement("w1", "127.0.0.1:1"), lease=60)
    pool = PooledSynthesizer([registry], RoutingSettings(), unused)
    pool.start()
    if worker:
        await pool.fleet.known.wait()
    parts = Parts(unused, ScriptModel(), pool, make_vad=unused)  # type: ignore[arg-type]
    try:
        yield SessionHost(ServerSettings(**settings), parts, Metrics())
    finally:
        await pool.aclose()
        await registry.aclose()


@asynccontextmanager
async def client_of(host: SessionHost, page: Path | None = None) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(host, page=page))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
        yield client


async def test_without_a_key_in_the_settings_everybody_may_talk() -> None:
    async with host_with() as host:
        host.check_key("")


@pytest.mark.parametrize("key", ["", "secre", "secret2", "sécret"])
async def test_a_wrong_key_is_refused(key: str) -> None:
    async with host_with(api_key="secret") as host:
        host.check_key("secret")
        with pytest.raises(Unauthorized):
            host.check_key(key)


@pytest.mark.parametrize(
    ("origin", "welcome"),
    [
        ("", True),
        ("http://localhost:8080", True),
        ("https://LOCALHOST:8080", True),
        ("https://friend.example", True),
        ("https://evil.example", False),
        ("http://localhost:8080.evil.example", False),
        ("null", False),
        ("http://[", False),
    ],
)
async def test_a_page_from_elsewhere_needs_permission(origin: str, welcome: bool) -> None:
    async with host_with(allowed_origins=("https://friend.example",)) as host:
        if welcome:
            host.check_origin(origin, "localhost:8080")
        else:
            with pytest.raises(Unauthorized, match=r"server\.allowed_origins"):
                host.check_origin(origin, "localhost:8080")


FRIEND = "https://friend.example"


async def test_a_browser_is_told_that_a_page_of_an_allowed_origin_may_call_with_its_key() -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    async with host_with(allowed_origins=(FRIEND,), api_key="secret") as host, client_of(host) as client:
        answer = await client.options("/v1/audio/speech", headers={"Origin": FRIEND, **asked})
        refused = await client.options("/v1/audio/speech", headers={"Origin": "https://evil.example", **asked})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == FRIEND
    assert {"POST", "PATCH", "DELETE"} <= set(answer.headers["access-control-allow-methods"].split(", "))
    assert {"Authorization", "X-OpenAI-Agents-SDK"} <= set(answer.headers["access-control-allow-headers"].split(", "))
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers


async def test_a_page_of_an_allowed_origin_may_be_an_mcp_client() -> None:
    asks = "mcp-session-id,mcp-protocol-version,mcp-method,mcp-name,last-event-id"
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asks}
    async with host_with(allowed_origins=(FRIEND,)) as host, client_of(host) as client:
        may = await client.options("/mcp", headers={"Origin": FRIEND, **asked})
        told = await client.get("/health", headers={"Origin": FRIEND})
    assert may.status_code == 200, may.text
    assert "Mcp-Session-Id" in told.headers["access-control-expose-headers"]


async def test_a_page_of_an_allowed_origin_may_read_where_its_session_lies_and_what_went_wrong() -> None:
    async with host_with(allowed_origins=(FRIEND,)) as host, client_of(host) as client:
        fine = await client.get("/health", headers={"Origin": FRIEND})
        wrong = await client.get("/nowhere", headers={"Origin": FRIEND})
        stranger = await client.get("/health", headers={"Origin": "https://evil.example"})
    assert "Location" in fine.headers["access-control-expose-headers"]
    assert wrong.headers["access-control-allow-origin"] == FRIEND
    assert "access-control-allow-origin" not in stranger.headers


async def test_without_allowed_origins_no_other_page_is_told_anything() -> None:
    async with host_with() as host, client_of(host) as client:
        answer = await client.get("/health", headers={"Origin": FRIEND})
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_health_is_200_once_a_conversation_can_be_held() -> None:
    async with host_with() as host, client_of(host) as client:
        answer = await client.get("/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert answer.json()["workers"] == ["w1"]


async def test_health_is_503_with_the_reason_before() -> None:
    async with host_with(worker=False) as host, client_of(host) as client:
        host.waiting_for.append("the recogniser")
        answer = await client.get("/health")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == ["Still waiting for the recogniser.", "No worker is there that could speak."]


async def test_health_is_503_while_draining() -> None:
    async with host_with() as host, client_of(host) as client:
        assert await host.drain(0.1)
        answer = await client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "draining")


async def test_a_session_that_comes_before_the_server_is_ready_is_told_why() -> None:
    async with host_with(worker=False) as host:
        with pytest.raises(UnavailableError, match="No worker"):
            await host.run_session(unused, StartSession())  # type: ignore[arg-type]
        assert 'parley_sessions_refused_total{code="unavailable"} 1.0' in host.metrics.exposition().decode()


async def test_nobody_new_is_let_in_while_half_of_those_who_talk_wait_too_long_already() -> None:
    async with host_with() as host:
        host._running = dict.fromkeys(("a", "b", "c"))  # type: ignore[assignment]
        host.strain.reacted("a", "model", clock.now(), on=True)
        host._check_places()
        host.strain.reacted("b", "model", clock.now(), on=True)
        with pytest.raises(CapacityError, match="too late"):
            await host.run_session(unused, StartSession())  # type: ignore[arg-type]
        host._running = {}


async def test_one_session_too_many_is_refused_at_once() -> None:
    async with host_with(max_sessions=1) as host:
        host._opening = 1
        with pytest.raises(CapacityError, match="All 1 conversations are taken"):
            await host.run_session(unused, StartSession())  # type: ignore[arg-type]


async def test_metrics_ask_for_the_key() -> None:
    async with host_with(api_key="k") as host, client_of(host) as client:
        assert (await client.get("/metrics")).status_code == 401
        answer = await client.get("/metrics", headers={"Authorization": "Bearer k"})
    assert answer.status_code == 200
    assert "parley_ready 1.0" in answer.text


async def test_metrics_are_not_for_pages_from_elsewhere() -> None:
    async with host_with() as host, client_of(host) as client:
        assert (await client.get("/metrics", headers={"Origin": "https://evil.example"})).status_code == 401
        assert (await client.get("/metrics")).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
async def test_health_names_no_worker_to_who_has_not_the_key(headers: dict[str, str]) -> None:
    async with host_with(api_key="k") as host, client_of(host) as client:
        stranger = await client.get("/health", headers=headers)
        known = await client.get("/health", headers={"Authorization": "Bearer k"})
    assert (stranger.status_code, stranger.json()) == (200, {"status": "ok", "reasons": []})
    assert known.json()["workers"] == ["w1"]


async def test_metrics_can_be_switched_off() -> None:
    async with host_with(metrics=False) as host, client_of(host) as client:
        assert (await client.get("/metrics")).status_code == 404


async def test_where_the_page_was_not_built_the_server_says_what_to_do(tmp_path: Path) -> None:
    async with host_with() as host, client_of(host, tmp_path) as client:
        answer = await client.get("/")
    assert "parley chat" in answer.text


async def test_the_page_is_served_with_safe_headers(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>Hello")
    async with host_with() as host, client_of(host, tmp_path) as client:
        answer = await client.get("/")
    assert answer.text == "<p>Hello"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("name", "settings", "welcome"),
    [
        ("evil.example:8080", {}, False),
        ("evil.example:8080", {"host": "0.0.0.0"}, False),
        ("evil.example.:8080", {"host": "0.0.0.0"}, False),
        ("127.0.0.1.evil.example", {"host": "0.0.0.0"}, False),
        ("[", {"host": "0.0.0.0"}, False),
        ("evil.example:8080", {"api_key": "secret"}, True),
        ("evil.example:8080", {"tls_cert": "cert.pem"}, True),
        ("evil.example:8080", {"allowed_hosts": ("*",)}, True),
        ("LOCALHOST:8080", {}, True),
        ("127.0.0.1:8080", {}, True),
        ("192.168.1.20:8080", {"host": "0.0.0.0"}, True),
        ("[::1]:8080", {}, True),
        (f"{socket.gethostname()}:8080", {"host": "0.0.0.0"}, True),
        ("orchestrator:8080", {"host": "0.0.0.0"}, True),
        ("parley.example", {"allowed_hosts": ("parley.example",)}, True),
        ("Parley.Example:443", {"allowed_origins": ("https://parley.example",)}, True),
        ("", {}, True),
    ],
)
async def test_only_names_of_this_server_are_answered_without_a_key(
    name: str, settings: dict[str, Any], welcome: bool
) -> None:
    async with host_with(**settings) as host:
        if welcome:
            host.check_name(name)
        else:
            with pytest.raises(Unauthorized, match=r"server\.allowed_hosts"):
                host.check_name(name)


@pytest.mark.parametrize("path", ["/", "/health", "/metrics"])
async def test_a_name_that_was_bent_to_this_machine_reads_nothing(path: str) -> None:
    async with host_with(host="0.0.0.0") as host, client_of(host) as client:
        answer = await client.get(path, headers={"Host": "evil.example:8080"})
    assert answer.status_code == 421
    assert "evil.example" in answer.json()["message"]


async def test_a_name_that_was_bent_to_this_machine_opens_no_socket() -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket", "path": "/v1/session", "raw_path": b"/v1/session", "query_string": b"", "root_path": "",
        "headers": [(b"host", b"evil.example:8080"), (b"origin", b"http://evil.example:8080")], "subprotocols": [],
        "scheme": "ws", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8080),
        "extensions": {"websocket.http.response": {}},
    }  # fmt: skip
    async with host_with(host="0.0.0.0") as host:
        await create_app(host, page=None)(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
    assert sent[0]["status"] == 421
    assert b"evil.example" in sent[1]["body"]


async def test_the_page_may_run_its_own_scripts_only(tmp_path: Path) -> None:
    html = "<style>p{color:red}</style><p>Hello"
    (tmp_path / "index.html").write_text(html)
    async with host_with() as host, client_of(host, tmp_path) as client:
        page, health = await client.get("/"), await client.get("/health")
    assert page.headers.get_list("content-security-policy") == [page_policy(html)]
    assert health.headers.get_list("content-security-policy") == [page_policy()]
    for policy in (page_policy(), page_policy(html)):
        assert "default-src 'none'" in policy
        assert "script-src 'self' blob:;" in policy  # worklets are made from blobs
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
