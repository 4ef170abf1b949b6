from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.session.decide.endpointing import Evidence, PauseHabits, completeness, wait_for
from parley.session.decide.lexicon import lexicon
from parley.session.decide.melody import Melody
from parley.session.settings import EndpointingSettings

SETTINGS = EndpointingSettings()
DOUBTFUL = 0.3
FALL, HELD, RISE = Melody(-0.2, -2.0), Melody(0.5, 1.5), Melody(1.0, 2.0)


@pytest.mark.parametrize("text", ["What time is it?", "Tell me a long story.", "yes.", "Yes", "Goodbye!"])
def test_a_whole_sentence_ends_the_turn_soon(text: str) -> None:
    wait = wait_for(Evidence(text, "en"), PauseHabits(), SETTINGS)
    assert wait.likely
    assert wait.seconds == pytest.approx(SETTINGS.min_delay, abs=0.03)


@pytest.mark.parametrize("text", ["what time is it", "stop talking for a moment", "i wonder what time it is"])
def test_words_of_a_recogniser_that_sets_no_full_stops_are_weighed_with_the_melody(text: str) -> None:
    flat, fallen = (wait_for(Evidence(text, "en", 1.0, m), PauseHabits(), SETTINGS).seconds for m in (None, FALL))
    assert flat == pytest.approx(SETTINGS.delay, abs=0.02)
    assert SETTINGS.min_delay <= fallen < flat - 0.05


@pytest.mark.parametrize(
    "text",
    ["I would like to", "tell me about", "could you please", "my question is", "i was thinking that", "let me see the"],
)
def test_half_a_sentence_is_waited_for(text: str) -> None:
    wait = wait_for(Evidence(text, "en"), PauseHabits(), SETTINGS)
    assert wait.seconds == SETTINGS.max_delay
    assert not wait.likely


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("I would like to.", "unfinished"),
        ("Could you please?", "unfinished"),
        ("I was thinking that.", "unfinished"),
        ("What are you looking for?", "unsure"),
        ("I know where it comes from.", "unsure"),
        ("Tell me what it is.", "complete"),
    ],
)
def test_a_mark_behind_half_a_sentence_does_not_make_it_whole(text: str, reason: str) -> None:
    assert wait_for(Evidence(text, "en"), PauseHabits(), SETTINGS).reason == reason


def test_without_words_nobody_knows() -> None:
    assert completeness("") is None
    assert wait_for(Evidence("", "en"), PauseHabits(), SETTINGS).seconds == SETTINGS.delay


@pytest.mark.parametrize("probability", [0.0, 0.3, 0.9, 1.0])
def test_words_that_break_off_and_words_that_are_surely_complete_keep_their_say(probability: float) -> None:
    """A turn model takes half of the pauses inside a sentence for its end, and one-word answers for a beginning."""
    broken = wait_for(Evidence("I would like to", "en", probability=probability), PauseHabits(), SETTINGS)
    complete = wait_for(Evidence("What time is it?", "en", probability=probability), PauseHabits(), SETTINGS)
    assert broken.reason == "unfinished"
    assert complete.reason in ("complete", "unsure")


def test_a_turn_model_that_hears_no_end_makes_the_wait_longer() -> None:
    """Recognisers put a full stop behind whatever they hear."""
    heard = [
        wait_for(Evidence("That conference is now.", "en", 0.6, None, p), PauseHabits(), SETTINGS) for p in (0.9, 0.05)
    ]
    assert heard[0].seconds < heard[1].seconds


