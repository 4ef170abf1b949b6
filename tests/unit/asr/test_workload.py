"""What recognisers have to do, one by one and together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.asr.by_language import ByLanguage
from parley.asr.settings import AsrSettings
from parley.asr.workload import Working, Workload

some = st.builds(
    Workload,
    st.integers(0, 50),
    st.integers(0, 500).map(float),
    st.integers(0, 50).map(float),
    st.integers(0, 8),
    st.integers(0, 8),
    st.integers(0, 9),
)


@given(some, some, some)
def test_together_it_does_not_matter_who_is_counted_first(one: Workload, two: Workload, three: Workload) -> None:
    assert one + two == two + one
    assert (one + two) + three == one + (two + three)
    assert one + Workload() == one


class Ears:
    """A recogniser, as far as it is asked what it has to do."""

    def __init__(self, work: Workload) -> None:
        self.workload = work


@pytest.mark.anyio
async def test_ears_for_several_languages_say_what_all_of_them_have_to_do() -> None:
    made = {"de": Ears(Workload(2, 3.0, 2.0, 1, 1)), "en": Ears(Workload(1, 0.5, 0.5, 2, 1, 4))}
    ears = ByLanguage(lambda language: AsrSettings(language=language), lambda asr: made[asr.language])  # type: ignore[arg-type, return-value]
    assert isinstance(ears, Working)
    assert ears.workload == Workload()
    await ears.ears("de")
    await ears.ears("en")
    assert ears.workload == Workload(3, 3.5, 2.0, 3, 2, 4)
