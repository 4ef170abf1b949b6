"""Secrets planted wherever one may stand are in nothing that a running Parley writes or answers."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.integration.people import running, talking

from parley.messages import ErrorMessage

pytestmark = pytest.mark.anyio
PLANTED = {
    "PARLEY_SERVER__API_KEY": "hush-client",
    "PARLEY_WORKER__API_KEY": "hush-worker",
    "PARLEY_LLM__ENGINE": "openai",
    "PARLEY_LLM__OPENAI__API_KEY": "hush-model",
    "PARLEY_LLM__OPENAI__BASE_URL": "http://hush-user:hush-password@127.0.0.1:9/v1?key=hush-query",
    "PARLEY_WEBRTC__TURN_PASSWORD": "hush-turn",
    "PARLEY_LIVEKIT__API_SECRET": "hush-room",
}
PATHS = ("/health", "/metrics", "/v1/models", "/v1/voices", "/nowhere", "/health?key=hush-asked&api_key=hush-asked")
KEYS = ("", "hush-client", "hush-wrong")


def answered(url: str, key: str) -> str:
    """Headers and body of whatever the server answers."""
    headers = {"Authorization": f"Bearer {key}", "X-Api-Key": key, "Cookie": f"key={key}"} if key else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return f"{answer.headers}{answer.read().decode()}"
    except urllib.error.HTTPError as error:
        return f"{error.headers}{error.read().decode()}"


async def test_planted_secrets_are_in_no_log_answer_or_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, secret in PLANTED.items():
        monkeypatch.setenv(name, secret)
    with running(tmp_path, program=("-m", "parley", "--debug")) as parley:
        answers = [answered(parley.url + path, key) for path in PATHS for key in KEYS]
        assert "unauthorized" in "".join(answers).lower()
        async with talking(parley, "hush-client") as participant:
            await participant.type("What is two plus three?")
            error = await participant.next(ErrorMessage, 60)
        log = parley.log.read_text()
    assert "session" in log
    assert [line for line in [*log.splitlines(), *"\n".join(answers).splitlines(), str(error)] if "hush" in line] == []
