"""``parley chat`` and ``parley say`` against a server that only obeys."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from parley.audio.wav import read_wav, write_wav
from parley.cli.chat_commands import Commands
from parley.client.conversation import Conversation
from parley.client.session import SessionClient
from parley.messages import ClearAudio, ReplyStarted
from parley.testing.echo_host import EchoHost, echo_app, ramp, serving

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def parley(*arguments: str, stdin: bytes | None = None) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "parley", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, error = await asyncio.wait_for(process.communicate(stdin or b""), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


def spoken(path: Path) -> bytes:
    samples, rate = read_wav(path)
    assert rate == 48_000
    heard = np.flatnonzero(samples)
    return samples[heard[0] : heard[-1] + 1].tobytes() if len(heard) else b""


async def test_typed_turns_are_answered_into_a_file_and_an_event_log(tmp_path: Path) -> None:
    out, log = tmp_path / "out.wav", tmp_path / "events.jsonl"
    async with serving(echo_app(EchoHost())) as url:
        code, printed, errors = await parley(
            "chat", "--url", url, "--text", "--out", str(out), "--events", str(log), stdin=b"play 0.4\n\nplay 0.2\n"
        )
    assert (code, errors) == (0, "")
    assert printed.splitlines() == ["parley: 0.4 seconds of counting", "parley: 0.2 seconds of counting"]
    samples, _ = read_wav(out)
    assert np.count_nonzero(samples) == round(0.6 * 48_000)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [event["type"] for event in events] == ["started", *["reply", "reply_text", "reply_end"] * 2]
    assert [event["at"] for event in events] == sorted(event["at"] for event in events)


async def test_an_answer_may_take_longer_than_the_wait_for_its_sound() -> None:
    async with serving(echo_app(EchoHost())) as url:
        code, printed, errors = await parley("chat", "--url", url, "--text", "--max-wait", "0.8", stdin=b"play 2\n")
    assert (code, errors) == (0, "")
    assert printed.splitlines() == ["parley: 2 seconds of counting"]


async def test_a_wav_is_spoken_in_real_time_and_no_answer_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    question = tmp_path / "question.wav"
    write_wav(question, np.zeros(22_050, np.int16), 22_050)
    log = tmp_path / "events.jsonl"
    async with serving(echo_app(EchoHost())) as url:
        code, _, errors = await parley(
            "chat", "--url", url, "--wav", str(question), "--events", str(log), "--max-wait", "0.5"
        )
    assert code == 3
    assert "no answer" in errors
    events = {event["type"]: event for event in map(json.loads, log.read_text().splitlines())}
    assert events["microphone_ended"]["at"] - events["microphone"]["at"] == pytest.approx(1.0, abs=0.2)
    assert 48_000 <= events["microphone_ended"]["samples"] < 52_000


async def test_say_writes_what_was_spoken(tmp_path: Path) -> None:
    out = tmp_path / "said.wav"
    async with serving(echo_app(EchoHost(say_seconds=0.3))) as url:
        code, printed, errors = await parley("say", "Good morning.", "-o", str(out), "--url", url)
    assert (code, printed) == (0, "")
    assert "said 13 characters in 0.3 s of audio" in errors
    assert spoken(out) == ramp(0, 14_400)


async def test_say_takes_text_that_is_still_arriving() -> None:
    async with serving(echo_app(EchoHost(say_seconds=0.1))) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "parley", "say", "-", "-o", "-", "-q", "--url", url,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        for part in (b"Gr\xc3", b"\xbc\xc3\x9f ", b"Gott."):
            process.stdin.write(part)
            await process.stdin.drain()
            await asyncio.sleep(0.05)  # so that the pieces are not read as one
        process.stdin.close()
        out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    assert out[:4] == b"RIFF"
    assert out.endswith(ramp(0, 4_800))


@pytest.mark.parametrize("text", [b"", b"\n", b"  \n\t "])
async def test_say_without_a_word_on_standard_input_says_so_and_ends(text: bytes, tmp_path: Path) -> None:
    async with serving(echo_app(EchoHost())) as url:
        code, printed, errors = await parley("say", "-", "-o", str(tmp_path / "x.wav"), "--url", url, stdin=text)
    assert (code, printed) == (1, "")
    assert "There was nothing to say" in errors


async def test_a_reply_is_printed_while_it_is_spoken() -> None:
    async with serving(echo_app(EchoHost())) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "parley", "chat", "--text", "--url", url,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"play 600\n")
        printed = await asyncio.wait_for(process.stdout.readuntil(b"counting"), 30)
        process.kill()
        await process.communicate()
    assert printed == b"parley: 600 seconds of counting"


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "says"),
    [
        (["say", "hello", "-o", "x.wav", "--url", "ws://127.0.0.1:9"], b"", 1, "There is no Parley at"),
        (["chat", "--text", "--url", "ws://127.0.0.1:9"], b"", 1, "There is no Parley at"),
        (["chat", "--text", "--url", "ftp://x"], b"", 1, "is not a WebSocket address"),
        (["chat", "--wav", "/nonexistent.wav"], b"", 1, "/nonexistent.wav cannot be read"),
        (["chat", "--wav", "x.wav", "--text"], b"", 2, "not both"),
        (["say", "  ", "-o", "x.wav"], b"", 2, "nothing to say"),
    ],
)
async def test_what_goes_wrong_is_one_sentence_and_an_exit_code(
    arguments: list[str], stdin: bytes, code: int, says: str
) -> None:
    got, printed, errors = await parley(*arguments, stdin=stdin)
    assert got == code
    assert says in " ".join(errors.replace("│", " ").split())
    assert "Traceback" not in errors + printed


async def test_lines_with_a_slash_are_commands(tmp_path: Path) -> None:
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    models = [
        {"model_id": "tone", "languages": ["en"], "speakers": ["low", "high"], "state": "resident"},
        {"model_id": "bell", "languages": ["de", "fr"], "speakers": [], "state": "available"},
    ]

    async def listing(request: Request) -> JSONResponse:
        assert request.headers["authorization"] == "Bearer open-sesame"
        return JSONResponse({"models": models})

    app = echo_app(EchoHost(key="open-sesame"))
    app.router.routes.append(Route("/v1/models", listing))
    saved = tmp_path / "said.txt"
    lines = [
        "/model tone/low", "play 0.1", "/model", "/voice", "/voice high", "play 0.2", "/bogus", f"/save {saved}",
        f"/save {saved}",
        "/save", "/help", "//not a command", "/quit", "play 9",
    ]  # fmt: skip
    async with serving(app) as url:
        code, printed, errors = await parley(
            "chat",
            "--text",
            "--url",
            url,
            "--api-key",
            "open-sesame",
            "--max-wait",
            "3",
            stdin="\n".join(lines).encode(),
        )
    assert (code, errors) == (0, "")
    assert saved.read_text() == "parley: 0.1 seconds of counting\nparley: 0.2 seconds of counting\n"
    shown = printed.splitlines()
    for line in (
        "note: From the next answer on: tone/low.", "note: tone * (en; resident)", "note: bell (de, fr; available)",
        "note: Speakers: low, high.", "note: From the next answer on: tone/high.",
        "note: There is no command /bogus; /help lists those there are.", f"note: Written to {saved}.",
        f"note: {saved} is there already; name another file.", "note: Say where to: /save FILE.",
        "note: /quit: end the conversation",
    ):  # fmt: skip
        assert shown.count(line) == 1, line
    assert "9 seconds" not in printed


async def test_an_answer_is_stopped_from_the_keyboard() -> None:
    async with serving(echo_app(EchoHost())) as url, SessionClient(url) as client:
        commands = Commands(client, Conversation(), "")
        assert await commands.take("play 600")
        stopped = False
        async with asyncio.timeout(30):
            async for event in client:
                if isinstance(event.message, ReplyStarted):
                    assert await commands.take("/interrupt")
                if isinstance(event.message, ClearAudio):
                    stopped = True
                    break
        assert stopped
        assert not await commands.take("/quit")
