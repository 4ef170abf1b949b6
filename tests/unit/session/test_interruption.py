from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.session.decide.interruption import Sound, classify, reconsider
from parley.session.settings import BargeInSettings

CAUTIOUS = BargeInSettings()
SETTINGS = replace(CAUTIOUS, trust_words="all")
SPEECH = Sound(voiced=0.3, silence=0.0, held=0.3, level_db=-24, usual_level_db=-26)


def outcome(sound: Sound, settings: BargeInSettings = SETTINGS) -> str | None:
    verdict = classify(sound, settings)
    return verdict.outcome if verdict else None


def test_a_sound_that_has_just_begun_is_undecided() -> None:
    assert outcome(SPEECH) is None


def test_long_speech_takes_the_floor_without_a_word_understood() -> None:
    assert outcome(replace(SPEECH, voiced=0.9, held=0.95)) == "take_floor"


@pytest.mark.parametrize("text", ["stop", "wait wait", "no that is", "but the other"])
def test_words_that_want_the_floor_take_it_at_once(text: str) -> None:
    assert outcome(replace(SPEECH, text=text)) == "take_floor"


@pytest.mark.parametrize("text", ["mhm", "uh-huh", "Yeah.", "okay, right", "I see", "oh really", "mhm mhm sure"])
def test_nods_are_waited_out_and_the_reply_goes_on(text: str) -> None:
    nod = replace(SPEECH, text=text, voiced=0.9, held=1.0)
    assert outcome(nod) is None
    assert outcome(replace(nod, silence=0.25, ended=True)) == "backchannel"


def test_nods_in_the_participant_s_own_language_count() -> None:
    nod = replace(SPEECH, text="genau", silence=0.25, ended=True)
    assert outcome(replace(nod, language="de-DE")) == "backchannel"
    assert outcome(replace(nod, voiced=0.6, language="fr")) == "take_floor"


def test_a_short_sound_without_words_is_a_nod_once_it_is_silent() -> None:
    assert outcome(replace(SPEECH, silence=0.1)) is None
    assert outcome(replace(SPEECH, silence=0.25, ended=True)) == "backchannel"


def test_a_click_is_a_noise_soon_after_it_ended() -> None:
    assert outcome(Sound(voiced=0.008, silence=0.13, held=0.13, ended=True)) == "noise"


def test_somebody_far_away_is_a_noise_however_long_they_speak() -> None:
    assert outcome(replace(SPEECH, voiced=3.0, held=1.0, level_db=-44)) == "noise"


def test_our_own_voice_is_an_echo() -> None:
    assert outcome(replace(SPEECH, echo=0.8, voiced=2.0)) == "echo"


def test_a_short_answer_in_the_reply_s_last_moment_takes_the_floor() -> None:
    assert outcome(replace(SPEECH, silence=0.25, ended=True, remaining=0.1)) == "take_floor"


def test_endless_nods_take_the_floor_in_the_end() -> None:
    assert outcome(replace(SPEECH, text="yeah yeah yeah", voiced=2.1)) == "take_floor"


def test_a_recogniser_that_mishears_nods_costs_no_reply() -> None:
    nod = replace(SPEECH, text="in the", voiced=0.7, held=0.8, confidence=0.3)
    assert outcome(nod, CAUTIOUS) is None
    assert outcome(replace(nod, silence=0.25, ended=True), CAUTIOUS) == "backchannel"
    assert reconsider(replace(nod, silence=0.6, ended=True, text="you may choose", complete=True), CAUTIOUS) is None


def test_stop_takes_the_floor_also_from_a_recogniser_that_mishears() -> None:
    assert outcome(replace(SPEECH, text="stop"), CAUTIOUS) == "take_floor"


def test_a_phrase_that_a_doubtful_recogniser_is_sure_of_takes_the_floor() -> None:
    question = replace(SPEECH, text="what time is it", voiced=0.6, held=0.7, confidence=0.9)
    assert outcome(question, CAUTIOUS) == "take_floor"
    assert outcome(replace(question, confidence=0.3), CAUTIOUS) is None
    assert outcome(replace(question, text="what"), CAUTIOUS) is None


