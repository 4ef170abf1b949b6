"""How written text is spoken: a hundred texts in four languages, and what holds for any text."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from parley.errors import ConfigError, InvalidRequest
from parley.text.sentences import Sentences
from parley.text.speech.lexicon import EMPTY, Lexicon, check_lexicon, parse_lexicon
from parley.text.speech.normaliser import Normaliser, has_words, seam
from parley.text.speech.numerals import ENGLISH, FRENCH, GERMAN, SPANISH
from parley.text.speech.spoken import Spoken
from parley.worker.words import words

TEXTS = [
    (language, entry["written"], entry["spoken"])
    for language, entries in yaml.safe_load(Path(__file__).with_name("spoken_texts.yaml").read_text("utf-8")).items()
    for entry in entries
]


def pieces(
    text: str, language: str, size: int = 10_000, lexicon: Lexicon = EMPTY, phonemes: str = ""
) -> list[tuple[int, Spoken]]:
    """The pieces that a voice is given, each with its place in the text, as the text comes in deltas."""
    splitter, normaliser = Sentences(language, first_clause=12), Normaliser(language, lexicon, phonemes=phonemes)
    found, at = [], 0
    deltas = [text[start : start + size] for start in range(0, len(text), size)]
    for piece in itertools.chain(*map(splitter.add, deltas), splitter.finish()):
        found.append((at, normaliser.piece(piece)))
        at += len(piece)
    return found


def said(text: str, language: str = "en", size: int = 10_000, **how: str) -> str:
    lexicon = parse_lexicon(how.pop("lexicon", ""))
    return "".join(spoken.text for _, spoken in pieces(text, language, size, lexicon, **how))


def marked(text: str, language: str) -> list[tuple[int, int]]:
    """Where the written words stand that are spoken, in the order in which they are."""
    return [
        (at + first, at + last)
        for at, spoken in pieces(text, language)
        for start, end in words(spoken.text)
        for first, last in [spoken.written(start, end)]
    ]


def test_there_are_25_texts_in_each_of_four_languages() -> None:
    languages = [language for language, _, _ in TEXTS]
    assert {language: languages.count(language) for language in languages} == {
        "en-US": 25,
        "de": 25,
        "es": 25,
        "fr": 25,
    }


@pytest.mark.parametrize(("language", "written", "expected"), TEXTS)
def test_a_text_is_spoken_as_people_say_it(language: str, written: str, expected: str) -> None:
    assert said(written, language) == expected


@pytest.mark.parametrize(("language", "written", "expected"), TEXTS)
def test_it_is_spoken_the_same_in_deltas_of_any_size(language: str, written: str, expected: str) -> None:
    for size in range(1, 8):
        assert said(written, language, size) == expected


@pytest.mark.parametrize(("language", "written", "expected"), TEXTS)
def test_every_spoken_word_stands_for_written_ones_in_their_order(language: str, written: str, expected: str) -> None:
    spans = marked(written, language)
    assert all(0 <= first < last <= len(written) for first, last in spans)
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in itertools.pairwise(spans))
    assert all(a == b or a[1] <= b[0] for a, b in itertools.pairwise(spans))


MARKUP = st.lists(
    st.sampled_from(
        ["**", "*", "_", "`", "```\n", "# ", "- ", "| ", "[", "](http://a.b/c)", "](", ")", "![", "<b>", "&amp;", "~~",
         "\n", "word ", "Word. ", "5", "1,234.50", "1.234,50 ", "$", " €", "%", "3. ", "Oktober ", "p.m. ", "5:30 ",
         "-", "–", "/", "a@b.com ", "www.x.de/y ", "😀", "…", "XIV ", "Louis ", "[^1]", "½", "°C ", "12/25/2026 ",
         "+1 555 123 4567 ", "é"]
    ),
    max_size=25,
).map("".join)  # fmt: skip


@given(MARKUP | st.text(max_size=120), st.sampled_from(["en", "en-US", "de", "es", "fr", "it", ""]), st.integers(1, 7))
def test_any_text_is_spoken_the_same_however_it_comes_and_its_marks_are_in_order(
    text: str, language: str, size: int
) -> None:
    assert said(text, language, size) == said(text, language)
    spans = marked(text, language)
    assert all(0 <= first < last <= len(text) for first, last in spans)
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in itertools.pairwise(spans))


@pytest.mark.parametrize(
    "text", ["...", "***", "---", "😀", "👍🏽 !", "“…”", "\n\n", "```\nx = 1\n```", "![](a.png)", "| --- | --- |"]
)
def test_there_is_nothing_to_say_in_marks_alone(text: str) -> None:
    assert not any(spoken.says_something for _, spoken in pieces(text, "en"))
    assert not has_words(text)


@pytest.mark.parametrize("text", ["Yes", "5 €", "**a**", "[docs](http://a.b)", "...so", "你好", "```\nx\n```\nThere."])
def test_there_is_something_to_say_in_words(text: str) -> None:
    assert has_words(text)


def test_a_link_is_its_words_and_they_stand_for_all_of_it() -> None:
    text = "See [the docs](http://a.b) now."
    assert said(text) == "See the docs now."
    assert [text[first:last] for first, last in marked(text, "en")] == ["See", "the", "docs](http://a.b)", "now"]


def test_a_block_of_code_is_for_the_eye_until_it_ends() -> None:
    assert said("So:\n```sh\nls -l | wc\n\nfoo. bar\n```\nDone.") == "So:\nDone."


def test_other_languages_keep_their_digits_and_lose_their_marks() -> None:
    assert said("Vai su https://www.esempio.it **subito** alle 5 😀.", "it") == "Vai su esempio.it subito alle 5 ."
    assert said("今日は**3時**です。", "ja") == "今日は3時です。"


@pytest.mark.parametrize(
    ("language", "written", "expected"),
    [
        ("en-GB", "On 3/4/2026.", "On April third, twenty twenty-six."),
        ("en-US", "On 3/4/2026.", "On March fourth, twenty twenty-six."),
        ("en", "On 13/4/2026.", "On April thirteenth, twenty twenty-six."),
        ("es-MX", "Son 1,234.50 y 3.14.", "Son mil doscientos treinta y cuatro punto cincuenta y tres punto catorce."),
        ("es-MX", "Cuesta $1,500.", "Cuesta mil quinientos dólares."),
        ("de-CH", "Das macht 3.50 CHF.", "Das macht drei Franken fünfzig."),
    ],
)
def test_the_region_decides_where_the_language_does_not(language: str, written: str, expected: str) -> None:
    assert said(written, language) == expected


def test_a_date_that_may_be_two_days_is_read_as_its_numbers() -> None:
    assert "April" not in said("On 3/4/2026.", "en")
    assert "March" not in said("On 3/4/2026.", "en")


@pytest.mark.parametrize(
    ("number", "english", "german", "spanish", "french"),
    [
        (0, "zero", "null", "cero", "zéro"),
        (17, "seventeen", "siebzehn", "diecisiete", "dix-sept"),
        (21, "twenty-one", "einundzwanzig", "veintiuno", "vingt et un"),
        (80, "eighty", "achtzig", "ochenta", "quatre-vingts"),
        (99, "ninety-nine", "neunundneunzig", "noventa y nueve", "quatre-vingt-dix-neuf"),
        (101, "one hundred one", "einhunderteins", "ciento uno", "cent un"),
        (1_000, "one thousand", "tausend", "mil", "mille"),
        (21_500, "twenty-one thousand five hundred", "einundzwanzigtausendfünfhundert", "veintiún mil quinientos",
         "vingt et un mille cinq cents"),
        (2_000_001, "two million one", "zwei Millionen eins", "dos millones uno", "deux millions un"),
    ],
)  # fmt: skip
def test_numbers_are_words(number: int, english: str, german: str, spanish: str, french: str) -> None:
    grammars = (ENGLISH, GERMAN, SPANISH, FRENCH)
    assert [numerals.cardinal(number) for numerals in grammars] == [english, german, spanish, french]


@given(
    st.lists(
        st.sampled_from(["```", "~~~py", "\n", "x = 1", " ", "It is so.", "| a |", "| --- |", "***", "..."]), max_size=8
    )
)
def test_what_is_said_apart_is_heard_whatever_stands_before_it(before: list[str]) -> None:
    text = "".join(before)
    spoken = "".join(piece.text for _, piece in pieces(f"{text}{seam(text)}I am sorry.", "en"))
    assert "I am sorry" in spoken
    assert seam("") == ""
    assert seam("Well.") == " "


@given(st.integers(0, 10**15 - 1))
def test_every_number_has_words_in_every_language(number: int) -> None:
    for numerals in (ENGLISH, GERMAN, SPANISH, FRENCH):
        for form in (numerals.cardinal, numerals.ordinal, numerals.before_noun, numerals.feminine):
            said = form(number)
            assert said == said.strip()
            assert not any(character.isdigit() for character in said)


# --- lexicon -----------------------------------------------------------------------------


def test_a_word_of_the_lexicon_is_respelled_and_keeps_its_place() -> None:
    text = "Ask Nguyen, not NGUYEN."
    lexicon = parse_lexicon("Nguyen = win")
    assert said(text, lexicon="Nguyen = win") == "Ask win, not NGUYEN."
    (_, spoken), *_ = pieces(text, "en", lexicon=lexicon)
    start = spoken.text.index("win")
    assert spoken.written(start, start + 3) == (4, 10)


def test_a_word_in_lower_case_stands_for_all_its_spellings() -> None:
    assert said("SQL and Sql.", lexicon="sql = sequel") == "sequel and sequel."


def test_sounds_are_for_voices_that_take_them() -> None:
    assert said("Ask Nguyen.", lexicon="Nguyen = win /ŋwiən/", phonemes="[[{}]]") == "Ask [[ŋwiən]]."
    assert said("Ask Nguyen.", lexicon="Nguyen = win /ŋwiən/") == "Ask win."
    assert said("Ask Nguyen.", lexicon="Nguyen = /ŋwiən/") == "Ask Nguyen."


def test_lexicons_lie_over_each_other() -> None:
    lexicon = parse_lexicon("a b = one; GIF = jif").over(parse_lexicon("GIF = gif\nTLA = tee el ay"))
    assert lexicon.words["GIF"].spelled == "jif"
    assert lexicon.words["TLA"].spelled == "tee el ay"


@pytest.mark.parametrize("text", ["just words", "a = /b", "= b", "x = " + "y" * 500])
def test_a_mistake_in_a_lexicon_is_named(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^The lexicon's entry"):
        parse_lexicon(text)


def test_a_mistake_in_the_settings_names_the_setting() -> None:
    with pytest.raises(ConfigError, match=r"worker\.text\.lexicon can not be read: The lexicon's entry 'x'"):
        check_lexicon("x", "worker.text.lexicon")


def test_a_lexicon_is_bounded() -> None:
    with pytest.raises(InvalidRequest, match="at most 2000"):
        parse_lexicon("\n".join(f"w{n} = x" for n in range(2_001)))
