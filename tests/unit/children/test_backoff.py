"""When something that ended is started again."""

from parley.children.backoff import Backoff


def test_each_wait_is_twice_the_one_before_up_to_the_longest() -> None:
    backoff = Backoff(0.2, 1.0)
    assert [backoff.after(0.1) for _ in range(5)] == [0.2, 0.4, 0.8, 1.0, 1.0]


def test_what_was_steady_starts_again_soon() -> None:
    backoff = Backoff(0.2, 10.0, steady=30.0)
    for _ in range(4):
        backoff.after(1.0)
    assert backoff.after(31.0) == 0.2