@pytest.mark.parametrize(
    ("text", "confidence", "length"),
    [
        ("Tuesday.", 0.03, 0.7), ("Yes,", 0.64, 0.5), ("yes", 0.3, 0.5), ("On Tuesday.", 0.3, 0.9), ("60.", 0.03, 0.6),
        ("Good night.", 0.1, 0.8), ("Yes, please.", 0.3, 0.9),
    ],
)  # fmt: skip
def test_a_whole_answer_of_a_word_or_two_needs_no_doubtful_delay(text: str, confidence: float, length: float) -> None:
    wait = wait_for(Evidence(text, "en", confidence, length=length), PauseHabits(), SETTINGS)
    assert wait.likely
    assert wait.seconds < SETTINGS.delay + 0.05


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Okay.", "en"), ("Oh.", "en"), ("right", "en"), ("I know.", "en"), ("Ah, okay.", "en"), ("Ach so.", "de"),
        ("Voilà.", "fr"), ("Entiendo.", "es"), ("Capisco.", "it"), ("了解", "zh"), ("なるほど", "ja"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("melody", [None, FALL, HELD])
@pytest.mark.parametrize("confidence", [0.02, 1.0])
def test_a_nod_alone_is_waited_for_as_if_nothing_were_known(
    text: str, language: str, melody: Melody | None, confidence: float
) -> None:
    """It opens a turn as often as it is one."""
    wait = wait_for(Evidence(text, language, confidence, melody, length=0.6), PauseHabits(), SETTINGS)
    assert wait.seconds == SETTINGS.delay
    assert wait.likely


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Yes.", "en"), ("Oh yeah.", "en"), ("No.", "en"), ("Sure.", "en"), ("Tuesday.", "en"), ("Ja, genau.", "de"),
        ("Oui.", "fr"), ("Sí.", "es"), ("Sì, certo.", "it"), ("はい", "ja"), ("对对", "zh"), ("Да.", "ru"),
    ],
)  # fmt: skip
def test_a_nod_that_answers_a_question_is_a_whole_turn(text: str, language: str) -> None:
    wait = wait_for(Evidence(text, language, length=0.6), PauseHabits(), SETTINGS)
    assert wait.seconds == pytest.approx(SETTINGS.min_delay, abs=0.03)


@pytest.mark.parametrize("text", ["Okay, what time is it?", "Right, next to the door.", "I see it."])
def test_what_goes_on_behind_a_nod_is_judged_as_a_sentence(text: str) -> None:
    wait = wait_for(Evidence(text, "en", length=1.4), PauseHabits(), SETTINGS)
    assert wait.seconds == pytest.approx(SETTINGS.min_delay, abs=0.03)


@given(st.sampled_from(sorted(lexicon("en").backchannels - lexicon("en").answers)), st.floats(0, 1), st.floats(0, 1))
def test_no_nod_ends_a_turn_sooner_than_an_answer(nod: str, confidence: float, probability: float) -> None:
    waits = [
        wait_for(Evidence(text, "en", confidence, None, probability, length=0.5), PauseHabits(), SETTINGS).seconds
        for text in ("Yes.", f"{nod}.")
    ]
    assert waits[0] <= waits[1]


def test_somebody_who_pauses_long_behind_a_nod_is_given_longer() -> None:
    slow = PauseHabits()
    for _ in range(5):
        slow.paused(0.8)
    assert wait_for(Evidence("Okay.", "en", length=0.5), slow, SETTINGS).seconds > 0.8


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("the", 0.3), ("um", 0.4), ("I think", 0.6), ("tell me", 0.5), ("to", 0.3),  # nothing whole
        ("Well...", 0.5), ("Mother -", 0.5),  # trails off
        ("555 12", 0.9), ("20 30", 0.9),  # a number in groups
        ("Questions", 1.4),  # too long for one word
        ("fifty see", 0.8), ("good night", 0.8),  # two words of a recogniser that sets no full stops
    ],
)  # fmt: skip
def test_a_word_or_two_that_is_no_whole_answer_is_waited_for(text: str, length: float) -> None:
    wait = wait_for(Evidence(text, "en", 0.3, length=length), PauseHabits(), SETTINGS)
    assert wait.seconds > SETTINGS.delay + 0.1


@pytest.mark.parametrize("text", ["i love life too", "tell me a how what", "can you please", "fifty see"])
def test_doubtful_words_and_a_held_voice_are_given_the_doubtful_delay(text: str) -> None:
    wait = wait_for(Evidence(text, "en", DOUBTFUL, HELD, length=0.9), PauseHabits(), SETTINGS)
    assert wait.seconds >= SETTINGS.doubtful_delay


