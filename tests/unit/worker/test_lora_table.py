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


def test_one_that_is_read_again_is_spoken_with_from_the_next_utterance_on() -> None:
    one = table()
    one.loaded(0, "a", 100, "a#1")
    assert one.begin("a") == one.begin("a") == "a#1"
    assert one.loaded(1, "a", 70, "a#2") == ""
    assert (one.begin("a"), one.size) == ("a#2", 170)
    assert [one.end(tag) for tag in ("a#1", "a#2", "a#1", "a#1")] == [False, False, True, False]
    assert (one.size, one.names) == (70, ("a",))


def test_what_nobody_speaks_with_goes_as_soon_as_it_is_read_again() -> None:
    one = table()
    one.loaded(0, "a", 100, "a#1")
    assert (one.loaded(1, "a", 70, "a#2"), one.size, one.gone("a")) == ("a#1", 70, "a#2")


def test_one_that_is_lost_is_spoken_with_under_its_own_name_which_no_engine_knows() -> None:
    one = table()
    one.enter(0, "a")
    one.loaded(0, "a", 100, "a#1")
    assert (one.named("a#1"), one.retire("a"), one.retire("a")) == ("a", "a#1", "")
    assert (one.begin("a"), one.ready("a"), one.users("a"), one.named("a#1")) == ("a", False, 1, "")


@given(st.lists(st.tuples(st.sampled_from(["begin", "end", "read", "lose"]), st.sampled_from("ab")), max_size=60))
def test_engines_hold_what_serves_and_what_is_spoken_with_and_nothing_else(steps: list[tuple[str, str]]) -> None:
    one, held, spoken = LoraTable(2), set[str](), list[str]()
    for now, (step, name) in enumerate(steps):
        leaving = ""
        if step == "read":
            held.add(tag := one.new_tag(name))
            leaving = one.loaded(now, name, 10, tag)
        elif step == "lose":
            leaving = one.retire(name)
        elif step == "begin" and one.ready(name):
            spoken.append(one.begin(name))
        elif step == "end" and spoken:
            tag = spoken.pop(0)
            leaving = tag if one.end(tag) else ""
        if leaving:
            held.remove(leaving)
        assert held == {tag for tag in held if one.named(tag)} | set(spoken)
        assert one.size == 10 * len(held)


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
