"""Keys as a server asks for them: roles by route, a file that changes, tokens, and what the audit log says."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.routing import Route
from structlog.testing import capture_logs
from tests.unit.server.test_host import host_with
from typer.testing import CliRunner

from parley.cli.keys import app
from parley.errors import ConfigError, TooManyRequests, Unauthorized
from parley.server.access import Access
from parley.server.app import create_app
from parley.server.asking import asking
from parley.server.models import model_routes
from parley.server.settings import ServerSettings
from parley.server.tokens import token_routes
from parley.values import Role

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from parley.server.sessions import SessionHost

pytestmark = pytest.mark.anyio


def parley_keys(*arguments: str) -> str:
    """What ``parley keys`` prints to standard output."""
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def new_key(file: Path, name: str, *more: str) -> str:
    return parley_keys("add", name, "--file", str(file), *more).strip()


def client_of(host: SessionHost) -> httpx.AsyncClient:
    routes: list[Route] = [
        *model_routes(host, NoModels(), ["websocket"]),
        *token_routes(host, host.access, lambda: 1_000_000.0),
    ]
    transport = httpx.ASGITransport(create_app(host, routes, page=None), client=("192.0.2.7", 5))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080")


class NoModels:
    async def models(self) -> list[Any]:
        return []

    async def load_model(self, model_id: str) -> None:
        pass

    async def unload_model(self, model_id: str) -> None:
        pass


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/metrics", Role.METRICS),
        ("GET", "/v1/client", Role.TALK),
        ("GET", "/v1/models", Role.TALK),
        ("POST", "/v1/models/a/load", Role.MODELS),
        ("POST", "/v1/models/a/unload", Role.MODELS),
        ("POST", "/v1/tokens", Role.TALK),
    ],
)
async def test_each_route_asks_for_its_role(tmp_path: Path, method: str, path: str, role: Role) -> None:
    file = tmp_path / "keys.yaml"
    keys = {each: new_key(file, each.value, "--role", each.value) for each in Role}
    async with host_with(keys=str(file)) as host, client_of(host) as client:
        for each, key in keys.items():
            answer = await client.request(method, path, headers=bearer(key))
            if each in (role, Role.ADMIN):
                assert answer.is_success, answer.text
            else:
                assert answer.status_code == 403
                assert answer.json()["code"] == "forbidden"
        assert (await client.request(method, path)).status_code == 401


async def test_only_who_may_see_figures_is_told_the_details_of_health(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    talker, watcher = (new_key(file, role, "--role", role) for role in ("talk", "metrics"))
    async with host_with(keys=str(file)) as host, client_of(host) as client:
        assert "workers" not in (await client.get("/health", headers=bearer(talker))).json()
        assert "workers" in (await client.get("/health", headers=bearer(watcher))).json()


async def test_a_file_that_changes_is_taken_unasked_and_one_that_is_none_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parley.server.access._LOOK", 0.01)
    file = tmp_path / "keys.yaml"
    first = new_key(file, "first")
    access = Access(ServerSettings(keys=str(file)))
    access.start()
    with capture_logs() as logs:
        second = new_key(file, "second")
        await until(lambda: opens(access, second))
        assert opens(access, first)
        file.write_text("keys: nonsense")
        await until(lambda: bool(logs))
        assert opens(access, second)
        file.unlink()
        third = new_key(file, "third")
        await until(lambda: opens(access, third))
    assert not opens(access, second)
    assert {(line["event"], line["log_level"]) for line in logs} == {("the keys stay as they were", "error")}
    access.close()
    new_key(file, "fourth")


def opens(access: Access, key: str) -> bool:
    try:
        access.check(key, Role.TALK, tokens=False)
    except Unauthorized:
        return False
    return True


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)  # a look at the file, which nobody tells of


def test_a_server_does_not_start_with_a_file_of_keys_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    with pytest.raises(ConfigError, match="can not be read"):
        Access(ServerSettings(keys=str(file)))
    file.write_text("keys: [{name: kiosk, expires: 2030-02-30}]")
    with pytest.raises(ConfigError, match="is no YAML"):
        Access(ServerSettings(keys=str(file)))
    file.write_text("- kiosk")
    with pytest.raises(ConfigError, match="entry 1 must be a mapping"):
        Access(ServerSettings(keys=str(file)))


async def test_a_file_without_a_key_lets_nobody_in(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text("keys: []\n")
    access = Access(ServerSettings(keys=str(file)))
    assert access.asks
    with pytest.raises(Unauthorized):
        access.check("", Role.TALK, tokens=False)


async def test_limits_hold_for_a_key_and_not_for_another_and_a_key_taken_back_begins_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parley.server.access._LOOK", 0.01)
    file = tmp_path / "keys.yaml"
    kiosk, other = new_key(file, "kiosk", "--max-sessions", "1"), new_key(file, "other")
    access = Access(ServerSettings(keys=str(file)))
    access.start()
    async with asked_with(access, kiosk):
        await access.begin("one", "", known=False)
        with pytest.raises(TooManyRequests):
            await access.begin("two", "", known=False)
    async with asked_with(access, other):
        await access.begin("three", "", known=False)
    async with asked_with(access, kiosk):
        access.release("one")
        access.release("one")  # who takes a conversation over does it before its end does
        await access.begin("four", "", known=False)
        with pytest.raises(TooManyRequests):
            await access.begin("five", "", known=False)
        access.release("four")
        parley_keys("remove", "kiosk", "--file", str(file))
        await until(lambda: not opens(access, kiosk))
        with pytest.raises(Unauthorized, match="kiosk has been taken back"):
            await access.begin("six", "", known=False)
    access.close()


async def test_a_token_opens_one_conversation_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    key = new_key(file, "site", "--max-sessions", "2")
    async with host_with(keys=str(file)) as host, client_of(host) as client:
        made = await client.post("/v1/tokens", headers=bearer(key), json={"seconds": 30})
        assert made.status_code == 201
        assert made.json()["expires_at"] == 1_000_030
        token = made.json()["token"]
        assert (await client.post("/v1/tokens", headers=bearer(token))).status_code == 401
        assert (await client.get("/metrics", headers=bearer(token))).status_code == 401
        assert (await client.get("/v1/client", headers=bearer(token))).is_success
        with pytest.raises(Unauthorized, match="opens a conversation only"):
            host.check_key(token)
        async with asked_with(host.access, token, tokens=True):
            assert asking().holder.key.name == "site"
            await host.access.begin("one", "", known=False)
            with pytest.raises(Unauthorized, match="already"):
                await host.access.begin("two", "", known=False)
            host.access.release("one")
            await host.access.begin("three", "one", known=True)


@pytest.mark.parametrize("body", [{"seconds": 9}, {"seconds": 3601}, {"seconds": True}, {"minutes": 1}, [], "60"])
async def test_what_is_no_time_for_a_token_is_refused(body: Any) -> None:
    async with host_with(api_key="secret") as host, client_of(host) as client:
        assert (await client.post("/v1/tokens", headers=bearer("secret"), json=body)).status_code == 400


async def test_where_no_key_is_asked_for_no_token_is_made_and_that_is_said() -> None:
    async with host_with() as host, client_of(host) as client:
        answer = await client.post("/v1/tokens")
    assert answer.status_code == 412
    assert answer.json()["message"] == "This server asks for no key, so nobody needs a token."


async def test_the_audit_log_says_who_did_what_from_where_and_holds_no_key(tmp_path: Path) -> None:
    file, audit = tmp_path / "keys.yaml", tmp_path / "audit.jsonl"
    keys = {role: new_key(file, role, "--role", role) for role in ("talk", "models")}
    async with host_with(keys=str(file), audit=str(audit)) as host, client_of(host) as client:
        await client.get("/metrics", headers=bearer("wrong"))
        await client.get("/metrics", headers=bearer(keys["talk"]))
        await client.post("/v1/models/a/load", headers=bearer(keys["models"]))
        token = (await client.post("/v1/tokens", headers=bearer(keys["talk"]))).json()["token"]
        host.access.close()
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    at = [line.pop("at") for line in lines]
    assert all(each.endswith("+00:00") for each in at)
    address = {"address": "192.0.2.7"}
    assert lines == [
        {"event": "refused", **address, "code": "unauthorized", "role": "metrics", "what": "GET /metrics"},
        {"event": "refused", **address, "key": "talk", "code": "forbidden", "role": "metrics", "what": "GET /metrics"},
        {"event": "changed", **address, "key": "models", "what": "POST /v1/models/a/load"},
        {"event": "token made", **address, "key": "talk", "seconds": 60},
    ]
    assert audit.stat().st_mode & 0o777 == 0o600
    assert not any(secret in audit.read_text() for secret in (*keys.values(), token, "wrong"))


async def test_an_audit_log_that_cannot_be_written_loses_lines_and_says_how_many(tmp_path: Path) -> None:
    audit = tmp_path / "later" / "audit.jsonl"
    access = Access(ServerSettings(api_key="secret", audit=str(audit)))
    with capture_logs() as logs:
        for _ in range(2):
            assert not opens(access, "wrong")
        await until(lambda: bool(logs))
        await until(lambda: access.audit_lost == 2)
    assert [(line["event"], line["log_level"]) for line in logs] == [("the audit log cannot be written", "error")]
    audit.parent.mkdir()
    assert not opens(access, "wrong")
    access.close()
    (line,) = (json.loads(line) for line in audit.read_text().splitlines())
    assert line["lost_before"] == 2


async def test_whoever_tries_keys_does_not_fill_the_audit_log_and_health_is_nobodys_refusal(tmp_path: Path) -> None:
    audit, now = tmp_path / "audit.jsonl", 1_000_000.0
    access = Access(ServerSettings(api_key="secret", audit=str(audit)), wall_clock=lambda: now)
    for _ in range(1000):
        assert not opens(access, "wrong")
    now += 1
    assert not opens(access, "wrong")
    access.close()
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert len(lines) == 101
    assert lines[-1]["left_out_before"] == 900
    async with host_with(api_key="secret", audit=str(tmp_path / "other.jsonl")) as host, client_of(host) as client:
        assert "workers" not in (await client.get("/health")).json()
        host.access.close()
    assert not (tmp_path / "other.jsonl").exists()


def test_a_key_is_shown_once_and_its_file_holds_a_digest(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    key = new_key(file, "kiosk", "--role", "talk", "--role", "metrics", "--expires", "30d", "--max-sessions", "3")
    assert key.startswith("pk_")
    assert key not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    listed = parley_keys("list", "--file", str(file))
    assert "kiosk" in listed
    assert "metrics, talk" in listed
    file.chmod(0o640)  # as an operator who lets the server's group read it
    new_key(file, "another", "--expires", "2001-01-31")
    assert file.stat().st_mode & 0o777 == 0o640
    assert "(over)" in parley_keys("list", "--file", str(file))


class asked_with:
    """As a task that a request with this key has begun."""

    def __init__(self, access: Access, key: str, *, tokens: bool = False) -> None:
        self._access, self._key, self._tokens = access, key, tokens

    async def __aenter__(self) -> None:
        from parley.server import asking as module

        self._reset = module._ASKING.set(module.Asking("192.0.2.7", "WebSocket /v1/session"))
        self._access.check(self._key, Role.TALK, tokens=self._tokens)

    async def __aexit__(self, *_: object) -> None:
        from parley.server import asking as module

        module._ASKING.reset(self._reset)
