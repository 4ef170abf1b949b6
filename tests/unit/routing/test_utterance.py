"""An utterance over workers that die, without a loop: every word is heard once, whatever died where."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from parley.audio.frame import FRAME_SAMPLES, AudioFrame, WordMark
from parley.routing.utterance import Continuation, Utterance
from parley.testing.workers import WORD, WORD_FRAMES, code_of
from parley.text.speech.normaliser import has_words

from .conftest import COUNTING, check


def speech(text: str) -> list[AudioFrame]:
    """What a worker makes of a text: ten frames a word, the last of them silent, then a final one."""
    values: list[tuple[int, tuple[WordMark, ...]]] = []
    for match in WORD.finditer(text):
        start = len(values) * FRAME_SAMPLES
        mark = WordMark(match.start(), match.end(), start, start + WORD_FRAMES * FRAME_SAMPLES)
        values += [(code_of(match[0]), (mark,))]
        values += [(code_of(match[0]), ())] * (WORD_FRAMES - 2) + [(0, ())]
    values.append((0, ()))
    return [
        AudioFrame(
            value.to_bytes(2, "little") * FRAME_SAMPLES,
            utterance_id="w",
            sequence=sequence,
            start_sample=sequence * FRAME_SAMPLES,
            marks=marks,
            final=sequence == len(values) - 1,
        )
        for sequence, (value, marks) in enumerate(values)
    ]


def spoken(deaths: list[int], ahead: int, text: str = COUNTING) -> list[AudioFrame]:
    """What is heard when one worker after the other dies after so many frames, ``ahead`` of them not taken yet."""
    utterance, heard = Utterance("w"), list[AudioFrame]()
    for number, death in enumerate([*deaths, len(text) * WORD_FRAMES]):
        push = Continuation(utterance).push if number else utterance.push
        frames = speech(text[utterance.part.resume_char :])
        for frame in frames[:death]:
            push(frame)
            while len(utterance) > ahead:
                heard.append(utterance.take())
        if death >= len(frames):
            break
        utterance.cut(text)
        if not has_words(text[utterance.part.resume_char :]):
            utterance.end()
            break
    while len(utterance):
        heard.append(utterance.take())
    return heard


@given(st.lists(st.integers(0, 220), max_size=6), st.integers(1, 80))
def test_every_word_is_heard_once_whatever_died_where(deaths: list[int], ahead: int) -> None:
    check(spoken(deaths, ahead))


@given(st.integers(0, 199), st.integers(1, 80))
def test_what_was_taken_before_a_death_is_as_it_would_have_been(death: int, ahead: int) -> None:
    taken = max(0, death - ahead)
    assert [frame.pcm for frame in spoken([death], ahead)[:taken]] == [frame.pcm for frame in speech(COUNTING)[:taken]]


def test_text_that_has_not_come_yet_is_not_waited_for() -> None:
    utterance = Utterance("w")
    for frame in speech("1 2")[:-1]:
        utterance.push(frame)
    assert utterance.waits("1 2")
    assert not utterance.waits("1 2 3")


def test_an_apology_has_no_marks_and_does_not_end_the_utterance() -> None:
    utterance = Utterance("w")
    for frame in speech("1 2")[:15]:
        utterance.push(frame)
    utterance.cut("1 2")
    utterance.apologise()
    before = len(utterance)
    for frame in speech("3"):
        utterance.push(frame)
    apology = [utterance.take() for _ in range(len(utterance))][before:]
    assert not any(frame.marks or frame.final for frame in apology)
