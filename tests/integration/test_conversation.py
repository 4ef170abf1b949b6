"""The whole of Parley as a user starts it: `parley up` as a process, a client on a WebSocket, spoken words."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.integration.people import Running, contiguous, running, talking, text_of
from websockets.asyncio.client import connect

from parley.bench.speech import say
from parley.client.session import session_url
from parley.errors import CapacityError, Unauthorized
from parley.messages import (
    BargeInDecided,
    ErrorMessage,
    PauseAudio,
    ReplyEnded,
    ReplyStarted,
    ReplyText,
    ResumeAudio,
    SessionEnded,
    TranscriptUpdate,
)

if TYPE_CHECKING:
    from collections.abc import Generator

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def parley(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running, None, None]:
    with running(tmp_path_factory.mktemp("parley")) as it:
        yield it


# --- facts -----------------------------------------------------------------------------


async def test_a_typed_question_gets_a_spoken_answer(parley: Running) -> None:
    async with talking(parley) as participant:
        await participant.type("What is two plus three?")
        text, ended = await text_of(participant)
        assert text.strip() == "Two plus three is 5."
        assert ended.outcome == "finished"
        assert ended.heard_text.strip() == text.strip()
        assert participant.loudness(ended.utterance_id) > 500


async def test_a_spoken_question_gets_a_spoken_answer(parley: Running) -> None:
    async with talking(parley) as participant:
        participant.speak(say("What time is it?"))
        heard = await participant.next(TranscriptUpdate, final=True)
        text, ended = await text_of(participant)
    assert "time" in heard.text.lower()
    assert re.match(r"It is [a-z' ]+ in the (morning|afternoon|evening)\.", text.strip())
    assert participant.loudness(ended.utterance_id) > 500


async def test_speech_over_the_reply_pauses_it_and_takes_the_floor(parley: Running) -> None:
    async with talking(parley) as participant:
        await participant.type("Tell me a story")
        story = await participant.next(ReplyStarted)
        await participant.hear(3.0)
        participant.speak(say("Stop. What is your name?"))
        await participant.next(PauseAudio, utterance_id=story.utterance_id)
        await participant.next(BargeInDecided, utterance_id=story.utterance_id, outcome="take_floor")
        ended = await participant.next(ReplyEnded, utterance_id=story.utterance_id)
        assert ended.outcome == "interrupted"
        assert 0 < len(ended.heard_text) < len(ended.text)
        assert "Once upon a time there was a lighthouse".startswith(ended.heard_text[:20])
        answer, _ = await text_of(participant)
        assert "Parley" in answer or "All right" in answer
        heard = participant.heard(story.utterance_id)
    assert contiguous(heard)
    # The first answer to the pause or to the clear counts: a resume may have come between the two, and the
    # client computes its answer from its clock. Within a frame either way.
    assert abs(heard[-1][1] - ended.heard_sample) <= 960


async def test_a_nod_pauses_the_reply_and_not_a_sample_of_it_is_lost(parley: Running) -> None:
    async with talking(parley) as participant:
        await participant.type("Count to twelve")
        count = await participant.next(ReplyStarted)
        await participant.hear(2.0)
        participant.speak(say("Okay."))
        await participant.next(PauseAudio, utterance_id=count.utterance_id)
        await participant.next(ResumeAudio, utterance_id=count.utterance_id)
        decision = await participant.next(BargeInDecided, utterance_id=count.utterance_id)
        assert decision.outcome in ("backchannel", "noise")
        ended = await participant.next(ReplyEnded, 60, utterance_id=count.utterance_id)
        heard = participant.heard(count.utterance_id)
    assert ended.outcome == "finished"
    assert ended.heard_text.strip().endswith("twelve.")
    assert contiguous(heard)


async def test_the_voice_changes_by_word_of_mouth(parley: Running) -> None:
    async with talking(parley) as participant:
        await participant.type("Hello")
        first = await participant.next(ReplyStarted)
        await participant.next(ReplyEnded, 60)
        await participant.type("Change your voice")
        await participant.next(ReplyEnded, 60)
        await participant.type("Hello")
        second = await participant.next(ReplyStarted)
        await participant.next(ReplyEnded, 60)
    assert second.voice != first.voice


async def test_the_story_goes_on_where_it_was_left(parley: Running) -> None:
    async with talking(parley) as participant:
        await participant.type("Tell me a story")
        story = await participant.next(ReplyStarted)
        await participant.hear(2.5)
        await participant.type("stop")
        cut = await participant.next(ReplyEnded, utterance_id=story.utterance_id)
        await participant.next(ReplyEnded)
        await participant.type("go on")
        await participant.next(ReplyStarted)
        more = await participant.next(ReplyText)
    after = cut.text[len(cut.heard_text) :].split()
    assert more.text.split()[:2] == after[:2]


async def test_two_sessions_do_not_mix(parley: Running) -> None:
    async def ask(question: str) -> str:
        async with talking(parley) as participant:
            await participant.type(question)
            return (await text_of(participant))[0].strip()

    answers = await asyncio.gather(ask("what is one plus one"), ask("what is three plus four"))
    assert answers == ["One plus one is 2.", "Three plus four is 7."]


async def test_a_worker_that_dies_is_started_again(tmp_path: Path) -> None:
    with running(tmp_path) as parley:
        os.kill(parley.worker(), signal.SIGKILL)
        async with talking(parley) as participant:
            async with asyncio.timeout(30):
                while True:
                    await participant.type("what is one plus one")
                    _, ended = await text_of(participant)
                    if ended.outcome == "finished":
                        break
        assert "starting it again" in parley.log.read_text()


async def test_a_language_model_that_is_not_there_is_apologised_for_and_survived(tmp_path: Path) -> None:
    nobody = ("--set", "llm.engine=openai", "--set", "llm.openai.base_url=http://127.0.0.1:9/v1")
    with running(tmp_path, *nobody) as parley:
        async with talking(parley) as participant:
            for _ in range(2):
                await participant.type("Hello")
                told = await participant.next(ErrorMessage)
                assert "The language model cannot be reached" in told.message
                assert not told.fatal
                text, ended = await text_of(participant)
                assert "sorry" in text
                assert participant.loudness(ended.utterance_id) > 500


async def test_limits_and_drain(tmp_path: Path) -> None:
    """One start for three facts: the key, the limit, and that stopping lets a conversation finish."""
    with running(tmp_path, "--set", "server.max_sessions=1", "--set", "server.api_key=k") as parley:
        with pytest.raises(Unauthorized):
            async with talking(parley):
                pass
        async with talking(parley, "k") as participant:
            with pytest.raises(CapacityError, match="All 1 conversations are taken"):
                async with talking(parley, "k"):
                    pass
            await participant.type("Count to five")
            started = await participant.next(ReplyStarted)
            parley.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(parley.wait_until, 503)
            assert await code_of_a_newcomer(parley, "k") == 1013
            ended = await participant.next(ReplyEnded, utterance_id=started.utterance_id)
            assert ended.outcome == "finished"
            parley.process.send_signal(signal.SIGTERM)
            await participant.next(SessionEnded)
            connection = participant.client._connection
            assert connection is not None
            async with asyncio.timeout(15):
                await connection.wait_closed()
            assert connection.close_code == 1000
        assert await asyncio.to_thread(parley.process.wait, 15) == 0


async def code_of_a_newcomer(parley: Running, api_key: str) -> int | None:
    """With which code the server hangs up on somebody who comes now."""
    headers = {"Authorization": f"Bearer {api_key}"}
    async with connect(session_url(parley.url), additional_headers=headers) as ws, asyncio.timeout(15):
        await ws.send('{"type": "start", "sample_rate": 16000}')
        await ws.wait_closed()
        return ws.close_code


def test_stopping_leaves_no_process_and_exits_cleanly(tmp_path: Path, no_processes_left: None) -> None:
    with running(tmp_path) as parley:
        below = parley.children()
        parley.process.send_signal(signal.SIGTERM)
        assert parley.process.wait(15) == 0
    assert [pid for pid in below if Path(f"/proc/{pid}").exists()] == []
    assert "Traceback" not in parley.log.read_text()


def test_when_it_is_killed_its_children_go_too(tmp_path: Path) -> None:
    with running(tmp_path) as parley:
        below = parley.children()
        parley.process.kill()
        parley.process.wait()
        deadline = time.monotonic() + 15
        while left := [pid for pid in below if _alive(pid)]:
            assert time.monotonic() < deadline, left
            time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def failing(folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and words of a command that should not work."""
    command = [sys.executable, "-m", "parley", *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return result.returncode, result.stderr.strip()


def test_a_port_in_use_is_said_in_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, words = failing(tmp_path, "up", "--no-browser", "--port", str(port))
    assert code == 2
    assert words.splitlines() == [f"parley: Port {port} on 127.0.0.1 is in use; stop what uses it, "
                                  "or choose another with --port."]  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "said"),
    [("livekit.url=ws://127.0.0.1:9", "livekit.api_key and"), ("turn.engine=smart-turn", "no such model is here")],
)
def test_what_cannot_be_opened_is_said_before_anything_is_started(tmp_path: Path, setting: str, said: str) -> None:
    code, words = failing(tmp_path, "up", "--no-browser", "--set", "server.port=0", "--set", setting)
    assert code == 2
    (line,) = words.splitlines()
    assert said in line


def test_a_missing_voice_is_said_in_sentences(tmp_path: Path) -> None:
    code, words = failing(tmp_path, "up", "--no-browser", "--voice", "nobody", "--set", "server.port=0")
    assert code != 0
    assert "There is no model called 'nobody'" in words
    assert "Traceback" not in words
