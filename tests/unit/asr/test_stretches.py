"""One turn in stretches: no word lost, none heard twice."""

import pytest

from parley.asr.decoder import RATE, Cut
from parley.asr.stretches import Stretches, certain
from parley.values import Transcript, TranscriptWord

ONE, TWO, THREE = TranscriptWord("one", 0.2, 0.5), TranscriptWord("two", 0.6, 0.9), TranscriptWord("three", 1.0, 1.4)


def spoken(seconds: float) -> Stretches:
    turn = Stretches()
    turn.add(bytes(range(256)) * (int(seconds * RATE) // 128))
    return turn


def test_the_last_word_may_be_the_beginning_of_a_longer_one() -> None:
    assert certain((ONE, TWO, THREE), 1.45) == ((ONE, TWO), 1.0)


def test_silence_after_the_last_word_shows_that_it_has_ended() -> None:
    words, end = certain((ONE, TWO), 1.3)
    assert words == (ONE, TWO)
    assert 0.9 < end < 1.3


def test_where_no_word_was_heard_the_newest_sound_is_kept() -> None:
    assert certain((), 3.0) == ((), 2.5)
    assert certain((), 0.2) == ((), 0.0)


def test_a_word_without_an_end_is_taken_at_last() -> None:
    assert certain((TranscriptWord("aaah", 0.1, 2.9),), 3.0)[1] == 3.0


def test_after_a_cut_the_audio_that_is_not_certain_comes_again() -> None:
    turn = spoken(2)
    first = turn.take(RATE)
    assert turn.cut(Cut(Transcript("one"), 6_000)) == RATE - 6_000
    assert turn.take(RATE - 6_000) == first[12_000:]


def test_words_before_a_cut_stand_before_the_others_with_their_times() -> None:
    turn = spoken(3)
    turn.take(RATE)
    turn.cut(Cut(Transcript("one", stable=3, words=(ONE,)), RATE // 2))
    turn.take(RATE)
    whole = turn.whole(Transcript("two", final=True, stable=3, words=(TranscriptWord("two", 0.1, 0.4),)))
    assert (whole.text, whole.stable, whole.final) == ("one two", 7, True)
    assert [(word.text, word.start) for word in whole.words] == [("one", 0.2), ("two", 0.6)]


def test_what_was_cut_off_is_stable() -> None:
    turn = spoken(3)
    turn.take(RATE)
    turn.cut(Cut(Transcript("one", stable=3), RATE // 2))
    assert turn.whole(Transcript("tw")).stable == 3
    assert turn.whole(Transcript("")) == Transcript("one", stable=3, covered=0.5)


def test_a_transcript_says_how_much_was_listened_to() -> None:
    turn = spoken(3)
    turn.take(RATE)
    turn.cut(Cut(Transcript(""), RATE // 2))
    turn.take(RATE)
    assert turn.whole(Transcript("two")).covered == 1.5


@pytest.mark.parametrize("cuts", [1, 3])
def test_when_a_decoder_dies_everything_since_the_last_cut_comes_again(cuts: int) -> None:
    turn = spoken(4)
    for _ in range(cuts):
        turn.take(RATE // 2)
        turn.cut(Cut(Transcript(""), RATE // 2))
    given = turn.take(RATE)
    assert turn.lost() == RATE
    assert turn.take(RATE) == given
