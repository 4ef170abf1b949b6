from __future__ import annotations

from parley.session.decide.sayings import Sayings


def test_sayings_are_spoken_in_their_order() -> None:
    sayings = Sayings()
    sayings.add("one ")
    assert (current := sayings.next()) is not None
    assert sayings.add("more") is current
    sayings.end()
    sayings.add("two")
    sayings.end()
    sayings.finish()
    assert (following := sayings.next()) is not None
    assert (current.text, following.text, following.ended) == ("one more", "two", True)


def test_the_rest_of_a_saying_that_was_cut_off_is_dropped() -> None:
    sayings = Sayings()
    sayings.add("one ")
    sayings.next()
    sayings.cut()
    assert sayings.add("more") is None
    assert sayings.end() is None
    assert sayings.add("new") is not None


def test_after_a_whole_saying_was_cut_off_the_next_one_is_welcome() -> None:
    sayings = Sayings()
    sayings.add("one")
    sayings.end()
    sayings.next()
    sayings.cut()
    assert sayings.add("new") is not None


def test_a_saying_that_is_too_much_is_dropped_whole_and_the_next_one_is_welcome() -> None:
    sayings = Sayings()
    sayings.add("one")
    sayings.next()
    sayings.end()
    sayings.add("two")
    assert sayings.waiting == 3
    assert sayings.refuse() is None
    assert sayings.refused
    assert sayings.add("more") is None
    assert sayings.end() is None
    assert sayings.waiting == 0
    assert sayings.add("three") is not None


def test_a_saying_that_becomes_too_much_while_it_is_spoken_ends_with_what_there_is() -> None:
    sayings = Sayings()
    sayings.add("one ")
    current = sayings.next()
    assert sayings.refuse() is current
    assert sayings.add("more") is None
    sayings.finish()
    assert sayings.add("even more") is None
    assert sayings.end() is None
    assert sayings.add("new") is not None
