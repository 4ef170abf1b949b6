"""The one splitter: where a sentence ends, in many languages, however the text comes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.text.abbreviations import LANGUAGES
from parley.text.sentences import LONGEST, Sentences, ends_sentence, sentences


def split(text: str, language: str = "en", size: int = 3, first_clause: int = 0) -> list[str]:
    splitter = Sentences(language, first_clause=first_clause)
    pieces = [piece for at in range(0, len(text), size) for piece in splitter.add(text[at : at + size])]
    return pieces + splitter.finish()


def cut(text: str, language: str = "en") -> str:
    """The text with a stroke where it is cut."""
    return " | ".join(piece.strip() for piece in split(text, language))


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "It is late. | Good night! | Sleep well."),
        ("en", "He lives in the U.S. today. | The U.S. Army left. | She is in the U.S. | The end."),
        ("en", "We met at 5 p.m. on Sept. 3 in Rome. | It was 5 p.m. | We left."),
        ("en", "Gen. Lee met Dr. Smith vs. Mrs. Jones. | Yes."),
        ("en", "Acme Inc. and Co. went. | I work at Acme Inc. | It pays."),
        ("en", '"Stop!" and left. | "Go!" | He went. | She said "stop." | Then left.'),
        ("en", "J. R. Hartley wrote it. | It is plan B. | The next one. | Is it No. 5? | No. | It is not."),
        ("en", "It costs 3.50 dollars at example.com. | Cheap."),
        ("en", "1. First thing. | Second.\n | 2. Next."),
        ("en", "one line\n | another"),
        ("en", "See [the docs. All of them](http://a.b/c.d) first. | Then go."),
        ("en", "Use `a. b` here. | Done."),
        ("de", "Am 3. Oktober im 20. Jahrhundert. | Es waren 3. | Dann gingen wir."),
        ("de", "Das ist bzw. war ca. 5 km, z.B. hier, z. B. da usw. | Das ist gut. | Nr. 5 lebt."),
        ("de", "„Halt!“ rief er. | Gut."),
        ("fr", "M. Dupont est là, p. ex. avec Mme. Durand. | Il dort."),
        ("es", "El Sr. Pérez vive en EE.UU. desde ayer. | ¿Qué tal? | ¡Bien!"),
        ("it", "Il Dott. Rossi dorme. | Ecco."),
        ("nl", "Dat is bijv. goed. | Ja."),
        ("pl", "To jest np. dom. | Tak."),
        ("hi", "नमस्ते। | आप कैसे हैं? | मैं ठीक हूँ।"),
        ("ur", "آپ کیسے ہیں؟ | میں ٹھیک ہوں۔ | شکریہ"),
        ("ar", "كيف حالك؟ | بخير."),
        ("hy", "Բարև։ | Լավ։"),
        ("am", "ሰላም። | እንዴት ነህ።"),
        ("my", "မင်္ဂလာပါ။ | ကောင်းပါတယ်။"),
        ("el", "Γεια. | Καλά."),
    ],
)
def test_a_text_is_cut_where_its_sentences_end(language: str, text: str) -> None:
    expected = [piece.strip() for piece in text.split("|")]
    joined = text.replace("\n | ", "\n").replace(" | ", " ")
    assert [piece.strip() for piece in split(joined, language)] == expected


def test_chinese_and_japanese_need_no_space_behind_an_end() -> None:
    assert split("你好。今天很好！我们去「公园」吧？！」好的。", "zh") == [
        "你好。",
        "今天很好！",
        "我们去「公园」吧？！」",
        "好的。",
    ]
    assert split("はい。そうです。", "ja") == ["はい。", "そうです。"]


def test_a_hindi_reply_is_spoken_before_it_is_written_to_its_end() -> None:
    assert Sentences("hi").add("नमस्ते। आप कैसे") == ["नमस्ते। "]


def test_a_plain_sentence_does_not_wait_for_the_next_word() -> None:
    assert Sentences("en").add("It is late. ") == ["It is late. "]


def test_the_first_clause_may_end_at_a_comma_and_the_others_not() -> None:
    assert split("Once upon a time, there was a king. He was old, tired, and alone.", first_clause=12) == [
        "Once upon a time, ",
        "there was a king. ",
        "He was old, tired, and alone.",
    ]


def test_a_first_clause_is_not_a_single_word() -> None:
    assert split("Well, I do not know. Perhaps.", first_clause=12) == ["Well, I do not know. ", "Perhaps."]


def test_a_first_piece_with_a_bound_ends_between_words_and_the_others_do_not() -> None:
    text = "It will be cold and clear in the mountains tomorrow morning. Take a coat."
    for size in (1, 3, 200):
        splitter = Sentences("en", first_clause=12, first_longest=24)
        pieces = [piece for at in range(0, len(text), size) for piece in splitter.add(text[at : at + size])]
        pieces += splitter.finish()
        assert pieces == ["It will be cold and ", "clear in the mountains tomorrow morning. ", "Take a coat."]


def test_a_first_clause_ends_in_no_date() -> None:
    assert split("It was Sept. 3, 2026, when we met.", first_clause=12) == ["It was Sept. 3, 2026, ", "when we met."]


def test_white_space_alone_is_not_spoken() -> None:
    assert split("  \n ") == []


def test_a_sentence_that_never_ends_is_cut_at_a_comma_or_a_space() -> None:
    for text, end in (("and so on, " * 100, ", "), ("word " * 200, " ")):
        pieces = split(text)
        assert max(map(len, pieces)) <= LONGEST
        assert all(piece.endswith(end) for piece in pieces)


def test_thai_is_cut_at_a_space_after_some_ninety_characters() -> None:
    assert 60 < len(split("สวัสดีครับ ผมชื่อ " * 20, "th")[0]) <= 90


@pytest.mark.parametrize("text", ["กำ" * 400, "한국어" * 200, "x" * 900, "👨‍👩‍👧" * 200, "漢字" * 300])
def test_what_has_neither_ends_nor_spaces_is_cut_between_whole_characters(text: str) -> None:
    pieces = split(text)
    assert "".join(pieces) == text
    assert max(map(len, pieces)) <= LONGEST
    assert not any(piece[0] in "ำ\u200d" for piece in pieces)


TEXTS = st.text(alphabet="ab Dr.,!?\n1。”\"।[](`é", max_size=300) | st.lists(
    st.sampled_from(
        ["Dr. ", "U.S. ", "The ", "usw. ", "3. ", "Oktober ", "5 p.m. ", "he. ", '"Stop!" ', "and ", "Inc. ", "word, ",
         "[a. b](c) ", "...", "\n", "你好。", "no end ", "กขค", "Sept. 3, 2026, "]
    ),
    max_size=80,
).map("".join)  # fmt: skip


@given(TEXTS, st.sampled_from(["", *LANGUAGES]), st.integers(1, 7), st.sampled_from([0, 12]))
def test_pieces_do_not_depend_on_the_deltas_and_are_the_text(
    text: str, language: str, size: int, first_clause: int
) -> None:
    pieces = split(text, language, size, first_clause)
    assert pieces == split(text, language, 10_000, first_clause)
    joined = "".join(pieces)
    assert joined == text or (text.startswith(joined) and not text[len(joined) :].strip())


@given(TEXTS, st.sampled_from(["en", "de", "zh"]))
def test_a_piece_is_not_split_again(text: str, language: str) -> None:
    for piece in split(text, language, 4, first_clause=12):
        assert len(sentences(piece, language)) == 1


@given(st.text(max_size=900))
def test_spans_hold_every_character_but_white_space(text: str) -> None:
    spans = sentences(text)
    kept = "".join(text[start:end] for start, end in spans)
    assert "".join(kept.split()) == "".join(text.split())
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("It is. ", True), ('"Stop!" ', True), ("你好。", True), ("Title\n", True), ("Well, ", False), ("and so ", False)],
)
def test_a_sentence_is_told_from_a_clause(text: str, expected: bool) -> None:
    assert ends_sentence(text) is expected
