"""A recorded session decides the same again; with another setting it shows what would have changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.session.tool_bench import Bench, Caller, ask, once

from parley.audio.frame import AudioFrame
from parley.conversation import Call, History, Message, Result
from parley.errors import EngineError, InvalidRequest, NotFound
from parley.messages import Interrupt, ReplyEnded, SessionStarted, StartSession, TextInput
from parley.recording import Recording, RecordingSettings, read_recording
from parley.recording.format import EVENTS, BadRecording
from parley.replay import Ears, differences, replay, state_log
from parley.replay.compare import recorded_state_log
from parley.server.engine_parts import EngineParts
from parley.server.recording import RecordingKeeper
from parley.session.settings import SessionSettings
from parley.testing.conversation import Recorder
from parley.testing.fakes import (
    FakeLanguageModel,
    FakeRecognizer,
    FakeSynthesizer,
    FakeVad,
    PassThroughMicrophone,
    microphone,
)
from parley.testing.virtual_time import run_virtual
from parley.transports.memory import MemoryTransport
from parley.vad import VadSettings
from parley.values import Deadlines, Thinking

Script = Callable[[MemoryTransport], Awaitable[None]]

EARS = Ears(vad=lambda name, settings: FakeVad(), microphone=lambda rate: PassThroughMicrophone())
STORY = 3 * "Once upon a time there was a king who had three daughters and no patience. "
SOUNDS = [(0.5, 1.5), (5.0, 5.3), (8.0, 9.5)]
TURNS = [
    [(0.3, "tell me"), (0.9, "tell me a story")],
    [(0.2, "mhm")],
    [(0.4, "wait what"), (1.2, "wait what was his name")],
]


async def _talk(transport: MemoryTransport) -> None:
    """A story, a nod, an interruption."""
    await microphone(transport.participant.speak, *SOUNDS, until=14.0)


async def _type(transport: MemoryTransport) -> None:
    transport.participant.put(TextInput("hello"))
    await asyncio.sleep(3.0)


def _keeper(folder: Path) -> RecordingKeeper:
    return RecordingKeeper(RecordingSettings(enabled=True, folder=str(folder)), VadSettings(), wall_clock=lambda: 0.0)


async def _record(keeper: RecordingKeeper, script: Script, parts: dict[str, Any]) -> MemoryTransport:
    transport = MemoryTransport()
    made = EngineParts(
        transport=transport,
        start=StartSession(),
        session_id="s1",
        microphone=PassThroughMicrophone(),
        vad=FakeVad(),
        recognizer=FakeRecognizer(turns=list(TURNS)),
        language_model=FakeLanguageModel(answer=lambda _: STORY),
        synthesizer=FakeSynthesizer(),
        settings=SessionSettings(),
        observer=Recorder(),
    )
    with ExitStack() as stack:
        engine = keeper.wrap(replace(made, **parts), stack).engine()
        async with asyncio.TaskGroup() as group:
            group.create_task(engine.run())
            await script(transport)
            await transport.participant.hang_up()
    keeper.join()
    return transport


def recorded(folder: Path, script: Script = _talk, **parts: Any) -> Recording:
    run_virtual(_record(_keeper(folder), script, parts))
    return read_recording(folder / "s1")


def words(log: list[tuple[float, str]]) -> str:
    return "\n".join(line for _, line in log)


def test_a_replay_takes_the_same_decisions_byte_for_byte(tmp_path: Path) -> None:
    recording = recorded(tmp_path)

    again = replay(recording, EARS)

    assert words(recorded_state_log(recording)) == words(state_log(again.entries))
    assert differences(recorded_state_log(recording), state_log(again.entries)) == []
    assert "decided backchannel" in words(state_log(again.entries))
    assert "decided take_floor" in words(state_log(again.entries))


def test_a_replay_gives_the_participant_the_same_messages(tmp_path: Path) -> None:
    recording = recorded(tmp_path)
    sent = [entry.data["wire"].partition('"type":"')[2].partition('"')[0] for entry in recording.of("sent")]

    again = replay(recording, EARS)

    assert sent == [message.type for message in again.messages]


def test_another_setting_shows_what_would_have_changed(tmp_path: Path) -> None:
    recording = recorded(tmp_path)

    again = replay(recording, EARS, {"endpointing.min_delay": 1.0, "endpointing.max_delay": 1.2})
    changed = differences(recorded_state_log(recording), state_log(again.entries))

    assert any(line.startswith("~") and "turn 1 closed by silence" in line for line in changed)


def test_a_failure_of_the_language_model_is_played_again(tmp_path: Path) -> None:
    recording = recorded(tmp_path, language_model=FakeLanguageModel(error=EngineError("The model fell over.")))

    assert "failed with engine_failed" in words(state_log(replay(recording, EARS).entries))


@pytest.mark.parametrize(
    "model",
    [
        FakeLanguageModel(hang=True, deadlines=Deadlines(first=2.0)),
        FakeLanguageModel(answer=lambda _: [Thinking()] * 9, delta=0.5, deadlines=Deadlines(first=1.0, thinking=2.0)),
        FakeLanguageModel(answer=lambda _: []),
    ],
)
def test_a_language_model_that_was_given_up_is_given_up_again(tmp_path: Path, model: FakeLanguageModel) -> None:
    recording = recorded(tmp_path, language_model=model)

    again = replay(recording, EARS)

    assert "failed with" in words(state_log(again.entries))
    assert differences(recorded_state_log(recording), state_log(again.entries)) == []


class Wishes:
    """An interruption model that hears a wish for the floor in whatever is said."""

    def begin(self) -> None:
        pass

    def end(self) -> None:
        pass

    def played(self, frame: AudioFrame, at: float) -> None:
        pass

    def hear(self, samples: NDArray[np.int16], now: float) -> None:
        pass

    def wish(self) -> float | None:
        return 0.98


async def _hum(transport: MemoryTransport) -> None:
    """A story, and over it a sound that nobody understands."""
    await microphone(transport.participant.speak, (0.5, 1.5), (5.0, 5.7), until=9.0)


@pytest.mark.parametrize(("parts", "decided"), [({}, "backchannel"), ({"interruption": Wishes()}, "take_floor")])
def test_what_a_model_of_interruptions_heard_is_heard_again(
    tmp_path: Path, parts: dict[str, Any], decided: str
) -> None:
    recording = recorded(tmp_path, _hum, recognizer=FakeRecognizer(turns=[TURNS[0], [], []]), **parts)

    again = replay(recording, EARS)

    assert f"decided {decided}" in words(state_log(again.entries))
    assert differences(recorded_state_log(recording), state_log(again.entries)) == []


def test_settings_that_only_another_version_had_do_not_count(tmp_path: Path) -> None:
    recording = recorded(tmp_path)
    recording.header["settings"]["limits"]["forgotten"] = 1.0
    recording.header["settings"]["of_old"] = {"forgotten": 1.0}

    assert replay(recording, EARS).entries


def test_the_participant_is_told_that_the_session_is_recorded(tmp_path: Path) -> None:
    transport = run_virtual(_record(_keeper(tmp_path), _talk, {}))

    assert [m.recorded for m in transport.participant.messages if isinstance(m, SessionStarted)] == [True]


def test_every_sample_of_both_voices_is_kept(tmp_path: Path) -> None:
    recording = recorded(tmp_path)
    frames = [pcm for _, pcm in recording.pcm("mic")]

    assert len(b"".join(frames)) == 2 * 16_000 * 14
    assert all(len(pcm) == entry.data["bytes"] for entry, pcm in recording.pcm("frame"))


def test_a_recording_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = recorded(tmp_path)
    events = tmp_path / "s1" / EVENTS
    text = events.read_text()
    events.write_text(text[: len(text) * 2 // 3])

    cut = read_recording(events)

    assert 0 < len(cut.entries) < len(whole.entries)


def test_an_unknown_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"barge_in\.haste"):
        replay(recorded(tmp_path), EARS, {"barge_in.haste": 1})


def test_a_folder_without_a_recording_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"holds no events\.jsonl"):
        read_recording(tmp_path)


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / EVENTS).write_text("hello\n")
    with pytest.raises(BadRecording, match="does not begin with a recording's header"):
        read_recording(tmp_path)


def test_text_input_is_recorded_too(tmp_path: Path) -> None:
    recording = recorded(tmp_path, _type)

    assert "text_typed" in words(state_log(replay(recording, EARS).entries))


# --- tools --------------------------------------------------------------------------------


async def _ask_twice(transport: MemoryTransport) -> None:
    transport.participant.put(TextInput("book a table"))
    await asyncio.sleep(6.0)
    transport.participant.put(TextInput("and another one"))
    await asyncio.sleep(1.0)
    transport.participant.put(Interrupt())
    await asyncio.sleep(6.0)


def test_a_replay_calls_no_tool_and_is_told_what_was_told_then(tmp_path: Path) -> None:
    bench = Bench(takes={"book": 2.0})
    model = Caller(once(ask("book", "a table"), ask("look", call_id="c2")))
    recording = recorded(tmp_path, _ask_twice, language_model=model, tools=bench.box())
    assert [call.end for call in bench.calls] == ["done", "done", "done", "done"]

    again = replay(recording, EARS)

    assert len(bench.calls) == 4
    assert differences(recorded_state_log(recording), state_log(again.entries)) == []
    assert "tool book of turn 2: done" in words(state_log(again.entries))
    said = [message.text for message in again.messages if isinstance(message, ReplyEnded)]
    assert said[0].endswith("I know: book says s1:1:c1. look says s1:1:c2.")


def test_a_replay_begins_with_the_conversation_that_went_before(tmp_path: Path) -> None:
    before = History([Message("user", "I am Ada."), Call("c1", "book", "{}"), Result("c1", "Booked.")])
    recording = recorded(tmp_path, _type, history=before)
    assert [item["type"] for item in recording.header["items"]] == ["message", "call", "result"]
    sent = [message for message in replay(recording, EARS).messages if isinstance(message, SessionStarted)]
    assert sent[0].resumed


def test_a_recording_that_breaks_off_is_counted_once_also_when_others_follow(tmp_path: Path) -> None:
    keeper = _keeper(tmp_path)
    run_virtual(_record(keeper, _type, {}))
    assert [each.value for each in keeper.figures()] == [0]
    (tmp_path / "broken" / EVENTS).mkdir(parents=True)  # where its first file should be
    run_virtual(_record(keeper, _type, {"session_id": "broken"}))
    assert [each.value for each in keeper.figures()] == [1]
    run_virtual(_record(keeper, _type, {"session_id": "whole"}))
    assert [each.value for each in keeper.figures()] == [1]
