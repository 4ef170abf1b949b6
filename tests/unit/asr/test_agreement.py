from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from parley.asr.agreement import LocalAgreement, continuation, same

WORD = st.sampled_from(["tell", "me", "a", "long", "story", "please", "Story.", "the", "sea"])
WORDS = st.lists(WORD, max_size=8)


def test_a_word_is_stable_once_two_hypotheses_agree() -> None:
    agreement = LocalAgreement()
    assert agreement.update(["tell", "me", "us"]) == []
    assert agreement.update(["tell", "me", "a"]) == ["tell", "me"]
    assert agreement.tail == ["a"]


def test_case_and_punctuation_do_not_disagree() -> None:
    assert same("Story.", "story")
    agreement = LocalAgreement()
    agreement.update(["Hello,"])
    assert agreement.update(["hello", "there"]) == ["hello"]


def test_words_of_punctuation_alone_are_told_apart() -> None:
    assert not same("?", "!")


def test_a_later_hypothesis_that_rewrites_stable_words_only_continues_them() -> None:
    agreement = LocalAgreement()
    agreement.update(["tell", "me", "a"])
    agreement.update(["tell", "me", "a"])
    agreement.update(["sell", "me", "the", "story"])
    assert agreement.finish() == ["tell", "me", "a", "story"]


def test_what_was_left_behind_is_not_looked_for_again() -> None:
    agreement = LocalAgreement()
    agreement.update(["one", "two", "three"])
    agreement.update(["one", "two", "three"])
    agreement.forget(2)
    assert agreement.finish(["three", "four"]) == ["three", "four"]


@given(st.lists(WORDS, max_size=10))
def test_stable_words_only_ever_grow(hypotheses: list[list[str]]) -> None:
    agreement, history = LocalAgreement(), [[]]
    for hypothesis in hypotheses:
        agreement.update(hypothesis)
        history.append(list(agreement.stable))
    history.append(list(agreement.finish()))
    for before, after in pairwise(history):
        assert after[: len(before)] == before


@given(WORDS)
def test_the_same_hypothesis_twice_is_stable_whole(words: list[str]) -> None:
    agreement = LocalAgreement()
    agreement.update(words)
    agreement.update(words)
    assert agreement.stable == words
    assert agreement.tail == []


@given(WORDS, WORDS)
def test_a_hypothesis_that_begins_with_the_stable_words_is_continued_after_them(
    stable: list[str], rest: list[str]
) -> None:
    cut = continuation(stable, [*stable, *rest])
    assert [*stable, *rest][cut:] == rest


@given(WORDS, WORDS)
def test_the_continuation_lies_within_the_hypothesis(stable: list[str], hypothesis: list[str]) -> None:
    assert 0 <= continuation(stable, hypothesis) <= len(hypothesis)
