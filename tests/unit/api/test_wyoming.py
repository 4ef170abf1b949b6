"""Wyoming's messages, and what is read from them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from typing import Any

import pytest
from wyoming.info import Info

from parley.api.names import existing_voice
from parley.api.wyoming import wire
from parley.api.wyoming.asked import AudioFormat, format_of, hot_words_of, language_of, text_of, voice_of
from parley.api.wyoming.info import described
from parley.api.wyoming.speaking import Spoken
from parley.api.wyoming.wire import Event
from parley.errors import InvalidRequest, NotFound
from parley.registry import AnnouncedModel
from parley.values import Voice

pytestmark = pytest.mark.anyio
EVENTS = (
    Event("describe"),
    Event("synthesize", {"text": "Grüß Gott", "voice": {"name": "joe"}}),
    Event("pong", {"text": "half a pair \ud800"}),
    Event("audio-chunk", {"rate": 16_000, "width": 2, "channels": 1}, bytes(range(256))),
)


async def read_all(data: bytes, limit: int = wire.LONGEST_LINE) -> list[Event]:
    reader = asyncio.StreamReader(limit=limit)
    reader.feed_data(data)
    reader.feed_eof()
    found = []
    while (event := await wire.read(reader)) is not None:
        found.append(event)
    return found


async def test_what_is_packed_is_read_again() -> None:
    assert tuple(await read_all(b"".join(map(wire.packed, EVENTS)))) == EVENTS


async def test_data_in_the_line_and_behind_it_are_one() -> None:
    more = b'{"b": 2}'
    line = json.dumps({"type": "x", "data": {"a": 1, "b": 1}, "data_length": len(more)}).encode() + b"\n"
    assert await read_all(line + more) == [Event("x", {"a": 1, "b": 2})]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"hello\n", "no JSON"),
        (b"[1]\n", "no JSON object"),
        (b"\xff\xfe\n", "no JSON"),
        (b'{"type": 5}\n', "needs a type"),
        (b'{"type": "x", "data": []}\n' * 2, ""),
        (b'{"type": "x", "data": [1]}\n', "needs a type, and data"),
        (b'{"type": "x", "payload_length": -1}\n', "payload_length"),
        (b'{"type": "x", "payload_length": 9999999999}\n', "payload_length"),
        (b'{"type": "x", "data_length": "5"}\n', "data_length"),
        (b'{"type": "x", "data_length": true}\n', "data_length"),
        (b'{"type": "x", "data_length": 50}\n{', "ended in the middle"),
        (b'{"type": ', "ended in the middle"),
        (b"x" * 100_000, "longer than"),
        (b"[" * 60_000 + b"\n", "no JSON"),
    ],
)
async def test_what_is_no_message_is_said_so(data: bytes, says: str) -> None:
    if not says:
        assert len(await read_all(data)) == 2
        return
    with pytest.raises(InvalidRequest, match=says):
        await read_all(data)


def test_hot_words_are_names_then_terms_each_once_and_bounded() -> None:
    asked = {"transcript_names": ["Ecobee", " Living\n room "], "transcript_terms": ["dim", "Ecobee", "", "x" * 101]}
    assert hot_words_of(asked) == ("Ecobee", "Living room", "dim")
    many = hot_words_of({"transcript_names": [f"name {n}" for n in range(60)], "transcript_terms": list("abc") * 99})
    assert many[:60] == tuple(f"name {n}" for n in range(60))
    assert many[60:] == ("a", "b", "c")
    assert len(hot_words_of({"transcript_terms": [str(n) for n in range(5_000)]})) == 100
    assert hot_words_of({}) == hot_words_of({"transcript_names": None}) == ()


@pytest.mark.parametrize("wrong", ["Ecobee", [1], {"a": 1}, [["a"]]])
def test_hot_words_that_are_no_texts_are_refused(wrong: object) -> None:
    with pytest.raises(InvalidRequest, match="transcript_terms must be a list of texts"):
        hot_words_of({"transcript_terms": wrong})


async def test_ten_thousand_damaged_messages_are_read_or_refused() -> None:
    chance = random.Random(1)
    whole = b"".join(map(wire.packed, EVENTS))
    for _ in range(10_000):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        with contextlib.suppress(InvalidRequest):
            for event in await read_all(bytes(damaged[: chance.randrange(len(damaged) + 1)])):
                for reader in (text_of, voice_of, language_of, format_of):
                    with contextlib.suppress(InvalidRequest):
                        reader(event.data)


@pytest.mark.parametrize(
    ("data", "meant"),
    [
        ({}, Voice()),
        ({"voice": None}, Voice()),
        ({"voice": {"name": "espeak", "speaker": "f1"}}, Voice("espeak", "f1")),
        ({"voice": {"language": "de_DE"}}, Voice(language="de-DE")),
    ],
)
def test_a_voice_is_a_name_or_a_language(data: dict[str, Any], meant: Voice) -> None:
    assert voice_of(data) == meant


def test_a_voice_that_is_named_has_to_exist() -> None:
    speakers = {"espeak": ("f1",), "joe": ()}
    assert existing_voice(Voice("espeak", "f1"), speakers, {}) == Voice("espeak", "f1")
    assert existing_voice(Voice("espeak/f1"), speakers, {}) == Voice("espeak", "f1")
    assert existing_voice(Voice(language="de"), speakers, {}) == Voice(language="de")
    with pytest.raises(NotFound, match="nobody"):
        existing_voice(Voice("nobody"), speakers, {})


@pytest.mark.parametrize(
    "data",
    [
        {"rate": 16_000, "width": 4, "channels": 1},
        {"rate": 100, "width": 2, "channels": 1},
        {"rate": 16_000.5, "width": 2, "channels": 1},
        {"rate": 16_000, "width": 2, "channels": 6},
        {"rate": True, "width": 2, "channels": 1},
        {},
    ],
)
def test_a_format_that_is_not_taken_says_what_is(data: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="must be"):
        format_of(data)
    assert format_of({"rate": 44_100, "width": 2, "channels": 2}) == AudioFormat(44_100, 2)


def test_home_assistants_own_reader_understands_the_description() -> None:
    voices = [AnnouncedModel("espeak", languages=("en", "de"), speakers=("f1", "f2")), AnnouncedModel("joe")]
    info = Info.from_event(_as_theirs(described(voices, "pocketsphinx", ("en-US",), "1.0")))
    assert info.asr[0].models[0].languages == ["en-US"]
    assert info.asr[0].supports_transcript_streaming
    assert [voice.name for voice in info.tts[0].voices] == ["espeak", "joe"]
    assert [speaker.name for speaker in info.tts[0].voices[0].speakers or ()] == ["f1", "f2"]
    assert info.tts[0].supports_synthesize_streaming
    assert all(artifact.installed for artifact in (*info.asr, *info.tts, *info.tts[0].voices))


def _as_theirs(data: dict[str, Any]) -> Any:
    from wyoming.event import Event as Theirs

    return Theirs("info", data)


async def test_text_is_spoken_from_its_first_words_on_and_whole() -> None:
    spoken = Spoken("en", 1_000)
    for piece in ("... ", "Good mor", "ning. It is ", "six degrees"):
        spoken.add(piece)
    spoken.end()
    clauses = [clause async for clause in spoken.clauses()]
    assert "".join(clauses) == "... Good morning. It is six degrees"
    assert len(clauses) == 2


async def test_a_text_without_words_has_no_clauses_and_a_long_one_is_refused() -> None:
    spoken = Spoken("en", 10)
    spoken.add("... 🎉")
    spoken.end()
    assert [clause async for clause in spoken.clauses()] == []
    with pytest.raises(InvalidRequest, match=r"wyoming\.longest_text"):
        Spoken("en", 10).add("x" * 11)
