"""Sound that is written down while somebody speaks: what is asked, where speech begins and ends, what is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.api.listening import asked, told
from parley.api.listening.recognition import Recognition, Utterance
from parley.api.listening.utterances import Began, Ended, Event, Sound, Utterances
from parley.errors import CapacityError, InvalidRequest
from parley.testing.fakes import ALOUD, FakeRecognizer, FakeVad
from parley.testing.virtual_time import VirtualTimeLoop
from parley.values import Transcript, TranscriptWord

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable

    from numpy.typing import NDArray

    from parley.audio.frame import AudioFrame

RATE, BLOCK = 16_000, 320


@pytest.fixture
def anyio_backend() -> object:
    return ("asyncio", {"loop_factory": VirtualTimeLoop})


# --- what is asked ---------------------------------------------------------------------


def test_a_start_without_fields_has_the_defaults() -> None:
    assert asked.message('{"type": "start"}') == asked.Start(16_000, "", True, 0.5)
    assert asked.message('{"type": "commit"}') == asked.Commit()
    assert asked.message('{"type": "end", "more": 1}') == asked.End()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("5", "type of a message"),
        ('{"type": ["start"]}', "type of a message"),
        ('{"type": "start", "sample_rate": 4000}', "from 8000 to 96000"),
        ('{"type": "start", "sample_rate": true}', "sample_rate must"),
        ('{"type": "start", "sample_rate": 16000.5}', "whole number"),
        ('{"type": "start", "language": 5}', "language must"),
        ('{"type": "start", "detection": 1}', "true or false"),
        ('{"type": "start", "silence": 0}', r"from 0\.1 to 5"),
        ('{"type": "start", "silence": NaN}', "silence must"),
    ],
)
def test_a_message_that_can_not_be_meant_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        asked.message(text)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@settings(max_examples=1_000)
@given(st.dictionaries(st.sampled_from(("sample_rate", "language", "detection", "silence")), ANYTHING))
def test_any_start_is_one_or_is_refused(fields: dict[str, Any]) -> None:
    with contextlib.suppress(InvalidRequest):
        asked.message(json.dumps({"type": "start", **fields}))


# --- where speech begins and ends ------------------------------------------------------


def sound(*stretches: tuple[float, bool]) -> NDArray[np.int16]:
    """Seconds of voice (True) and silence; every sample tells where it stands."""
    pieces = [np.full(round(seconds * RATE), ALOUD if loud else 0, np.int16) for seconds, loud in stretches]
    whole = np.concatenate(pieces)
    return whole + (np.arange(whole.size) % 97).astype(np.int16)


def cut(samples: NDArray[np.int16], *, commits: tuple[float, ...] = (), **how: Any) -> list[Event]:
    """All events of a stream that comes in blocks of 20 ms."""
    utterances, vad = Utterances(**{"silence": 0.5, "longest": 60.0, **how}), FakeVad()
    events: list[Event] = []
    due = [round(at * RATE) for at in commits]
    for begin in range(0, samples.size, BLOCK):
        while due and begin >= due[0]:
            due.pop(0)
            events += utterances.commit()
        block = samples[begin : begin + BLOCK]
        events += utterances.take(block, vad.score(block))
    return events + utterances.commit()


def stretches(events: list[Event]) -> list[tuple[float, float]]:
    """Where each utterance's sound begins, and how long it is in seconds."""
    found: list[tuple[float, float]] = []
    for event in events:
        if isinstance(event, Began):
            found.append((event.at, 0.0))
        elif isinstance(event, Sound):
            found[-1] = (found[-1][0], found[-1][1] + event.samples.size / RATE)
    return found


def test_speech_is_heard_from_a_little_before_it_began_until_the_silence_was_long_enough() -> None:
    events = cut(sound((1, False), (1, True), (2, False)))
    ((begin, seconds),) = stretches(events)
    assert begin == pytest.approx(0.7, abs=0.04)
    assert begin + seconds == pytest.approx(2.5, abs=0.06)
    (ended,) = [event for event in events if isinstance(event, Ended)]
    assert ended.at == pytest.approx(2.0, abs=0.04)


def test_a_pause_that_is_shorter_than_the_silence_belongs_to_the_utterance() -> None:
    once = cut(sound((0.5, False), (1, True), (0.4, False), (1, True), (1, False)))
    assert len(stretches(once)) == 1
    twice = cut(sound((0.5, False), (1, True), (0.4, False), (1, True), (1, False)), silence=0.2)
    assert len(stretches(twice)) == 2


def test_the_recogniser_is_told_when_its_speaker_is_silent() -> None:
    events = cut(sound((0.5, False), (1, True), (1, False)))
    told_silent = [event.speaking for event in events if isinstance(event, Sound)]
    assert told_silent[0]
    assert not told_silent[-1]
    assert told_silent == sorted(told_silent, reverse=True)


def test_a_click_opens_nothing() -> None:
    assert cut(sound((1, False), (0.02, True), (1, False))) == []


def test_a_commit_ends_what_is_open_and_what_goes_on_is_a_new_utterance_with_nothing_lost() -> None:
    events = cut(sound((1, False), (2, True), (1, False)), commits=(2.0,))
    (first, long), (second, _) = stretches(events)
    assert first + long == pytest.approx(2.0, abs=0.001)
    assert second == pytest.approx(2.0, abs=0.001)


