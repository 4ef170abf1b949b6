from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from parley.text.clauses import Clauses


def split(text: str, size: int = 3) -> list[str]:
    clauses = Clauses()
    pieces = [clause for at in range(0, len(text), size) for clause in clauses.add(text[at : at + size])]
    return pieces + clauses.finish()


def test_sentences_are_spoken_one_by_one() -> None:
    assert split("It is late. Good night! Sleep well.") == ["It is late. ", "Good night! ", "Sleep well."]


def test_the_first_clause_may_end_at_a_comma_and_the_others_not() -> None:
    assert split("Once upon a time, there was a king. He was old, tired, and alone.") == [
        "Once upon a time, ",
        "there was a king. ",
        "He was old, tired, and alone.",
    ]


def test_a_first_clause_is_not_a_single_word() -> None:
    assert split("Well, I do not know. Perhaps.") == ["Well, I do not know. ", "Perhaps."]


def test_numbers_and_abbreviations_stay_whole() -> None:
    assert split("Pi is 3.14 exactly. Dr. Smith, e.g. knows. Yes.") == [
        "Pi is 3.14 exactly. ",
        "Dr. Smith, e.g. knows. ",
        "Yes.",
    ]


def test_a_sentence_that_does_not_end_is_cut_between_words() -> None:
    pieces = split("word " * 200)
    assert max(map(len, pieces)) <= 250
    assert all(piece.endswith(" ") for piece in pieces)


def test_white_space_alone_is_not_spoken() -> None:
    assert split("  \n ") == []


@given(st.text(alphabet="ab .,!?\n1。", max_size=200), st.integers(1, 7))
def test_no_character_is_lost_however_the_deltas_fall(text: str, size: int) -> None:
    joined = "".join(split(text, size))
    assert joined == text or (text.startswith(joined) and not text[len(joined) :].strip())
