"""What a server brings with it when it starts, and what it leaves until somebody wants it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_SERVED = """
import asyncio, gc, json, os, sys
from dataclasses import replace

import httpx

from parley.cli.compose import run_orchestrator
from parley.cli.process import starting
from parley.config import Settings
from parley.server.runner import listen

OFFER = {"Content-Type": "application/sdp"}


def heavy():
    return sorted({"aiortc", "aioice", "av", "openai", "mcp", "zeroconf"} & set(sys.modules))


async def told(sock):
    url = "http://127.0.0.1:%d" % sock.getsockname()[1]
    serving = asyncio.create_task(run_orchestrator(settings, sock))
    seen = {}
    async with httpx.AsyncClient(base_url=url, timeout=60, transport=httpx.AsyncHTTPTransport(retries=8)) as client:
        seen["health"] = (await client.get("/health")).json()["status"]
        seen["started"] = heavy()
        seen["collects"] = gc.isenabled()
        await client.get("/v1/client")
        seen["refused"] = (await client.post("/v1/webrtc", content="v=1", headers=OFFER)).json()["code"]
        seen["asked"] = heavy()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    print(json.dumps(seen))


starting()
settings = Settings()
settings = replace(settings, server=replace(settings.server, port=0), log=replace(settings.log, level="error"))
with listen(settings.server) as sock:
    asyncio.run(told(sock))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    at = tmp_path_factory.mktemp("served")
    done = subprocess.run(
        [sys.executable, "-c", _SERVED], cwd=at, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_it_answers_before_anything_of_webrtc_is_imported(seen: dict[str, object]) -> None:
    assert seen["health"] == "starting"
    assert seen["started"] == []


def test_the_first_who_comes_by_webrtc_has_it_imported(seen: dict[str, object]) -> None:
    assert seen["refused"] == "invalid_request"
    assert seen["asked"] == ["aioice", "aiortc", "av"]


def test_garbage_is_collected_again_once_it_serves(seen: dict[str, object]) -> None:
    assert seen["collects"]


def test_the_routes_find_the_kinds_of_their_own_transports() -> None:
    from parley.api.realtime import call, calls
    from parley.server import webrtc
    from parley.transports.webrtc import WebRtcTransport

    assert WebRtcTransport.kind == webrtc.KIND
    assert call.RealtimeCall.kind == calls.KIND


def test_a_command_that_fails_at_its_start_leaves_the_collector_on(tmp_path: Path) -> None:
    script = (
        "import gc, sys; from parley import cli\n"
        "try: cli.main(['worker', '--config', 'none.yaml'])\n"
        "except SystemExit as end: print(end.code, gc.isenabled())"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "True"], done.stderr