def test_the_wait_grows_gradually_as_the_end_becomes_less_likely() -> None:
    waits = [
        wait_for(Evidence("That conference is", "en", 0.6, None, p / 1000), PauseHabits(), SETTINGS).seconds
        for p in range(40, 500)
    ]
    assert waits == sorted(waits, reverse=True)
    assert all(longer - shorter < 0.05 for longer, shorter in itertools.pairwise(waits))


def test_a_turn_model_says_nothing_of_an_answer_of_one_word() -> None:
    alone, rated = Evidence("Tuesday", "en", 0.4), Evidence("Tuesday", "en", 0.4, None, 0.02)
    assert wait_for(alone, PauseHabits(), SETTINGS) == wait_for(rated, PauseHabits(), SETTINGS)


@given(st.text(max_size=40), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_turn_model_that_is_surer_of_the_end_never_makes_the_wait_longer(
    text: str, confidence: float, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    waits = [wait_for(Evidence(text, "en", confidence, None, p), PauseHabits(), SETTINGS).seconds for p in (high, low)]
    assert waits[0] <= waits[1]


def test_the_longer_somebody_has_spoken_the_longer_a_whole_sentence_is_waited_out() -> None:
    """Another may follow: between two sentences people sound as finished as at the end of their turn."""
    lengths = (0.5, 1.75, 2.5, 3.0, 4.0, 8.0, 30.0)
    waits = [
        wait_for(Evidence("Your call is important to us.", "en", length=length), PauseHabits(), SETTINGS)
        for length in lengths
    ]
    seconds = [wait.seconds for wait in waits]
    assert all(wait.likely for wait in waits)
    assert seconds[0] == seconds[1] == pytest.approx(SETTINGS.min_delay)
    assert seconds[1:] == sorted(seconds[1:])
    assert seconds[4] - seconds[0] == pytest.approx(0.55 * (SETTINGS.sentence_delay - SETTINGS.min_delay), abs=0.01)
    assert seconds[-2] == seconds[-1] == pytest.approx(SETTINGS.sentence_delay)


def test_what_is_learnt_of_somebodys_pauses_takes_the_place_of_the_silence_between_sentences() -> None:
    slow, quick = PauseHabits(), PauseHabits()
    for _ in range(5):
        slow.paused(0.8)
        quick.paused(0.1)
    evidence = Evidence("Your call is important to us.", "en", length=10.0)
    waits = [wait_for(evidence, habits, SETTINGS).seconds for habits in (quick, PauseHabits(), slow)]
    assert waits[0] == pytest.approx(SETTINGS.min_delay)
    assert waits[1] == pytest.approx(SETTINGS.sentence_delay)
    assert waits[2] > 0.8


@given(st.text(max_size=40), st.floats(0, 1), st.floats(0, 60), st.floats(0, 60))
def test_who_has_spoken_longer_is_never_given_less(text: str, confidence: float, one: float, other: float) -> None:
    def wait(length: float) -> float:
        # Whole answers of a word or two are judged by their length as well.
        evidence = Evidence(f"{text} and this is what I said", "en", confidence, length=length)
        return wait_for(evidence, PauseHabits(), SETTINGS).seconds

    assert wait(min(one, other)) <= wait(max(one, other))


def test_how_long_somebody_has_spoken_does_not_add_to_a_doubt() -> None:
    """Whichever asks for the longer silence has it."""
    short, long = (
        wait_for(Evidence("all my questions", "en", DOUBTFUL, HELD, length=length), PauseHabits(), SETTINGS)
        for length in (1.2, 8.0)
    )
    assert short == long


@pytest.mark.parametrize("text", ["what can you do", "can you say your voice", "where is my station", "are you sure"])
def test_a_question_that_rises_in_the_upper_half_is_over(text: str) -> None:
    """A misheard one too; of any other words such a rise says that more is to come."""
    rising = Melody(0.6, 2.5)
    asked = wait_for(Evidence(text, "en", DOUBTFUL, rising, length=0.9), PauseHabits(), SETTINGS)
    told = wait_for(Evidence("change your voice", "en", DOUBTFUL, rising, length=0.9), PauseHabits(), SETTINGS)
    assert asked.seconds < SETTINGS.delay
    assert told.seconds > SETTINGS.doubtful_delay - 0.05


@pytest.mark.parametrize("text", ["could you please", "can you", "what about", "where is the"])
def test_a_question_that_breaks_off_is_not_over_because_it_rises(text: str) -> None:
    wait = wait_for(Evidence(text, "en", 1.0, Melody(0.6, 2.5), length=0.9), PauseHabits(), SETTINGS)
    assert wait.seconds == SETTINGS.max_delay


def test_a_voice_that_falls_in_part_ends_a_doubtful_turn_in_part() -> None:
    waits = [
        wait_for(Evidence("all my questions", "en", DOUBTFUL, Melody(place / 100, -2.0)), PauseHabits(), SETTINGS)
        for place in range(-10, 21)
    ]
    seconds = [wait.seconds for wait in waits]
    assert seconds == sorted(seconds)
    assert seconds[0] < SETTINGS.delay
    assert seconds[-1] > SETTINGS.doubtful_delay - 0.05
    assert all(longer - shorter < 0.12 for shorter, longer in itertools.pairwise(seconds))


def test_somebody_who_pauses_long_is_given_longer() -> None:
    slow, quick = PauseHabits(), PauseHabits()
    for _ in range(5):
        slow.paused(0.8)
        quick.paused(0.1)
    waits = [wait_for(Evidence("", "en"), habits, SETTINGS).seconds for habits in (slow, PauseHabits(), quick)]
    assert waits == sorted(waits, reverse=True)
    assert waits[0] > 0.8
    assert waits[2] >= SETTINGS.min_delay


@pytest.mark.parametrize(
    ("text", "confidence", "melody", "reason"),
    [
        ("tell me a twelve", 1.0, HELD, "complete"),
        ("tell me a twelve", DOUBTFUL, HELD, "doubtful"),
        ("tell me a twelve", DOUBTFUL, None, "doubtful"),
        ("with the what i just said", DOUBTFUL, FALL, "complete"),
        ("what i read it", DOUBTFUL, RISE, "complete"),
        ("what time is it", 1.0, HELD, "complete"),
        ("i would like to", 1.0, HELD, "unfinished"),
        ("i would like to", DOUBTFUL, FALL, "doubtful"),
        ("all my questions", DOUBTFUL, HELD, "doubtful"),
    ],
)
def test_words_that_may_be_misheard_are_weighed_with_the_melody(
    text: str, confidence: float, melody: Melody | None, reason: str
) -> None:
    wait = wait_for(Evidence(text, "en", confidence, melody), PauseHabits(), SETTINGS)
    assert wait.reason == reason
    if reason == "doubtful":
        assert SETTINGS.delay < wait.seconds < SETTINGS.max_delay


EVIDENCE = st.builds(
    Evidence,
    text=st.text(max_size=60),
    language=st.just("en"),
    confidence=st.floats(0, 1),
    melody=st.one_of(st.none(), st.builds(Melody, st.floats(-2, 3), st.floats(-12, 12))),
    probability=st.one_of(st.none(), st.floats(0, 1)),
)


@given(EVIDENCE, st.lists(st.floats(0, 30), max_size=20))
def test_the_wait_stays_within_its_bounds(evidence: Evidence, pauses: list[float]) -> None:
    habits = PauseHabits()
    for pause in pauses:
        habits.paused(pause)
    assert SETTINGS.min_delay <= wait_for(evidence, habits, SETTINGS).seconds <= SETTINGS.max_delay


@given(st.text(max_size=40), st.floats(0, 1))
def test_a_fall_never_makes_the_wait_longer_than_a_held_voice(text: str, confidence: float) -> None:
    waits = [wait_for(Evidence(text, "en", confidence, m), PauseHabits(), SETTINGS).seconds for m in (FALL, HELD)]
    assert waits[0] <= waits[1]
