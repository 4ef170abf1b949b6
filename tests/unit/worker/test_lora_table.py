"""Which LoRAs of a model stay and which go: decided without an engine."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from parley.worker.lora_table import LoraTable


def table(*names: str, most: int = 2, ttl: float | None = 10.0) -> LoraTable:
    """LoRAs that were read one second after the other, from 0 on."""
    made = LoraTable(most, ttl)
    for now, name in enumerate(names):
        made.loaded(now, name, 100)
    return made


def test_one_that_is_in_memory_needs_no_room() -> None:
    assert table("a", "b").room("a") == ""


def test_the_one_that_was_not_used_for_longest_makes_room() -> None:
    assert table("a", "b").room("c") == "a"


def test_one_that_was_used_lately_stays() -> None:
    two = table("a", "b")
    two.enter(5, "a")
    two.leave(6, "a")
    assert two.room("c") == "b"


def test_one_that_somebody_speaks_with_and_one_that_is_pinned_make_no_room() -> None:
    two = table("a", "b")
    two.enter(5, "a")
    two.pin("b")
    assert two.room("c") is None
    two.pin("b", False)
    assert two.room("c") == "b"


def test_whoever_waits_for_one_does_not_take_room_before_it_is_there() -> None:
    one = table("a")
    one.enter(1, "b")
    assert (one.room("c"), one.names, one.users("b")) == ("", ("a",), 1)


def test_one_that_nobody_waits_for_any_more_is_forgotten() -> None:
    one = table("a")
    one.enter(1, "b")
    one.leave(2, "b")
    assert (one.users("b"), one.names) == (0, ("a",))


def test_one_that_goes_while_somebody_begins_to_use_it_is_still_theirs() -> None:
    one = table("a")
    one.enter(1, "a")
    one.gone("a")
    assert (one.names, one.users("a"), one.size) == ((), 1, 0)


def test_idle_ones_go_after_their_time_and_not_before() -> None:
    two = table("a", "b", ttl=10)
    assert (two.idle(9.9), two.idle(10), two.idle(11)) == ([], ["a"], ["a", "b"])
    two.enter(10, "a")
    two.pin("b")
    assert two.idle(100) == []
    assert table("a", ttl=None).idle(1e9) == []


STEPS = st.lists(st.tuples(st.sampled_from(["use", "leave", "pin", "sweep"]), st.sampled_from("abcde")), max_size=60)


@given(STEPS, st.integers(1, 3))
def test_never_more_than_may_be_and_what_is_used_is_there(steps: list[tuple[str, str]], most: int) -> None:
    one, used = LoraTable(most, ttl=3.0), dict.fromkeys("abcde", 0)
    for now, (step, name) in enumerate(steps):
        if step == "use":
            one.enter(now, name)
            room = one.room(name)
            if room is None:
                one.leave(now, name)
                assert sum(1 for other in one.names if used[other] or one.pinned(other)) >= most
                continue
            if room:
                assert not used[room]
                one.gone(room)
            one.loaded(now, name, 10)
            used[name] += 1
        elif step == "leave" and used[name]:
            one.leave(now, name)
            used[name] -= 1
        elif step == "pin":
            one.pin(name)
        elif step == "sweep":
            for idle in one.idle(now):
                assert not used[idle]
                one.gone(idle)
        assert len(one.names) <= most
        assert all(one.ready(name) and one.users(name) == count for name, count in used.items() if count)
        assert one.size == 10 * len(one.names)
