from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.asr.decoder import RATE
from parley.asr.fed_stream import FedStream

Turn = st.lists(st.one_of(st.integers(1, 2 * RATE), st.just("pause")), max_size=12)


def test_silence_is_put_in_once_at_each_pause() -> None:
    stream = FedStream(0.5)
    assert stream.settle() == 8_000
    assert stream.settle() == 0
    stream.hear(1)
    assert stream.settle() == 8_000


def test_what_was_put_in_does_not_count() -> None:
    stream = FedStream(0.5)
    stream.hear(RATE)
    stream.settle()
    stream.hear(RATE)
    assert [stream.turn_time(time) for time in (0.4, 1.0, 1.3, 1.5, 2.0, 2.5)] == pytest.approx(
        [0.4, 1.0, 1.0, 1.0, 1.5, 2.0]
    )


@given(Turn)
def test_times_of_the_turn_only_grow_and_end_with_what_was_heard(turn: list[int | str]) -> None:
    stream, heard = FedStream(0.7), 0
    for part in turn:
        if isinstance(part, int):
            stream.hear(part)
            heard += part
            assert stream.turn_time(stream.samples / RATE) == pytest.approx(heard / RATE, abs=1e-3)
        else:
            stream.settle()
    times = [stream.turn_time(step * stream.samples / RATE / 50) for step in range(60)]  # and beyond its end
    assert all(after >= before - 1e-9 for before, after in pairwise(times))
    assert times[-1] == pytest.approx(heard / RATE, abs=1e-3)
    assert stream.turn_time(-1.0) == 0.0
