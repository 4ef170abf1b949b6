"""Nothing that others send or write makes a reader fail but by its own words; bounded, and the same each time.

``PARLEY_TEST_FUZZ=20000 PARLEY_TEST_FUZZ_SEED=7 pytest tests/fuzz`` tries more, and others.
"""

from __future__ import annotations

import os

import pytest
from tests.fuzz.mutations import inputs
from tests.fuzz.targets import TARGETS, Target

from parley.errors import ParleyError
from parley.llm.answer import EndpointFailed

COUNT = int(os.environ.get("PARLEY_TEST_FUZZ", "300"))
SEED = int(os.environ.get("PARLEY_TEST_FUZZ_SEED", "1"))


@pytest.mark.timeout(120 + COUNT)
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_reader_takes_what_comes_or_says_no_in_its_own_words(target: Target) -> None:
    for data in inputs(target.seeds, SEED, COUNT):
        try:
            target.read(data)
        except target.refuses as refused:
            if isinstance(refused, ParleyError) and not str(refused):
                pytest.fail(f"it says no without a word to {data[:300]!r}")
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error} for {data[:600]!r}") from error


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_what_fuzzing_begins_with_is_good(target: Target) -> None:
    """A seed that is refused at once would let every mutation of it stay at the door."""
    for data in target.seeds:
        try:
            target.read(data)
        except target.refuses as refused:
            if not isinstance(refused, EndpointFailed):  # which is what one of them is to say
                pytest.fail(f"{refused} for {data[:200]!r}")


def test_the_same_seed_makes_the_same_inputs_and_another_one_others() -> None:
    seeds = (b'{"a": 1}', b"plain")
    assert list(inputs(seeds, 1, 50)) == list(inputs(seeds, 1, 50))
    assert list(inputs(seeds, 1, 50)) != list(inputs(seeds, 2, 50))
