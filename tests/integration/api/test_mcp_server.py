"""The stock MCP client, against /mcp and against parley mcp: it speaks, it listens, it is told what is wrong."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import subprocess
import sys
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from tests.integration.api.test_openai_audio import question, words
from tests.integration.people import running

from parley.audio.wav import parse_wav, read_wav

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from tests.integration.people import Running

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(180)]

KEY = "a-key-of-the-test"
TEXT = "What is the weather like today? Tell me about the second one."
MODES = ["auto", "legacy"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def parley(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running, None, None]:
    folder = tmp_path_factory.mktemp("mcp")
    options = ("server.api_key=" + KEY, "mcp.enabled=true", "mcp.at_once=1", "mcp.longest_text=100000")
    with running(folder, *(part for option in options for part in ("--set", option))) as it:
        yield it


@contextlib.asynccontextmanager
async def web(parley: Running, mode: str) -> AsyncGenerator[Client]:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, timeout=60) as http,
        Client(streamable_http_client(f"{parley.url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


def program(parley: Running, mode: str, *more: str) -> Client:
    arguments = ["-m", "parley", "mcp", "--url", parley.url, *more]
    return Client(StdioServerParameters(command=sys.executable, args=arguments, env={"PARLEY_API_KEY": KEY}), mode=mode)


def likeness(text: str, other: str) -> float:
    return SequenceMatcher(None, words(text), words(other)).ratio()


@pytest.mark.parametrize("mode", MODES)
async def test_a_text_becomes_sound_and_the_sound_becomes_the_text(parley: Running, mode: str) -> None:
    progress: list[float] = []

    async def heard(seconds: float, total: float | None, words: str | None) -> None:
        progress.append(seconds)

    async with web(parley, mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert sorted(tools) == ["listen", "models", "say"]
        said = await client.call_tool("say", {"text": TEXT, "format": "wav"}, progress_callback=heard)
        assert not said.is_error
        told, sound = said.content
        assert told.text.startswith(f"Said {len(TEXT)} characters in ")
        assert sound.mime_type == "audio/wav"
        samples, rate = parse_wav(base64.b64decode(sound.data))
        assert abs(samples.size / rate - said.structured_content["seconds"]) < 0.1
        assert progress == sorted(progress)
        assert progress[-1] > 1.0
        understood = await client.call_tool("listen", {"audio": sound.data, "language": "en"})
    assert likeness(TEXT, understood.structured_content["text"]) > 0.5
    assert understood.content[0].text == understood.structured_content["text"]


@pytest.mark.parametrize("mode", MODES)
async def test_the_models_are_told_in_words_and_in_a_table(parley: Running, mode: str) -> None:
    async with web(parley, mode) as client:
        models = await client.call_tool("models", {})
    assert "espeak" in " ".join(models.structured_content["voices"])
    assert "ears: " in models.content[0].text


@pytest.mark.parametrize("format", ["mp3", "opus", "flac"])
async def test_each_format_is_said_with_its_type(parley: Running, format: str) -> None:
    async with web(parley, "auto") as client:
        said = await client.call_tool("say", {"text": "Hello.", "format": format})
    kinds = {"mp3": "audio/mpeg", "opus": "audio/ogg", "flac": "audio/flac"}
    assert said.content[1].mime_type == kinds[format]


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("say", {"text": " "}, "nothing to say"),
        ("say", {"text": "Hello.", "model": "no-such"}, "no model called 'no-such'"),
        ("say", {"text": "Hello.", "speed": 2}, "no argument 'speed'"),
        ("say", {"text": "x" * 100_001}, "100000 are allowed"),
        ("say", {"text": TEXT * 20, "format": "wav"}, "more than 740000 bytes .*in parts"),
        ("listen", {}, "no microphone behind this address"),
        ("listen", {"audio": "AAAA"}, "no recording that can be read|no sound"),
        ("listen", {"audio": "not base64!"}, "no base64"),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_sentence(
    parley: Running, tool: str, arguments: dict[str, Any], told: str
) -> None:
    import re

    async with web(parley, "auto") as client:
        answer = await client.call_tool(tool, arguments)
    assert answer.is_error
    assert re.search(told, answer.content[0].text), answer.content[0].text


def test_a_stranger_is_refused(parley: Running) -> None:
    for headers, status in (
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Bearer {KEY}", "Origin": "https://elsewhere.example"}, 401),
    ):
        answer = httpx2.post(f"{parley.url}/mcp", json={}, headers=headers)
        assert answer.status_code == status


def test_a_message_that_is_too_large_is_refused(parley: Running) -> None:
    with socket.create_connection(("127.0.0.1", int(parley.url.rpartition(":")[2]))) as client:
        client.sendall(
            f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
            "Content-Type: application/json\r\nContent-Length: 7000000\r\n\r\n".encode()
        )
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


def test_the_example_runs(tmp_path: Path) -> None:
    example = Path(__file__).resolve().parents[3] / "examples" / "mcp" / "main.py"
    with running(tmp_path, "--mcp") as it:
        done = subprocess.run(
            [sys.executable, str(example), "What is the weather like today?", str(tmp_path / "said.mp3")],
            env={**os.environ, "PARLEY_URL": it.url}, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
    told, heard = done.stdout.splitlines()
    assert told.startswith("Said 31 characters in ")
    assert words(heard)
    assert (tmp_path / "said.mp3").stat().st_size > 5_000


# --- on standard input and output ------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
async def test_the_program_speaks_and_listens(parley: Running, mode: str, tmp_path: Path) -> None:
    (tmp_path / "question.wav").write_bytes(question())
    files = ("--out", str(tmp_path / "said"), "--wav", str(tmp_path / "question.wav"))
    progress: list[float] = []

    async def heard(seconds: float, total: float | None, words: str | None) -> None:
        progress.append(seconds)

    async with program(parley, mode, *files) as client:
        said = await client.call_tool("say", {"text": TEXT}, progress_callback=heard)
        assert not said.is_error, said.content[0].text
        understood = await client.call_tool("listen", {"seconds": 20, "language": "en"})
        assert not understood.is_error, understood.content[0].text
        models = await client.call_tool("models", {})
    samples, rate = read_wav(tmp_path / "said" / "said-1.wav")
    assert rate == 48_000
    assert abs(samples.size / rate - said.structured_content["seconds"]) < 0.1
    assert len(said.content) == 1
    assert progress
    assert likeness("What is the weather like today?", understood.structured_content["text"]) > 0.5
    assert understood.structured_content["seconds"] < 10
    assert models.structured_content["voices"]


async def test_the_program_says_what_is_missing(parley: Running, tmp_path: Path) -> None:
    nowhere = program(parley, "auto", "--url", "http://127.0.0.1:9", "--out", str(tmp_path))
    async with nowhere as client:
        said = await client.call_tool("say", {"text": TEXT})
    assert said.is_error
    assert "Parley does not run at http://127.0.0.1:9" in said.content[0].text


def test_nothing_but_messages_goes_to_standard_output(parley: Running) -> None:
    """Whatever comes in."""
    hello = {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }  # fmt: skip
    lines = [
        json.dumps(hello).encode(),
        b'{"jsonrpc": "2.0", "method": "notifications/initialized"}',
        b"no JSON at all",
        b"\xff\xfe\x00",
        b'{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "say", "arguments": {"text": ""}}}',
        b'{"jsonrpc": "2.0", "id": 3, "method": "no/such"}',
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "parley", "mcp", "--url", parley.url],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    answered: dict[Any, Any] = {}
    process.stdin.write(b"\n".join(lines) + b"\n")
    process.stdin.flush()
    while not {1, 2, 3} <= set(answered):
        line = process.stdout.readline()
        assert line, "it ended"
        message = json.loads(line)
        assert message["jsonrpc"] == "2.0"
        answered[message.get("id")] = message
    out, err = process.communicate(timeout=20)
    assert [json.loads(line)["jsonrpc"] for line in out.splitlines()] == ["2.0"] * len(out.splitlines())
    assert process.returncode == 0
    assert b"Traceback" not in err, err
    assert answered[2]["result"]["isError"]
    assert answered[3]["error"]["code"] == -32601
