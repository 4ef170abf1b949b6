from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.audio.frame import WordMark
from parley.conversation.heard import heard_text
from parley.session.decide.ledger import Ledger

FRAME = 960
TEXT = "Hello there, how are you?"
MARKS = [
    WordMark(0, 5, 0, 10_000),
    WordMark(6, 11, 10_000, 20_000),
    WordMark(13, 16, 24_000, 30_000),
    WordMark(17, 20, 30_000, 34_000),
    WordMark(21, 24, 34_000, 40_000),
]


def playing(frames: int, *, lead: float = 0.06, delay: float = 0.0) -> Ledger:
    """A ledger whose frames are all sent at time 0, lead or no lead."""
    ledger = Ledger(lead=lead, delay=delay)
    for frame in range(frames):
        ledger.sent(frame * FRAME, (frame + 1) * FRAME, 0.0)
    return ledger


def test_three_frames_may_go_at_once_and_the_fourth_waits_for_20_ms() -> None:
    ledger, due = Ledger(lead=0.06), []
    for frame in range(4):
        due.append(max(0.0, ledger.due_in((frame + 1) * FRAME, 0.0)))
        ledger.sent(frame * FRAME, (frame + 1) * FRAME, 0.0)
    assert due == pytest.approx([0.0, 0.0, 0.0, 0.02])


def test_the_clock_stops_in_a_pause_and_goes_on_with_the_very_next_sample() -> None:
    ledger = playing(10)
    ledger.pause(0.05)
    assert ledger.heard(9.0) == 2_400
    ledger.resume(10.0)
    assert ledger.heard(10.05) == 4_800


def test_nothing_unsent_is_heard() -> None:
    assert playing(2).heard(5.0) == 2 * FRAME


def test_a_listener_that_ran_dry_starts_again_with_the_next_frame() -> None:
    ledger = playing(2)
    ledger.sent(2 * FRAME, 3 * FRAME, 1.0)
    assert ledger.heard(1.01) == 2 * FRAME + 480


def test_a_report_is_believed_over_the_clock() -> None:
    ledger = playing(100)
    ledger.report(20_000, 0.5)
    assert ledger.heard(0.5) == 20_000
    assert ledger.heard(0.6) == 24_800


def test_the_answer_to_a_pause_is_final_and_an_older_report_does_not_undo_it() -> None:
    ledger = playing(100)
    ledger.pause(0.5)
    ledger.report(25_111, 0.51, stopped=True)
    ledger.report(20_000, 0.52)
    assert ledger.heard(0.6) == 25_111


def test_without_reports_the_way_to_the_ear_is_allowed_for() -> None:
    assert playing(100, delay=0.1).heard(0.5) == pytest.approx(0.4 * 48_000)


@given(st.lists(st.tuples(st.sampled_from(["send", "pause", "resume", "report"]), st.floats(0, 0.2)), max_size=80))
def test_what_was_heard_never_shrinks_and_never_passes_what_was_sent(steps: list[tuple[str, float]]) -> None:
    ledger, now, frame, before = Ledger(lead=0.06), 0.0, 0, 0
    for step, wait in steps:
        now += wait
        if step == "send" and ledger.due_in((frame + 1) * FRAME, now) <= 0 and not ledger.paused:
            ledger.sent(frame * FRAME, (frame + 1) * FRAME, now)
            frame += 1
        elif step == "pause":
            ledger.pause(now)
        elif step == "resume":
            ledger.resume(now)
        heard = ledger.heard(now)
        if step == "report":
            ledger.report(heard, now, stopped=ledger.paused)
        assert before - 1 <= heard <= frame * FRAME
        before = heard


def test_heard_words_are_whole_and_keep_their_punctuation() -> None:
    assert heard_text(TEXT, MARKS, 21_000) == "Hello there,"


