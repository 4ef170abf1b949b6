"""What `parley top` knows of the fleet."""

from __future__ import annotations

from parley.cli import load_command
from parley.cli.top import View
from parley.testing.registries import worker


def test_a_worker_that_is_known_twice_is_shown_once() -> None:
    assert View([(worker(),), (worker(),)]).fleet == [worker()]


def test_the_older_name_is_the_same_command() -> None:
    assert load_command("workers").callback.__wrapped__ is load_command("top").callback.__wrapped__