@pytest.mark.parametrize(
    ("text", "confidence", "voiced", "expected"),
    [
        ("Who was she?", 0.36, 0.5, "take_floor"),  # two words that are believed halfway
        ("who was she", 0.1, 0.5, None),  # a nod misheard, perhaps
        ("Big wire.", 0.01, 0.76, None),
        ("can eight yeah", 0.3, 0.81, None),  # a long "mhm", as the embedded recogniser hears it
        ("can eight yeah", 0.3, 0.85, "take_floor"),  # as long as anything that takes the floor
        ("I'm tired.", 0.07, 0.7, None),
        ("I see you.", 0.44, 0.68, None),  # a nod, and one word
        ("yeah okay right", 0.4, 0.84, None),  # three nods
        ("Mm-hmm, go on", 0.4, 0.8, None),
        ("Extension.", 0.5, 0.6, None),  # one word is more often a nod misheard
    ],
)
def test_two_words_beside_nods_take_the_floor_where_they_are_half_believed(
    text: str, confidence: float, voiced: float, expected: str | None
) -> None:
    sound = replace(SPEECH, text=text, confidence=confidence, voiced=voiced, held=voiced)
    assert outcome(sound, CAUTIOUS) == expected


@pytest.mark.parametrize("text", ["Goodbye.", "Cancelled.", "Oh, no, wait."])
def test_a_word_that_ends_the_matter_takes_the_floor_alone(text: str) -> None:
    assert outcome(replace(SPEECH, text=text, confidence=0.1), CAUTIOUS) == "take_floor"


def test_oh_no_is_a_remark_of_a_listener() -> None:
    assert outcome(replace(SPEECH, text="Oh, no.", confidence=0.1), CAUTIOUS) is None


def test_a_sound_that_was_judged_is_reopened_by_a_stop_that_is_sure_and_by_nothing_else() -> None:
    past = replace(SPEECH, silence=0.6, ended=True, complete=True)
    sure_stop = replace(past, text="oh please stop", confidence=0.9)
    assert reconsider(sure_stop, CAUTIOUS) is not None
    assert reconsider(replace(sure_stop, confidence=0.5), CAUTIOUS) is None
    assert reconsider(replace(sure_stop, text="what time is it"), CAUTIOUS) is None
    assert reconsider(replace(past, text="and memhome"), SETTINGS) is None


def test_a_short_sound_waits_within_bounds_for_a_recogniser_that_is_behind() -> None:
    short = replace(SPEECH, voiced=0.5, silence=0.3, ended=True, held=0.8, covered=False)
    assert outcome(short, CAUTIOUS) is None
    assert outcome(replace(short, covered=True), CAUTIOUS) == "backchannel"
    assert outcome(replace(short, covered=True, text="wait stop"), CAUTIOUS) == "take_floor"
    assert outcome(replace(short, silence=CAUTIOUS.words_within), CAUTIOUS) == "backchannel"
    assert outcome(replace(short, held=CAUTIOUS.decide_within + CAUTIOUS.silence_to_resume), CAUTIOUS) is not None
    assert outcome(replace(short, voiced=0.05), CAUTIOUS) == "noise"


def test_a_reply_let_go_on_is_given_up_once_it_is_certain_that_stop_was_said() -> None:
    past = replace(SPEECH, text="stop", silence=0.6, ended=True)
    assert reconsider(past, CAUTIOUS) is None
    assert reconsider(replace(past, complete=True), CAUTIOUS) is not None
    assert reconsider(replace(past, complete=True, level_db=-50), CAUTIOUS) is None


def test_words_count_for_nothing_where_they_are_not_trusted() -> None:
    assert outcome(replace(SPEECH, text="stop"), replace(SETTINGS, trust_words="none")) is None


