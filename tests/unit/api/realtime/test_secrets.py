"""Keys for browsers are good for a while, and of no use afterwards."""

from __future__ import annotations

import itertools
import json

import pytest

from parley.api.realtime import secrets
from parley.api.realtime.secrets import Secrets
from parley.api.realtime.session_object import SessionObject
from parley.errors import CapacityError

SESSION = SessionObject.new("realtime", "gpt-realtime")


def store() -> Secrets:
    numbers = itertools.count()
    return Secrets(lambda: f"random{next(numbers)}")


def test_a_key_opens_sessions_until_it_expires() -> None:
    known = store()
    key = known.new(SESSION, 60, now=10)
    assert key.startswith("ek_")
    for now in (10, 69.9):
        found = known.find(key, now)
        assert found is not None
        assert found.session is SESSION
    assert known.find(key, 70) is None
    assert known.find("ek_other", 20) is None
    assert known.find("", 20) is None
    assert known.find("ek_\ud800", 20) is None


def test_there_is_a_most_and_what_expired_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "MOST", 3)
    known = store()
    for _ in range(3):
        known.new(SESSION, 60, now=0)
    with pytest.raises(CapacityError):
        known.new(SESSION, 60, now=59)
    assert known.new(SESSION, 60, now=60)


def test_long_sessions_have_room_for_fewer_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "MOST_CHARACTERS", 150_000)
    known, session = store(), SESSION.updated({"instructions": "x" * 60_000})
    for _ in range(2):
        known.new(session, 60, now=0)
    with pytest.raises(CapacityError):
        known.new(session, 60, now=0)
    assert known.new(SESSION, 60, now=0)
    assert known.new(session, 60, now=60)


def test_another_process_takes_a_key_that_it_is_told_of_for_as_long_and_is_told_no_key() -> None:
    made, other = store(), store()
    key = made.new(SESSION, 60, now=10)
    told = json.loads(json.dumps(made.told(key, now=20)))  # on its way it is JSON
    assert key not in json.dumps(told)
    other.learn(told, now=1_000)  # by a clock of its own
    found = other.find(key, 1_049.9)
    assert found is not None
    assert found.session == SESSION
    assert other.find(key, 1_050) is None
