"""The MCP SDK's client, as a host of agents uses it: Parley's tools over HTTP and as a program.

Run by test_voices_and_ears.py.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import os
import subprocess
import sys
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from tests.clients.talk import KEY, SOON, URL, alike, line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio
QUESTION = "What is the weather like today?"
LONG = "The quick brown fox jumps over the lazy dog. " * 300
PROGRAM = os.environ.get("PARLEY_TEST_PROGRAM", "")
"""The interpreter that has Parley, which this one has not."""
MODES = ["auto", "legacy"]


@contextlib.asynccontextmanager
async def web(mode: str, url: str = URL) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, timeout=60) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


@contextlib.asynccontextmanager
async def program(mode: str, *more: str) -> AsyncIterator[Client]:
    arguments = ["-m", "parley", "mcp", "--url", URL, *more]
    server = StdioServerParameters(command=PROGRAM, args=arguments, env={"PARLEY_API_KEY": KEY})
    async with Client(server, mode=mode) as client:
        yield client


async def begin(client: Client, text: str) -> asyncio.Task[Any]:
    """A text that is being spoken."""
    begun = asyncio.Event()

    async def heard(*_: Any) -> None:
        begun.set()

    speaking = asyncio.create_task(client.call_tool("say", {"text": text}, progress_callback=heard))
    async with asyncio.timeout(SOON):
        await begun.wait()
    return speaking


async def give_up(speaking: asyncio.Task[Any]) -> None:
    speaking.cancel()
    await asyncio.gather(speaking, return_exceptions=True)


def seconds(recording: str) -> float:
    with wave.open(io.BytesIO(base64.b64decode(recording))) as file:
        return file.getnframes() / file.getframerate()


def test_parley_is_not_installed_here() -> None:
    found = subprocess.run([sys.executable, "-c", "import parley"], cwd="/", capture_output=True, check=False)
    assert b"No module named 'parley'" in found.stderr


@pytest.mark.parametrize("mode", MODES)
async def test_a_text_becomes_sound_and_the_sound_becomes_the_text(mode: str) -> None:
    async with web(mode) as client:
        assert sorted(tool.name for tool in (await client.list_tools()).tools) == ["listen", "models", "say"]
        said = await client.call_tool("say", {"text": QUESTION, "format": "wav"})
        told, sound = said.content
        assert told.text.startswith(f"Said {len(QUESTION)} characters in ")
        assert 1.0 < seconds(sound.data) < 5.0
        understood = await client.call_tool("listen", {"audio": sound.data, "language": "en"})
    assert alike(understood.structured_content["text"], QUESTION, 0.6)


@pytest.mark.parametrize("mode", MODES)
async def test_the_program_speaks_and_listens(mode: str, tmp_path: Path) -> None:
    recording = Path(os.environ["PARLEY_TEST_FOLDER"], "question.wav")
    async with program(mode, "--out", str(tmp_path / "said"), "--wav", str(recording)) as client:
        said = await client.call_tool("say", {"text": QUESTION})
        assert not said.is_error, said.content[0].text
        understood = await client.call_tool("listen", {"seconds": 20, "language": "en"})
    with wave.open(str(tmp_path / "said" / "said-1.wav")) as file:
        assert abs(file.getnframes() / file.getframerate() - said.structured_content["seconds"]) < 0.1
    assert alike(understood.structured_content["text"], QUESTION)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("way", ["web", "program"])
async def test_who_cancels_ends_the_synthesis(way: str, mode: str, tmp_path: Path) -> None:
    """There is one place, and the text is long: the next one is spoken only where the first has been given up."""
    async with web(mode) if way == "web" else program(mode, "--out", str(tmp_path / "said")) as client:
        await give_up(await begin(client, LONG if way == "web" else LONG[:4000]))
        said = await client.call_tool("say", {"text": "Hello."})
    assert not said.is_error, said.content[0].text
    if way == "program":
        assert len(list((tmp_path / "said").iterdir())) == 1


@pytest.mark.parametrize("mode", MODES)
async def test_a_function_of_parleys_is_called_and_answers_in_words_and_in_a_table(mode: str) -> None:
    async with web(mode) as client:
        models = await client.call_tool("models", {})
    assert "espeak" in " ".join(models.structured_content["voices"])
    assert "ears: " in models.content[0].text


@pytest.mark.parametrize("mode", MODES)
async def test_what_cannot_be_done_is_said_in_a_sentence_and_the_next_call_is_answered(mode: str) -> None:
    async with web(mode) as client:
        refused = await client.call_tool("say", {"text": "Hello.", "model": "no-such"})
        assert refused.is_error
        assert "no model called 'no-such'" in refused.content[0].text
        said = await client.call_tool("say", {"text": "Hello."})
    assert not said.is_error, said.content[0].text


@pytest.mark.parametrize("mode", MODES)
async def test_after_a_connection_that_broke_the_same_client_is_served(mode: str) -> None:
    """It breaks amid a text, and there is one place: the next text is spoken only where the first has been given up."""
    async with line() as cut, web(mode, cut.url) as client:
        speaking = await begin(client, LONG)
        cut.cut()
        async with asyncio.timeout(60):
            said = await client.call_tool("say", {"text": "Hello."})
            while said.is_error and "places" in said.content[0].text:  # the server may hear of the break later
                await asyncio.sleep(0.05)
                said = await client.call_tool("say", {"text": "Hello."})
        await give_up(speaking)
    assert not said.is_error, said.content[0].text