sounds = st.builds(
    Sound,
    voiced=st.floats(0, 4),
    silence=st.one_of(st.just(0.0), st.floats(0, 2)),
    held=st.floats(0, 4),
    ended=st.booleans(),
    level_db=st.floats(-60, 0),
    text=st.sampled_from(["", "mhm", "stop", "blah", "yeah okay", "tell me more"]),
    covered=st.booleans(),
    echo=st.floats(0, 1),
)


@given(sounds)
def test_a_decision_is_made_in_bounded_time_and_says_why(sound: Sound) -> None:
    verdict = classify(sound, SETTINGS)
    if sound.held >= SETTINGS.decide_within + SETTINGS.silence_to_resume:
        assert verdict is not None
    if verdict is not None:
        assert all(verdict.reasons)
        assert verdict.reasons


@given(sounds)
def test_after_the_sound_a_short_silence_always_decides(sound: Sound) -> None:
    quiet = replace(sound, silence=max(sound.silence, SETTINGS.silence_to_resume, SETTINGS.words_within), ended=True)
    assert classify(quiet, SETTINGS) is not None


def test_half_a_nod_is_waited_for_while_the_recogniser_may_say_more() -> None:
    half = replace(SPEECH, text="I", silence=0.15, ended=True, voiced=0.5)
    assert outcome(half) is None
    assert outcome(replace(half, complete=True)) == "take_floor"


def test_doubtful_ears_that_hear_one_nod_in_a_long_sound_have_missed_the_rest() -> None:
    long = replace(SPEECH, text="fine", voiced=1.3, held=1.4)
    assert outcome(long, CAUTIOUS) == "take_floor"
    assert outcome(replace(long, text="yeah okay right"), CAUTIOUS) is None
    assert outcome(long) is None


@pytest.mark.parametrize("text", ["hey", "hello"])
def test_a_greeting_takes_the_floor_only_where_words_are_trusted(text: str) -> None:
    assert outcome(replace(SPEECH, text=text)) == "take_floor"
    assert outcome(replace(SPEECH, text=text), CAUTIOUS) is None


# --- what a model hears ------------------------------------------------------------------


@pytest.mark.parametrize(("wish", "voiced"), [(None, 0.85), (0.5, 0.85), (0.99, 0.61), (0.01, 1.21)])
def test_a_model_makes_the_floor_cost_less_or_more_speech(wish: float | None, voiced: float) -> None:
    speech = replace(SPEECH, wish=wish, held=0.9)
    assert outcome(replace(speech, voiced=voiced - 0.01)) is None
    assert outcome(replace(speech, voiced=voiced)) == "take_floor"


@pytest.mark.parametrize(
    ("sound", "decided"),
    [
        (replace(SPEECH, text="stop"), "take_floor"),
        (replace(SPEECH, text="mhm", silence=0.25, ended=True), "backchannel"),
        (replace(SPEECH, voiced=3.0, level_db=-44, held=1.0), "noise"),
        (replace(SPEECH, echo=0.8), "echo"),
        (Sound(voiced=0.008, silence=0.13, held=0.13, ended=True), "noise"),
    ],
)
@given(wish=st.floats(0, 1))
def test_no_model_decides_alone(sound: Sound, decided: str, wish: float) -> None:
    """A stop word, a nod, what is far away, an echo and a click are what they are, whatever it hears."""
    assert outcome(replace(sound, wish=wish)) == decided


def test_a_short_interruption_that_no_word_was_understood_of_is_one_where_a_model_hears_the_wish() -> None:
    over = replace(SPEECH, voiced=0.7, silence=0.25, ended=True)
    assert outcome(over) == "backchannel"
    assert outcome(replace(over, wish=0.97)) == "take_floor"


def test_the_log_says_what_a_model_heard_and_nothing_where_there_is_none() -> None:
    assert "wish" not in SPEECH.facts()
    assert replace(SPEECH, wish=0.71).facts()["wish"] == 0.71
