"""Tags of one language in many spellings, and the nearest one where there is no equal."""

from __future__ import annotations

import pytest

from parley.text.languages import best, distance, nearness, parse, primary, speaks


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("zh", "cmn"),
        ("zh-CN", "cmn-CN"),
        ("zh_CN", "zh-cn"),
        ("no", "nb"),
        ("nb-NO", "no-NO"),
        ("iw", "he"),
        ("in", "id"),
        ("jw", "jv"),
        ("tl", "fil"),
        ("deu", "de"),
        ("zh-cmn-Hans", "zh-Hans"),
        ("zh-yue", "yue"),
        ("zh-HK", "yue-HK"),
    ],
)
def test_spellings_of_one_language_are_the_same(one: str, other: str) -> None:
    assert distance(one, other) == distance(other, one) == 0


@pytest.mark.parametrize(
    ("languages", "wanted", "expected"),
    [
        (("cmn",), "zh", True),
        (("cmn",), "zh-CN", True),
        (("nb",), "no", True),
        (("nb",), "nn", True),
        (("nn",), "no", False),
        (("en-US",), "en-GB", True),
        (("de-DE",), "de-AT", True),
        (("sr-Latn",), "sr-Cyrl", True),
        (("yue",), "zh", False),
        (("en",), "de", False),
        (("de", "fr"), "fr-CA", True),
        ((), "de", True),
        (("de",), "", True),
    ],
)
def test_a_tag_covers_another_region_but_no_other_language(
    languages: tuple[str, ...], wanted: str, expected: bool
) -> None:
    assert speaks(languages, wanted) is expected


@pytest.mark.parametrize(
    ("available", "wanted", "expected"),
    [
        (("en-GB", "en-US"), "en", "en-US"),
        (("en-US", "en-GB"), "en-GB", "en-GB"),
        (("en-US", "en-GB"), "en-AU", "en-GB"),
        (("en-US", "en-GB"), "en-CA", "en-US"),
        (("es", "es-419"), "es-MX", "es-419"),
        (("es-419", "es"), "es-ES", "es"),
        (("pt-BR", "pt"), "pt-PT", "pt"),
        (("pt", "pt-BR"), "pt-BR", "pt-BR"),
        (("yue", "cmn"), "zh-TW", "cmn"),
        (("yue", "cmn"), "zh-HK", "yue"),
        (("en-US-nyc", "en-US"), "en-us", "en-US"),
        (("en", "zh", "no", "nn"), "nb-NO", "no"),
        (("de",), "xx", None),
    ],
)
def test_the_nearest_tag_is_taken(available: tuple[str, ...], wanted: str, expected: str | None) -> None:
    assert best(available, wanted) == expected


def test_nearness_orders_voices_of_one_language() -> None:
    order = ["en-GB", "en", "en-AU", "en-US", "de"]
    assert sorted(["de", "en-US", "en", "en-AU", "en-GB"], key=lambda tag: nearness((tag,), "en-GB")) == order


def test_a_tag_is_taken_apart() -> None:
    assert parse("sr_latn-rs-ekavsk").script == "Latn"
    assert parse("sr_latn-rs-ekavsk").region == "RS"
    assert primary("cmn-Hans-CN") == "zh"
    assert primary("") == ""
