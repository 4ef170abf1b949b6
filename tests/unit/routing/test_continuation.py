"""A cut loses no word and repeats none, wherever the worker dies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.audio.frame import FRAME_BYTES, FRAME_SAMPLES, AudioFrame, WordMark
from parley.routing.continuation import Cut, Shift, cut, next_word, skipped_frames, trim
from parley.text.speech.normaliser import has_words

WORDS = st.lists(
    st.tuples(
        st.text("abcdefghijxyzäß0123", min_size=1, max_size=8),
        st.sampled_from([" ", ", ", ". ", "! ", "… ", " - ", "? ", '." ']),
        st.integers(480, 30_000),  # samples of the word
        st.sampled_from([0, 0, 1, 2_400, 9_600]),  # silence after it
    ),
    min_size=1,
    max_size=20,
)


def spell(words: list[tuple[str, str, int, int]], lead: int) -> tuple[str, list[WordMark], int]:
    """Text, marks and length of an utterance."""
    text, marks, position = "", [], lead
    for word, gap, samples, silence in words:
        marks.append(WordMark(len(text), len(text) + len(word), position, position + samples))
        text += word + gap
        position += samples + silence
    return text, marks, position


@given(WORDS, st.integers(0, 5_000), st.data())
def test_every_word_is_spoken_once(words: list[tuple[str, str, int, int]], lead: int, data: st.DataObject) -> None:
    text, marks, length = spell(words, lead)
    held = data.draw(st.integers(0, length // FRAME_SAMPLES)) * FRAME_SAMPLES
    delivered = data.draw(st.integers(0, held // FRAME_SAMPLES)) * FRAME_SAMPLES
    made = cut(text, [m for m in marks if m.start_sample < held], delivered=delivered, held=held)

    kept = [mark for mark in marks if mark.end_sample <= made.end_sample]
    again = [mark for mark in marks if mark.text_start >= made.resume_char]
    assert sorted({m.text_start for m in (*kept, *again)}) == [m.text_start for m in marks]
    assert len(kept) + len(again) == len(marks)
    # what is kept of a word beyond the whole ones is exactly what the next worker leaves out
    under_way = next((m for m in marks if m.start_sample < made.end_sample < m.end_sample), None)
    if under_way is None:
        assert made.spoken == 0
    else:
        assert made.resume_char == under_way.text_start
        assert made.spoken == pytest.approx(
            (made.end_sample - under_way.start_sample) / (under_way.end_sample - under_way.start_sample)
        )


@given(WORDS, st.integers(0, 5_000), st.data())
def test_what_was_handed_on_is_never_taken_back(
    words: list[tuple[str, str, int, int]], lead: int, data: st.DataObject
) -> None:
    text, marks, length = spell(words, lead)
    held = data.draw(st.integers(0, length))
    delivered = data.draw(st.integers(0, held))
    made = cut(text, [m for m in marks if m.start_sample < held], delivered=delivered, held=held)
    assert delivered <= made.end_sample <= held


@given(WORDS, st.integers(0, 5_000), st.data())
def test_a_word_is_broken_only_when_its_beginning_was_handed_on(
    words: list[tuple[str, str, int, int]], lead: int, data: st.DataObject
) -> None:
    text, marks, length = spell(words, lead)
    held = data.draw(st.integers(0, length))
    delivered = data.draw(st.integers(0, held))
    made = cut(text, [m for m in marks if m.start_sample < held], delivered=delivered, held=held)
    if made.spoken:
        broken = next(m for m in marks if m.text_start == made.resume_char)
        assert broken.start_sample < delivered


@given(WORDS, st.data())
def test_a_second_death_loses_nothing_either(words: list[tuple[str, str, int, int]], data: st.DataObject) -> None:
    text, marks, length = spell(words, 0)
    held = data.draw(st.integers(0, length // FRAME_SAMPLES)) * FRAME_SAMPLES
    delivered = data.draw(st.integers(0, held // FRAME_SAMPLES)) * FRAME_SAMPLES
    first = cut(text, [m for m in marks if m.start_sample < held], delivered=delivered, held=held)
    # the next worker dies before it says anything
    kept = [
        m for m in marks if m.text_start < first.resume_char or (first.spoken and m.text_start == first.resume_char)
    ]
    again = cut(
        text,
        [m for m in kept if m.text_start >= first.resume_char],
        delivered=delivered,
        held=first.frames * FRAME_SAMPLES,
        from_char=first.resume_char,
        from_sample=first.frames * FRAME_SAMPLES,
    )
    assert again.resume_char == first.resume_char


@given(st.text(max_size=60), st.integers(0, 200_000), st.integers(0, 60))
def test_without_marks_the_next_worker_begins_at_a_word(text: str, held: int, start: int) -> None:
    start = min(start, len(text))
    made = cut(text, [], delivered=0, held=held, from_char=start)
    assert made.end_sample == held
    assert start <= made.resume_char <= len(text)
    assert made.resume_char in (start, len(text)) or text[made.resume_char - 1] == " "


def test_without_marks_and_without_audio_everything_is_said_again() -> None:
    assert cut("one two", [], delivered=0, held=0) == Cut(0, 0)


def test_the_pause_after_the_last_whole_word_is_dropped() -> None:
    marks = [WordMark(0, 3, 0, 9_600)]
    assert cut("one, two", marks, delivered=4_800, held=14_400) == Cut(9_600, 5)


def test_a_pause_that_was_handed_on_stays() -> None:
    marks = [WordMark(0, 3, 0, 9_600)]
    assert cut("one, two", marks, delivered=11_520, held=14_400) == Cut(11_520, 5)


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("one two", 3, 4),
        ("one, two", 3, 5),
        ('"one," two', 4, 7),
        ("one -5", 3, 4),
        ("one (two)", 3, 4),
        ("twenty-one", 6, 7),
        ("one.", 3, 4),
        ("one", 3, 3),
        ("one,  ", 3, 6),
    ],
)
def test_the_next_word_begins_after_closing_punctuation(text: str, position: int, expected: int) -> None:
    assert next_word(text, position) == expected


def test_punctuation_alone_is_nothing_to_speak() -> None:
    assert not has_words(' ... "! ')
    assert has_words(" 5")


def frames(count: int) -> list[AudioFrame]:
    return [
        AudioFrame(b"\x10\x27" * FRAME_SAMPLES, sequence=i, start_sample=i * FRAME_SAMPLES, final=i == count - 1)
        for i in range(count)
    ]


def test_frames_after_the_cut_are_dropped() -> None:
    assert [frame.sequence for frame in trim(frames(5), 3 * FRAME_SAMPLES)] == [0, 1, 2]


def test_the_frame_that_holds_the_cut_is_faded_and_filled_with_silence() -> None:
    kept = trim(frames(5), 2 * FRAME_SAMPLES + 480)
    last = memoryview(kept[-1].pcm).cast("h")
    assert len(kept[-1].pcm) == FRAME_BYTES
    assert last[0] == 10_000
    assert last[479] == 0
    assert 0 < last[400] < 10_000
    assert set(last[480:]) == {0}


def test_what_was_final_is_final_no_more() -> None:
    assert not trim(frames(3), 3 * FRAME_SAMPLES)[-1].final


def test_frames_that_end_at_the_cut_are_kept_as_they_are() -> None:
    assert trim(frames(5), 3 * FRAME_SAMPLES) == frames(5)[:3]


@given(st.floats(0, 1), st.integers(0, 5_000), st.integers(1, 30_000))
def test_as_much_is_left_out_of_a_word_as_was_heard_of_it(spoken: float, lead: int, length: int) -> None:
    skip = skipped_frames(spoken, WordMark(0, 3, lead, lead + length))
    assert abs(skip * FRAME_SAMPLES - (lead + spoken * length)) <= FRAME_SAMPLES


def test_a_shifted_frame_stands_where_the_cut_left_off() -> None:
    shift = Shift("u", sequence=100, text=40, skip=3)
    moved = shift.apply(AudioFrame(b"", sequence=3, start_sample=2_880, marks=(WordMark(0, 4, 2_900, 9_000),)))
    assert (moved.utterance_id, moved.sequence, moved.start_sample) == ("u", 100, 96_000)
    assert moved.marks == (WordMark(40, 44, 96_020, 102_120),)


def test_the_mark_of_a_word_in_two_parts_begins_no_earlier_than_its_second_part() -> None:
    moved = Shift("u", sequence=100, text=40, skip=3).mark(WordMark(0, 4, 0, 9_000))
    assert moved == WordMark(40, 44, 96_000, 102_120)