def test_speech_without_a_pause_is_cut_at_the_longest_and_nothing_is_lost() -> None:
    events = cut(sound((30, True)), longest=10.0)
    found = stretches(events)
    assert [begin for begin, _ in found] == pytest.approx([0, 10, 20], abs=0.05)
    assert sum(seconds for _, seconds in found) == pytest.approx(30)


def test_without_detection_all_between_two_commits_is_one_utterance() -> None:
    events = cut(sound((3, False)), commits=(1.0, 2.0), detection=False)
    assert [(begin, round(seconds, 3)) for begin, seconds in stretches(events)] == [(0, 1), (1, 1), (2, 1)]


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.floats(0.02, 1.5), st.booleans()), min_size=1, max_size=8),
    st.lists(st.floats(0, 6), max_size=3).map(lambda times: tuple(sorted(times))),
    st.booleans(),
)
def test_no_sample_is_heard_twice_and_without_detection_each_is_heard(
    parts: list[tuple[float, bool]], commits: tuple[float, ...], detection: bool
) -> None:
    samples = sound(*parts)
    begin, heard = 0, np.zeros(samples.size, np.int8)
    for event in cut(samples, commits=commits, detection=detection, longest=5.0):
        if isinstance(event, Began):
            begin = round(event.at * RATE)
        elif isinstance(event, Sound):
            end = begin + event.samples.size
            assert np.array_equal(samples[begin:end], event.samples)
            heard[begin:end] += 1
            begin = end
    assert heard.max(initial=0) <= 1
    if not detection:
        assert heard.min(initial=1) == 1


# --- its words -------------------------------------------------------------------------


def spoken(number: int, seconds: float = 1.0, begin: float = 0.0) -> Utterance:
    utterance = Utterance(number, begin)
    for _ in range(round(seconds * 50)):
        utterance.add(Sound(np.zeros(BLOCK, np.int16), True))
    utterance.complete(begin + seconds)
    return utterance


class Busy(FakeRecognizer):
    """Full for the first tries."""

    tries = 0

    async def transcribe(
        self, audio: AsyncIterable[AudioFrame], *, language: str = ""
    ) -> AsyncGenerator[Transcript, None]:
        self.tries += 1
        if self.tries <= 2:
            async for _ in audio:
                break
            raise CapacityError("All ears are taken.", retry_after=3.0)
        async for said in super().transcribe(audio, language=language):
            yield said


async def written(ears: FakeRecognizer, *utterances: Utterance) -> list[tuple[int, str, bool]]:
    told_so: list[tuple[int, str, bool]] = []

    async def heard(utterance: Utterance, said: Transcript) -> None:
        told_so.append((utterance.number, said.text, said.final))

    recognition = Recognition(ears, "", heard)
    for utterance in utterances:
        recognition.follow(utterance)
    recognition.end()
    await recognition.run()
    return told_so


@pytest.mark.anyio
@pytest.mark.usefixtures("no_tasks_left")
async def test_utterances_are_written_down_in_their_order_however_long_the_first_takes() -> None:
    ears = FakeRecognizer(turns=[[(0.5, "one")], [(0.5, "two")]], latencies=(9.0, 0.0))
    said = await written(ears, spoken(1), spoken(2))
    assert [(number, text) for number, text, final in said if final] == [(1, "one"), (2, "two")]


@pytest.mark.anyio
@pytest.mark.usefixtures("no_tasks_left")
async def test_ears_that_are_full_are_given_the_whole_utterance_again() -> None:
    ears = Busy(turns=[[(0.5, "one")]])
    assert (1, "one", True) in await written(ears, spoken(1))
    assert [len(heard) / 32_000 for heard in ears.heard] == [pytest.approx(1.25)]
    assert asyncio.get_running_loop().time() == pytest.approx(6.0)


@pytest.mark.anyio
@pytest.mark.usefixtures("no_tasks_left")
async def test_who_sends_faster_than_the_ears_listen_waits() -> None:
    async def heard(_: Utterance, said: Transcript) -> None:
        if said.final:
            finals.append(asyncio.get_running_loop().time())

    finals: list[float] = []
    recognition = Recognition(FakeRecognizer(latencies=(2.0, 3.0, 4.0)), "", heard)
    for number in (1, 2, 3):
        recognition.follow(spoken(number, 4.0))
    running = asyncio.create_task(recognition.run())
    await recognition.room()
    assert finals == [2.0]
    recognition.end()
    await running
    assert finals == [2.0, 5.0, 9.0]


# --- what is told ----------------------------------------------------------------------


def test_times_of_words_count_from_the_start_of_the_stream() -> None:
    said = Transcript(" Hello.", True, words=(TranscriptWord(" Hello.", 0.1, 0.4, 0.9),), language="en", confidence=0.8)
    assert json.loads(told.transcript(3, 2.0, 2.5, said)) == {
        "type": "transcript",
        "utterance": 3,
        "text": "Hello.",
        "stable": 6,
        "final": True,
        "start": 2.0,
        "end": 2.5,
        "language": "en",
        "confidence": 0.8,
        "words": [{"word": "Hello.", "start": 2.1, "end": 2.4, "confidence": 0.9}],
    }


def test_a_failure_says_whether_another_try_is_worth_it() -> None:
    fields = json.loads(told.failure(CapacityError("All is full.", retry_after=1.0)))
    assert (fields["type"], fields["message"], fields["retryable"]) == ("error", "All is full.", True)
