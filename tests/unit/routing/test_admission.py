"""The waiting room is bounded, serves in order, and refuses who has no hope."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from parley.routing.admission import Refused, WaitingRoom


def test_who_joins_learns_the_deadline() -> None:
    assert WaitingRoom(2, 1.5).join("a", 10.0) == 11.5


def test_who_came_first_is_served_first() -> None:
    room = WaitingRoom(3, 1.0)
    for ticket in "abc":
        room.join(ticket, 0.0)
    room.served("a", 0.1)
    assert room.first() == "b"


def test_nobody_is_first_in_an_empty_room() -> None:
    assert WaitingRoom(3, 1.0).first() == ""


def test_a_full_room_refuses() -> None:
    room = WaitingRoom(1, 1.0)
    room.join("a", 0.0)
    assert isinstance(room.join("b", 0.0), Refused)


def test_a_room_without_places_refuses_everybody() -> None:
    assert isinstance(WaitingRoom(0, 1.0).join("a", 0.0), Refused)


def test_who_would_wait_too_long_is_refused_at_the_door() -> None:
    room = WaitingRoom(100, 1.0)
    for number in range(10):
        room.join(str(number), 0.0)
    for number in range(6):  # one served per second: the sixth in line would wait six
        room.served(str(number), number + 1.0)
    refused = room.join("late", 6.0)
    assert isinstance(refused, Refused)
    assert refused.retry_after > 1.0


def test_an_empty_room_forgets_how_slow_it_was() -> None:
    room = WaitingRoom(100, 1.0)
    for number in range(3):
        room.join(str(number), 0.0)
        room.served(str(number), number * 10.0)
    assert room.join("new", 50.0) == 51.0


def test_who_leaves_frees_the_place() -> None:
    room = WaitingRoom(1, 1.0)
    room.join("a", 0.0)
    room.leave("a")
    assert room.join("b", 0.0) == 1.0


def test_serving_or_leaving_twice_changes_nothing() -> None:
    room = WaitingRoom(2, 1.0)
    room.join("a", 0.0)
    room.join("b", 0.0)
    room.served("a", 0.1)
    room.served("a", 0.2)
    room.leave("a")
    assert len(room) == 1


@given(st.lists(st.tuples(st.sampled_from("jsl"), st.integers(0, 9)), max_size=60), st.integers(0, 5))
def test_it_never_holds_more_than_its_places(steps: list[tuple[str, int]], places: int) -> None:
    room = WaitingRoom(places, 2.0)
    for now, (step, ticket) in enumerate(steps):
        if step == "j":
            room.join(str(ticket), float(now))
        elif step == "s":
            room.served(str(ticket), float(now))
        else:
            room.leave(str(ticket))
        assert len(room) <= places