def test_a_word_counts_when_more_than_half_of_it_was_heard() -> None:
    assert heard_text(TEXT, MARKS, 26_900) == "Hello there,"
    assert heard_text(TEXT, MARKS, 27_100) == "Hello there, how"


def test_nothing_heard_is_no_word() -> None:
    assert heard_text(TEXT, MARKS, 0) == ""


def test_a_finished_reply_was_heard_whole() -> None:
    assert heard_text(TEXT, MARKS, 40_000, finished=True) == TEXT


def test_without_marks_the_pace_of_speech_is_guessed() -> None:
    assert heard_text(TEXT, [], 48_000) == "Hello there,"


def test_a_frame_that_comes_after_the_listener_ran_dry_is_late_by_all_of_it() -> None:
    ledger = Ledger(lead=0.06)
    assert ledger.late_by(960, 10.0) == 0
    for end in (960, 1_920, 2_880):
        assert ledger.late_by(end, 10.0) == 0
        ledger.sent(end - 960, end, 10.0)
    assert ledger.late_by(3_840, 10.02) == pytest.approx(0)
    assert ledger.late_by(3_840, 15.02) == pytest.approx(5)


# --- what the voice is to blame for ------------------------------------------------------


def starved(*given: tuple[float, str], marks: bool = True, over: float | None = None) -> tuple[float, float]:
    """The gap before a frame at 5 s, and the voice's share; a first piece was spoken by 1 s, the others given later."""
    ledger = Ledger(lead=0.06)
    ledger.given(0, "Let me look.", 0.0)
    ledger.sent(0, 24_000, 0.5)
    if marks:
        ledger.add_marks([WordMark(0, 3, 0, 8_000), WordMark(4, 6, 8_000, 16_000), WordMark(7, 11, 16_000, 24_000)])
    for at, clause in given:
        ledger.given(12, clause, at)
    if over is not None:
        ledger.text_over(over)
    ledger.sent(24_000, 25_000, 5.0)
    return ledger.gap, ledger.voice_gap


@pytest.mark.parametrize("marks", [True, False])
def test_a_voice_is_not_to_blame_while_it_has_no_words(marks: bool) -> None:
    assert starved(marks=marks) == pytest.approx((4.0, 0.0))
    assert starved((4.5, " It rains."), marks=marks) == pytest.approx((4.0, 0.5))
    assert starved((4.5, " …"), marks=marks) == pytest.approx((4.0, 0.0))


@pytest.mark.parametrize("marks", [True, False])
def test_a_voice_is_to_blame_once_it_has_words_or_knows_that_there_are_no_more(marks: bool) -> None:
    assert starved((0.75, " It rains."), marks=marks) == pytest.approx((4.0, 4.0))
    assert starved(marks=marks, over=2.0) == pytest.approx((4.0, 3.0))
    assert starved(marks=marks, over=0.1) == pytest.approx((4.0, 4.0))


def test_marks_tell_what_a_voice_still_had_to_speak() -> None:
    assert starved((0.25, " It rains.")) == pytest.approx((4.0, 4.0))


def test_a_mark_of_sound_that_has_not_come_is_no_word_that_was_spoken() -> None:
    ledger = Ledger(lead=0.06)
    ledger.given(0, "One two.", 0.0)
    ledger.sent(0, 24_000, 0.5)
    ledger.add_marks([WordMark(0, 3, 0, 24_000), WordMark(4, 7, 24_000, 48_000)])
    assert ledger.spoken_text == 3
    ledger.sent(24_000, 25_000, 5.0)
    assert ledger.voice_gap == pytest.approx(4.0)


@given(st.lists(st.tuples(st.floats(0, 5), st.sampled_from(["one", "…", " two words"])), max_size=5), st.booleans())
def test_the_voice_is_never_to_blame_for_more_than_was_silent(given: list[tuple[float, str]], marks: bool) -> None:
    gap, voice = starved(*sorted(given), marks=marks)
    assert 0 <= voice <= gap
