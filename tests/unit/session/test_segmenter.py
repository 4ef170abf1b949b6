from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.session.decide.segmenter import Segmenter, SpeechEnded, SpeechStarted
from parley.session.settings import SegmenterSettings

GRID, FINE = 512, 128


def segmenter(**settings: float) -> Segmenter:
    return Segmenter(SegmenterSettings(**settings), alert_threshold=0.3)


def test_speech_begins_where_its_first_stretch_began() -> None:
    calm = segmenter()
    events = [calm.update(p, GRID) for p in (0.0, 0.0, 0.9, 0.9)]
    assert events == [None, None, None, SpeechStarted(at=2 * 0.032)]


def test_one_loud_stretch_is_no_speech_while_calm() -> None:
    calm = segmenter()
    assert [calm.update(p, GRID) for p in (0.0, 0.9, 0.0, 0.9, 0.0)] == [None] * 5


def test_one_positive_score_is_enough_while_alert() -> None:
    alert = segmenter()
    alert.alert = True
    assert alert.update(0.29, FINE) is None
    assert alert.update(0.3, FINE) == SpeechStarted(at=0.008)


def test_speech_ends_after_enough_silence_and_is_dated_back() -> None:
    calm = segmenter()
    events = [calm.update(p, GRID) for p in (0.9, 0.9, 0.9, 0.1, 0.1)]
    assert events == [None, SpeechStarted(0.0), None, None, SpeechEnded(at=3 * 0.032)]


def test_scores_that_fade_do_not_date_the_end_of_speech_late() -> None:
    calm = segmenter()
    events = [calm.update(p, GRID) for p in (1.0, 1.0, 1.0, 0.95, 0.7, 0.4, 0.2, 0.1)]
    assert events[-1] == SpeechEnded(at=4 * 0.032)


def test_faint_speech_is_measured_against_its_own_clearest_moment() -> None:
    calm = segmenter()
    events = [calm.update(p, GRID) for p in (0.6, 0.6, 0.55, 0.5, 0.1, 0.1)]
    assert events[-1] == SpeechEnded(at=4 * 0.032)


def test_a_short_gap_does_not_end_speech() -> None:
    calm = segmenter()
    for p in (0.9, 0.9, 0.1, 0.9, 0.1, 0.9):
        assert not isinstance(calm.update(p, GRID), SpeechEnded)
    assert calm.speaking


def test_voice_is_counted_without_its_gaps() -> None:
    calm = segmenter()
    for p in (0.9, 0.9, 0.1, 0.9):
        calm.update(p, GRID)
    assert calm.voiced == pytest.approx(3 * 0.032)


def test_fading_scores_are_no_new_evidence() -> None:
    alert = segmenter()
    alert.alert = True
    events = [alert.update(p, FINE) for p in [0.9] * 8 + [0.31] * 40 + [0.1] * 10 + [0.31]]
    assert [type(event) for event in events if event] == [SpeechStarted, SpeechEnded, SpeechStarted]
    assert events[-1]


def test_what_was_rejected_is_asked_again_with_the_next_sign() -> None:
    alert = segmenter()
    alert.alert = True
    assert alert.update(0.9, FINE)
    alert.reject()
    assert alert.update(0.9, FINE)


scores = st.lists(st.tuples(st.floats(0, 1), st.sampled_from([128, 512, 320])), max_size=200)


@given(scores, st.booleans())
def test_beginnings_and_ends_take_turns_and_time_does_not_run_back(
    stream: list[tuple[float, int]], alert: bool
) -> None:
    segments = segmenter()
    segments.alert = alert
    events = [event for p, samples in stream if (event := segments.update(p, samples))]
    kinds = [type(event) for event in events]
    assert kinds == [SpeechStarted, SpeechEnded] * (len(kinds) // 2) + [SpeechStarted] * (len(kinds) % 2)
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert segments.now == pytest.approx(sum(samples for _, samples in stream) / 16_000)


def test_a_moment_that_was_no_speech_leaves_the_next_first_sign_as_good() -> None:
    alert = segmenter()
    alert.alert = True
    events = [alert.update(p, FINE) for p in (0.9, *[0.0] * 8, 0.3)]
    assert isinstance(events[0], SpeechStarted)
    assert isinstance(events[8], SpeechEnded)
    assert isinstance(events[9], SpeechStarted)


def test_scores_that_fade_after_speech_are_no_first_sign() -> None:
    alert = segmenter()
    alert.alert = True
    events = [alert.update(p, FINE) for p in (*[0.9] * 10, *[0.0] * 8, 0.3)]
    assert isinstance(events[-2], SpeechEnded)
    assert events[-1] is None
