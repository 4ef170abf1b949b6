"""Which installed model auto takes."""

from __future__ import annotations

from parley.store.catalog import Entry
from parley.store.choice import choose


def ears(model_id: str, *languages: str, size_mb: int = 80) -> Entry:
    return Entry(model_id, "ears", "faster-whisper", "MIT", (), languages=languages, size_mb=size_mb)


TINY, BASE = ears("tiny.en", "en"), ears("base", "en", "de")


def fits(have: str, want: str) -> bool:
    return have.partition("-")[0] == want.partition("-")[0]


def chosen(installed: list[Entry], language: str, *, runs: bool = True) -> tuple[str, str]:
    choice = choose(installed, [TINY, BASE], language=language, fits=fits, runnable=lambda entry: runs)
    return choice.entry.model_id if choice.entry else "", choice.better


def test_the_preferred_one_that_fits_is_taken() -> None:
    assert chosen([TINY, BASE], "en-GB") == ("tiny.en", "")


def test_english_only_ears_never_hear_another_language() -> None:
    assert chosen([TINY], "de") == ("", "base")
    assert chosen([TINY, BASE], "de-AT") == ("base", "")


def test_what_cannot_run_here_is_not_taken() -> None:
    assert chosen([TINY], "en", runs=False) == ("", "tiny.en")


def test_without_a_language_the_first_is_taken() -> None:
    assert chosen([BASE, TINY], "") == ("base", "")


def test_nothing_large_is_recommended_unasked() -> None:
    large = ears("large", "fr", size_mb=3000)
    choice = choose([], [large], language="fr", fits=fits, runnable=lambda entry: True)
    assert choice.better == ""
