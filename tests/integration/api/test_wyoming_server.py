"""Home Assistant's own client library, and what its code sends, against a running Parley."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncGenerator, Generator
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
from tests.integration.people import running
from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

from parley.bench import speech

if TYPE_CHECKING:
    from tests.integration.people import Running

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(180)]
QUESTION = "What is the weather like today?"


@pytest.fixture(scope="module")
def parley(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Running, int], None, None]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = (f"wyoming.port={port}", "wyoming.idle=3", "wyoming.longest_text=2000", "wyoming.longest_audio=20")
    arguments = [part for option in options for part in ("--set", option)]
    with running(tmp_path_factory.mktemp("wyoming"), "--wyoming", *arguments) as it:
        yield it, port


@pytest.fixture
async def client(parley: tuple[Running, int]) -> AsyncGenerator[AsyncTcpClient, None]:
    async with AsyncTcpClient("127.0.0.1", parley[1]) as one:
        yield one


async def until(client: AsyncTcpClient, *kinds: Any, limit: float = 20) -> list[Event]:
    """What comes, up to the first of these kinds."""
    got: list[Event] = []
    async with asyncio.timeout(limit):
        while not got or not any(kind.is_type(got[-1].type) for kind in kinds):
            event = await client.read_event()
            assert event is not None, [one.type for one in got]
            got.append(event)
    return got


def audio(events: list[Event]) -> bytes:
    return b"".join(AudioChunk.from_event(event).audio for event in events if AudioChunk.is_type(event.type))


def question(rate: int = 16_000) -> np.ndarray:
    import soxr

    return soxr.resample(speech.say(QUESTION, speech.speakers()[0]), speech.RATE, rate)


async def ask(
    client: AsyncTcpClient, samples: np.ndarray, rate: int = 16_000, channels: int = 1, **more: Any
) -> list[Event]:
    """As Home Assistant does: everything at once, then the words are waited for."""
    await client.write_event(Transcribe(language="en", **more).event())
    await client.write_event(AudioStart(rate, 2, channels).event())
    wide = np.repeat(samples, channels).astype("<i2").tobytes()
    for start in range(0, len(wide), 2048):
        await client.write_event(AudioChunk(rate, 2, channels, wide[start : start + 2048]).event())
    await client.write_event(AudioStop().event())
    return await until(client, TranscriptStop)


async def test_names_that_a_client_expects_help_to_hear_this_recording_and_no_other(client: AsyncTcpClient) -> None:
    said = "open the blue umbrella"
    sound = speech.say(said, speech.speakers()[0])
    expected = {"transcript_names": ["Blue Umbrella"], "transcript_terms": ["xyzzy", said]}
    texts = []
    for more in ({}, expected, {}):
        events = await ask(client, sound, speech.RATE, **more)
        texts += [Transcript.from_event(event).text for event in events if Transcript.is_type(event.type)]
    assert [text == said for text in texts] == [False, True, False]


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


async def test_it_describes_itself_within_a_second(client: AsyncTcpClient) -> None:
    await client.write_event(Describe().event())
    info = Info.from_event((await until(client, Info, limit=1))[-1])
    assert info.asr[0].models[0].languages == ["en-US"]
    assert "espeak" in [voice.name for voice in info.tts[0].voices]
    assert not any("tone" in voice.name for voice in info.tts[0].voices)


async def test_one_text_one_sound(client: AsyncTcpClient) -> None:
    voice = SynthesizeVoice(name="espeak", speaker="f1")
    await client.write_event(Synthesize("Good morning.", voice=voice).event())
    events = await until(client, AudioStop)
    assert AudioStart.is_type(events[0].type)
    chunks = [AudioChunk.from_event(event) for event in events[1:-1]]
    assert {(chunk.rate, chunk.width, chunk.channels) for chunk in chunks} == {(24_000, 2, 1)}
    samples = np.frombuffer(audio(events), np.int16)
    assert 0.5 < samples.size / 24_000 < 3
    assert np.abs(samples).max() > 1_000


async def test_a_text_that_is_still_written_is_already_spoken_and_its_repetition_is_not(client: AsyncTcpClient) -> None:
    await client.write_event(SynthesizeStart().event())
    await client.write_event(SynthesizeChunk("Good morning. It is six degrees. ").event())
    early = await until(client, AudioChunk)
    await client.write_event(SynthesizeChunk("There is no wind.").event())
    await client.write_event(Synthesize("Good morning. It is six degrees. There is no wind.").event())
    await client.write_event(SynthesizeStop().event())
    events = [*early, *await until(client, SynthesizeStopped)]
    assert [event.type for event in events if not AudioChunk.is_type(event.type)] == [
        "audio-start", "audio-stop", "synthesize-stopped",
    ]  # fmt: skip
    await client.write_event(Synthesize("Good morning. It is six degrees. There is no wind.").event())
    whole = audio(await until(client, AudioStop))
    assert abs(len(audio(events)) - len(whole)) < 0.2 * len(whole)


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (48_000, 2), (22_050, 1)])
async def test_a_recording_of_any_rate_becomes_words(client: AsyncTcpClient, rate: int, channels: int) -> None:
    events = await ask(client, question(rate), rate, channels)
    assert TranscriptStart.is_type(events[0].type)
    transcript = Transcript.from_event(next(event for event in events if Transcript.is_type(event.type)))
    assert SequenceMatcher(None, words(transcript.text), words(QUESTION)).ratio() > 0.8, transcript.text
    pieces = [TranscriptChunk.from_event(event).text for event in events if TranscriptChunk.is_type(event.type)]
    assert words("".join(pieces)) == words(transcript.text)


async def test_one_thing_after_the_other_on_one_connection(client: AsyncTcpClient) -> None:
    await client.write_event(Ping("still there?").event())
    await client.write_event(Event("something-of-a-later-version", {"a": 1}, b"123"))
    assert Pong.from_event((await until(client, Pong))[-1]).text == "still there?"
    for _ in range(2):
        assert audio(await spoken(client, "Good morning."))
        events = await ask(client, question())
        assert any(Transcript.is_type(event.type) for event in events)


async def spoken(client: AsyncTcpClient, text: str, **voice: str) -> list[Event]:
    await client.write_event(Synthesize(text, voice=SynthesizeVoice(**voice) if voice else None).event())
    return await until(client, AudioStop)


async def test_what_can_not_be_done_is_said_and_the_exchange_ends(client: AsyncTcpClient) -> None:
    async def refused(says: str, events: list[Event]) -> None:
        errors = [Error.from_event(event).text for event in events if Error.is_type(event.type)]
        assert len(errors) == 1
        assert re.search(says, errors[0]), errors
        assert not audio(events)

    await refused("no voice called 'nobody'", await spoken(client, "Hello.", name="nobody"))
    await refused("speaker called 'nobody'", await spoken(client, "Hello.", name="espeak", speaker="nobody"))
    await refused(r"wyoming\.longest_text", await spoken(client, "x" * 2_001))
    await client.write_event(SynthesizeStart(voice=SynthesizeVoice(name="nobody")).event())
    await client.write_event(SynthesizeChunk("Hello.").event())
    await client.write_event(Synthesize("Hello.").event())
    await client.write_event(SynthesizeStop().event())
    await refused("nobody", await until(client, SynthesizeStopped))
    await client.write_event(AudioStart(16_000, 4, 1).event())
    await client.write_event(AudioStop().event())
    await refused("width must be 2", await until(client, TranscriptStop))
    await refused(r"wyoming\.longest_audio", await ask(client, np.zeros(21 * 16_000, np.int16)))
    assert audio(await spoken(client, "Hello.")), "the connection goes on"
    assert audio(await spoken(client, "...")) == b""


async def test_whoever_asks_aside_is_answered_while_texts_wait_and_disturbs_none(client: AsyncTcpClient) -> None:
    for number in range(3):
        await client.write_event(Synthesize(f"Number {number} has a long sentence to say. " * 8).event())
    await client.write_event(Synthesize("Nobody says this.", voice=SynthesizeVoice(name="nobody")).event())
    await client.write_event(Event("ping", {"text": 5}))
    await client.write_event(Ping("still there?").event())
    await client.write_event(Describe().event())
    events = await until(client, Info)
    assert not any(AudioStop.is_type(event.type) for event in events), "the first text is still spoken"
    assert [Error.from_event(event).text for event in events if Error.is_type(event.type)] == ["text must be text."]
    assert [Pong.from_event(event).text for event in events if Pong.is_type(event.type)] == ["still there?"]
    sounds = [events]
    for _ in range(4):
        sounds.append(await until(client, AudioStop, limit=30))
    assert [bool(audio(sound)) for sound in sounds[1:]] == [True, True, True, False]
    assert [event.type for event in sounds[-1]] == ["error", "audio-stop"]


async def test_a_text_that_its_client_gave_up_for_a_recording_silences_no_later_one(client: AsyncTcpClient) -> None:
    await client.write_event(SynthesizeStart().event())
    await client.write_event(AudioStart(16_000, 2, 1).event())
    await client.write_event(AudioStop().event())
    await until(client, TranscriptStop)
    assert audio(await spoken(client, "Hello."))


async def test_a_stranger_is_answered_and_sent_away(parley: tuple[Running, int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", parley[1])
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(5):
        assert b"no JSON" in await reader.read()
    writer.close()


async def test_clients_that_announce_something_and_say_nothing_take_nobodys_place(
    parley: tuple[Running, int], client: AsyncTcpClient
) -> None:
    idle = [AsyncTcpClient("127.0.0.1", parley[1]) for _ in range(6)]
    for one in idle:
        await one.connect()
        await one.write_event(AudioStart(16_000, 2, 1).event())
    assert audio(await spoken(client, "Hello."))
    for one in idle:
        await one.disconnect()


async def test_a_client_that_says_nothing_is_let_go(parley: tuple[Running, int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", parley[1])
    writer.write(b'{"type": "audio-start", "data": {"rate": 16000, "width": 2, "channels": 1}}\n')
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize(
    "last", [b"", b"{}\n", b'{"type": "audio-chunk", "data": {"rate": 16000}, "payload_length": 9}\n12']
)
async def test_who_leaves_with_one_thing_said_and_another_begun_is_answered_and_let_go(
    parley: tuple[Running, int], last: bytes
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", parley[1])
    writer.write(b'{"type": "synthesize", "data": {"text": "Good morning."}}\n')
    writer.write(b'{"type": "audio-start", "data": {"rate": 16000, "width": 2, "channels": 1}}\n' + last)
    writer.write_eof()
    async with asyncio.timeout(20):
        assert b'"audio-stop"' in await reader.read()
    writer.close()


def open_sockets(pid: int) -> int:
    """All but those to workers, which are opened when a worker is first used, and are there to stay."""
    held = psutil.Process(pid)
    links = [one for child in held.children(recursive=True) for one in child.net_connections("tcp")]
    workers = {one.laddr.port for one in links if one.status == psutil.CONN_LISTEN}
    return sum(1 for one in held.net_connections("all") if not one.raddr or one.raddr.port not in workers)


@pytest.mark.parametrize("exchanges", [100, pytest.param(1_000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
async def test_exchanges_some_left_in_their_middle_leave_nothing_behind(
    parley: tuple[Running, int], exchanges: int
) -> None:
    it, port = parley
    before = open_sockets(it.process.pid)
    samples = question()

    async def one(number: int) -> None:
        async with AsyncTcpClient("127.0.0.1", port) as client:
            if number % 4 == 0:
                await client.write_event(Synthesize(f"Number {number}.").event())
                assert audio(await until(client, AudioStop, limit=60))
            elif number % 4 == 1:
                await client.write_event(Synthesize("A long sentence that nobody listens to. " * 20).event())
                await until(client, AudioChunk, limit=60)
            elif number % 4 == 2:
                await client.write_event(AudioStart(16_000, 2, 1).event())
                await client.write_event(AudioChunk(16_000, 2, 1, samples[:8_000].astype("<i2").tobytes()).event())
            else:
                await client.write_event(Describe().event())
                await until(client, Info)

    gate = asyncio.Semaphore(6)

    async def bounded(number: int) -> None:
        async with gate:
            await one(number)

    await asyncio.gather(*(bounded(number) for number in range(exchanges)))
    async with asyncio.timeout(30):
        while open_sockets(it.process.pid) > before:
            await asyncio.sleep(0.1)
    log = it.log.read_text()
    assert "Traceback" not in log, log
    assert "never retrieved" not in log, log
